"""Runs of a sweep that a launcher starts elsewhere: each is a process of its own, whose death ends nothing else."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from typing import Any
from uuid import uuid4

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from sr_lightning.errors import ConfigError, SRError

#: Says in a process of its own that it is a run of a sweep.
_MARK = "SR_LIGHTNING_SWEEP_JOB"
#: Differs in every process.
_HERE = uuid4().hex
#: Launchers and sweepers of Hydra: the module that has each, and the extra that brings it.
_PLUGINS = {
    "launcher=joblib": ("hydra_plugins.hydra_joblib_launcher", "sweep"),
    "launcher=ray": ("hydra_plugins.hydra_ray_launcher", "ray"),
    "launcher=submitit_local": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "launcher=submitit_slurm": ("hydra_plugins.hydra_submitit_launcher", "slurm"),
    "sweeper=optuna": ("optuna", "sweep"),
}


def refuse_missing_plugins(argv: list[str]) -> None:
    """Raises a ``ConfigError`` if a launcher or sweeper that was typed is not installed; it names the extra.

    Example:
        >>> refuse_missing_plugins(["-m", "hydra/launcher=basic", "scale=2,3"])
    """
    for arg in argv:
        module, extra = _PLUGINS.get(arg.removeprefix("hydra/"), (None, ""))
        if module and arg.startswith("hydra/") and not _is_there(module):
            raise ConfigError(f'{arg}: needs an extra; pip install "sr_lightning[{extra}]"')


def is_run_of_sweep() -> bool:
    """Whether this run is one of a sweep, in the sweep's process or in one of its own."""
    here = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    return here or has_a_process_of_its_own()


def has_a_process_of_its_own() -> bool:
    """Whether this run of a sweep was started by a launcher, and nobody at a keyboard tells it to end."""
    return bool(os.environ.get(_MARK))


def this_process() -> str:
    """What differs in every process, on every machine; unlike its number, which is given again."""
    return _HERE


def end_with_the_sweep() -> None:
    """Has a run in a process of its own end, with a checkpoint, when the process that started it is gone."""
    if not has_a_process_of_its_own():
        return

    def wait() -> None:
        with suppress(OSError, ValueError):
            sys.stdin.buffer.read()  # nothing is ever written to it
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def run_in_own_process(command: str) -> None:
    """Starts the run that Hydra has prepared for this process as one of its own, and waits for its end.

    Raises:
        SRError: If it was killed, or failed, which it has said then.
    """
    cfg = HydraConfig.get()
    folders = [source.path for source in cfg.runtime.config_sources if source.provider == "command-line"]
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            f"sr_lightning.{command}",
            *(part for folder in folders for part in ("--config-dir", folder)),
            *cfg.overrides.task,
            f"hydra.run.dir={_quoted(cfg.runtime.output_dir)}",
        ],
        cwd=cfg.runtime.cwd,
        env={**os.environ, _MARK: "1"},
        stdin=subprocess.PIPE,  # which ends with this process, whatever ends it
    ) as process:
        interrupted = False
        while process.poll() is None:
            try:
                process.wait()
            except KeyboardInterrupt:  # which the run has, too: it saves, and ends
                interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        reason = ", usually because memory was full" if name == "SIGKILL" else ""
        raise SRError(f"run {cfg.job.num}: was ended by {name}{reason}")
    if process.returncode:
        raise RunFailed(f"run {cfg.job.num} failed with exit code {process.returncode}")


class RunFailed(SRError):  # noqa: N818  # it has said what the error was
    """A run in a process of its own that has told its error."""


def _quoted(value: Any) -> str:
    from sr_lightning.config.quoting import quoted

    return quoted(str(value))


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package above it
        return False
