"""Commands run without the seconds that importing torch costs a real process: in this one, or in a fork of a fresh one.

A fork has signals, a folder, and streams of its own. Only where the start itself is tested, a real process is needed.
"""

import atexit
import contextlib
import io
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import traceback
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process with threads could not be forked safely
FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload([f"sr_lightning.{name}" for name in (
    "train", "evaluate", "prepare", "upscale", "export", "report", "training.building", "training.callbacks", "models",
    "losses", "evaluation.scoring", "inference.loading", "data", "data.srraw.pipeline",
)])  # fmt: skip


def run_here(command: str, *args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """What the command does, prints, and exits with, as if it had been typed in that folder."""
    out, err = io.StringIO(), io.StringIO()
    handlers = logging.root.handlers[:]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", [command, *args])
        for name, value in env.items():
            patch.setenv(name, value)
        patch.setenv("HYDRA_FULL_ERROR", os.environ.get("HYDRA_FULL_ERROR", "0"))
        try:
            import_module(f"sr_lightning.{command}").main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            logging.root.handlers[:] = handlers  # Hydra puts its own in their place
    return subprocess.CompletedProcess([command, *args], code, out.getvalue(), err.getvalue())


class Forked:
    """A program in a process of its own, which leads a group, with what ``subprocess.Popen`` has."""

    def __init__(self, code: str, *args: str, cwd: Path, ignore: bool = False, **env: str) -> None:
        """Runs ``code`` with these arguments; with ``ignore``, as shells start what is in a script's background."""
        streams = [os.pipe() for _ in range(2)]
        ends = [Connection(write, readable=False) for _, write in streams]
        given = (code, args, cwd, {**os.environ, **env}, signal.SIG_IGN if ignore else signal.default_int_handler)
        self._process = FRESH.Process(target=_become, args=(*given, *ends))
        self._process.start()
        self.stdout, self.stderr = (os.fdopen(read, encoding="utf-8") for read, _ in streams)
        for end in ends:
            end.close()
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """How it ended, if it did."""
        return self._process.exitcode

    @property
    def returncode(self) -> int | None:
        """The same; minus the signal's number where one killed it."""
        return self._process.exitcode

    def send_signal(self, signum: int) -> None:
        """Sends a signal to the process alone, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits for its end; raises ``subprocess.TimeoutExpired``."""
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return self.poll()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for its end; returns what is left of both streams."""
        said = ["", ""]

        def read(i: int, stream: IO[str]) -> None:
            said[i] = stream.read()

        readers = [threading.Thread(target=read, args=pair) for pair in enumerate((self.stdout, self.stderr))]
        for reader in readers:
            reader.start()
        try:
            self.wait(timeout)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)  # its children hold the streams open, too
            raise
        finally:
            for reader in readers:
                reader.join()
        return said[0], said[1]


def run_forked(command: str, *args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """What a command prints and exits with in a process of its own."""
    return _ended(Forked(f"from sr_lightning.{command} import main; main()", *args, cwd=cwd, **env))


def run_script(script: Path, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What a file of Python prints and exits with in a process of its own."""
    folder, file = str(script.parent), str(script)
    code = f"import runpy, sys; sys.path.insert(0, {folder!r}); runpy.run_path({file!r}, run_name='__main__')"
    return _ended(Forked(code, *args, cwd=cwd))


def _ended(process: Forked) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=600)
    return subprocess.CompletedProcess([], process.returncode or 0, out, err)


def _become(
    code: str, args: tuple[str, ...], cwd: Path, env: dict[str, str], on_ctrl_c: signal.Handlers, *ends: Connection
) -> None:
    os.setsid()
    multiprocessing.set_start_method(multiprocessing.get_all_start_methods()[0], force=True)  # as a new process has it
    signal.signal(signal.SIGINT, on_ctrl_c)
    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(signum, signal.SIG_DFL)  # nohup has the tests ignore one
    for number, end in enumerate(ends, 1):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
    sys.stderr.reconfigure(line_buffering=True)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["-c", *args]
    sys.path.insert(0, "")
    status = 0
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def fails(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code not 0 and one readable sentence, without a traceback."""
    assert result.returncode != 0
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert "Traceback" not in result.stderr and "Error executing" not in result.stderr
    for word in words:
        assert word in errors[0], errors[0]
