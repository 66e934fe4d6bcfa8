"""Commands run in this process, which has imported everything already; a real process costs seconds for each."""

import contextlib
import io
import logging
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest


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
