"""How a command starts under Hydra, and how it ends: with one sentence if the user can fix what went wrong."""

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sr_lightning.cli.arguments import is_sweep, refuse_unknown, with_keys
from sr_lightning.cli.help import help_screen
from sr_lightning.cli.sweep_jobs import (
    RunFailed,
    end_with_the_sweep,
    refuse_missing_plugins,
    run_in_own_process,
    this_process,
)
from sr_lightning.config import CONF_DIR, compose, explained, in_hydras_grammar, parsed_value, with_defaults
from sr_lightning.errors import FULL_DISK, UNUSABLE_PLACE, ConfigError, Interrupted, NothingToDo, SRError
from sr_lightning.ranks import is_first_process

Task = Callable[[DictConfig], Any]

#: Packages of launchers, whose errors tell of processes that died.
_LAUNCHERS = frozenset({"joblib", "submitit", "ray", "concurrent"})


def run(
    task: Task,
    command: str,
    rewrite: Callable[[list[str]], list[str]] | None = None,
    after_broken_sweep: Callable[[], None] | None = None,
) -> None:
    """Runs a command's task under Hydra. An error that the user can fix ends it with one sentence and exit code 1.

    Args:
        task: What the command does.
        command: The name of the command and of its config.
        rewrite: Changes the arguments, each ``key=value``, before Hydra reads them.
        after_broken_sweep: Is called where the launcher of a sweep failed, before its error is told.
    """
    argv = sys.argv[1:]
    if {"-h", "--help"} & {*argv}:
        print(help_screen(command))
        return
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions arrive here as they were raised
    if sys.version_info >= (3, 14):  # Hydra 1.3 hands argparse a help text that 3.14 refuses
        import argparse

        argparse.ArgumentParser._check_help = lambda *_: None  # type: ignore[attr-defined]
    failed: list[Exception] = []
    end_with_the_sweep()
    if any(arg.startswith("hydra/launcher=") for arg in argv):  # its processes are ended as by Ctrl-C
        signal.signal(signal.SIGTERM, _terminate)
    try:
        argv = with_keys(argv, command)
        refuse_unknown(argv, command)
        refuse_missing_plugins(argv)
        sys.argv[1:] = _as_hydra_reads(rewrite(argv) if rewrite else argv, command)
        start = hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=command)
        with warnings_as_lines():
            start(_job(task, command, failed))()
    except KeyboardInterrupt as stop:
        if after_broken_sweep and is_sweep(argv):
            after_broken_sweep()
        print("interrupted", file=sys.stderr)
        sys.exit(143 if isinstance(stop, _Terminated) else 130)
    except Exception as error:
        if is_sweep(argv):
            if after_broken_sweep:
                after_broken_sweep()
            if type(error).__module__.partition(".")[0] in _LAUNCHERS:
                reason = " ".join(str(error).split())[:200]
                error = SRError(f"the launcher of the sweep failed: {reason or type(error).__name__}")
        _fail(error, command, [arg for arg in sys.argv[1:] if "=" in arg])
    if failed:
        sys.exit(1)


class _Terminated(KeyboardInterrupt):
    """SIGTERM, in a command that waits for the processes of a launcher."""


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Prints warnings as one line each: they are about what the user typed, not about a line of code."""
    usual = warnings.showwarning  # Lightning puts a formatwarning of its own in place when it is imported
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    try:
        yield
    finally:
        warnings.showwarning = usual


def _job(task: Task, command: str, failed: list[Exception]) -> Task:
    """The task as Hydra calls it, once for each run. A run that fails does not stop a sweep.

    A launcher that calls it in another process has it start one more, for that run alone.
    """
    home = this_process()

    def job(cfg: DictConfig) -> Any:
        hydra_cfg = HydraConfig.get()
        typed = hydra_cfg.overrides.task
        speaks = is_first_process()  # in the end, Lightning has taken that out of the environment
        overrides: Any = OmegaConf.to_container(typed, resolve=False)  # type: ignore[arg-type]  # it may refer to nothing
        try:
            if home != this_process():
                return run_in_own_process(command)
            return task(with_defaults(cfg, hydra_cfg.runtime.choices, typed, hydra_cfg.runtime.output_dir))
        except NothingToDo as done:
            print(done)
        except Interrupted as stop:  # a sweep ends with it
            if speaks:
                print(stop, file=sys.stderr)
            sys.exit(128 + stop.signum)
        except Exception as error:
            if isinstance(error, RunFailed):
                return None
            if hydra_cfg.mode == RunMode.RUN:  # here, before Hydra adds lines of its own
                _fail(error, command, overrides)
            _print(error, command, overrides)
            failed.append(error)
        return None

    job.__module__ = task.__module__
    return job


def _fail(error: Exception, command: str, overrides: Sequence[str]) -> NoReturn:
    """Ends the command with one sentence, or raises the error itself if it is a bug."""
    told = _user_error(error, command, overrides)
    if told is None:
        raise error
    print(f"error: {told}", file=sys.stderr)
    sys.exit(1)


def _print(error: Exception, command: str, overrides: Sequence[str]) -> None:
    told = _user_error(error, command, overrides)
    if told is None:
        traceback.print_exception(error)
    else:
        print(f"error: {told}", file=sys.stderr)


def _user_error(error: Exception, command: str, overrides: Sequence[str]) -> SRError | None:
    """The error as one sentence about what the user can fix, or None for a bug."""
    if isinstance(error, SRError):
        return error
    if isinstance(error, TypeError | ValueError) and (mistyped := _mistyped(error, command, overrides)):
        return mistyped
    if isinstance(error, HydraException | OmegaConfBaseException):
        return explained(error, command, overrides)
    if isinstance(error, OSError) and error.errno in UNUSABLE_PLACE:
        return SRError(f"{error.filename or 'a file'}: cannot be used ({error.strerror}); choose another place")
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return SRError(f"{error.filename or 'the run folder'}: the disk is full; free space or choose hydra.run.dir=")
    return None


def _mistyped(error: Exception, command: str, overrides: Sequence[str]) -> ConfigError | None:
    """The error for an override that has a word instead of a number, or null instead of a group's choice."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if frame.f_code.co_filename.endswith("defaults_list.py"):  # Hydra's
        return ConfigError("a config group cannot be null; choose one of its files, such as scheduler=none")
    if str(error).startswith("The --"):  # Hydra's, of flags that do not go together
        return ConfigError(str(error))
    groups = [o for o in overrides if (CONF_DIR / o.partition("=")[0]).is_dir()]
    try:
        plain = compose(command, groups)
    except ConfigError:
        return None
    for override in overrides:
        key, _, value = override.partition("=")
        default = None if override in groups or key.startswith(("+", "~")) else OmegaConf.select(plain, key)
        given = parsed_value(override) if isinstance(default, int | float) else 0
        if (isinstance(given, str) and given != "auto") or (given is None and "NoneType" in str(error)):
            return ConfigError(f"{key}={value}: must be a number, such as {default}")
    return None


def _as_hydra_reads(argv: Sequence[str], command: str) -> list[str]:
    """Arguments in Hydra's grammar. ``run_dir=`` is its ``hydra.run.dir=``, so that a run has one folder."""
    sweep = is_sweep(argv)
    folder = "hydra.sweep.dir=" if sweep else "hydra.run.dir="
    argv = [arg for arg in argv if arg != "run_dir=null"]
    renamed = [folder + arg.removeprefix("run_dir=") if arg.startswith("run_dir=") else arg for arg in argv]
    flags = next((i for i, arg in enumerate(renamed) if "=" in arg and not arg.startswith("-")), len(renamed))
    given = ["--help" if flag == "--help-all" else flag for flag in renamed[:flags]]
    return [*given, *in_hydras_grammar(command, renamed[flags:], sweep)]
