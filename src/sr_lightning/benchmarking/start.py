"""``benchmark start``: what it takes until a command works, beside ``import torch``."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from omegaconf import DictConfig

from sr_lightning.benchmarking.picture import write_photograph
from sr_lightning.benchmarking.report import Row
from sr_lightning.benchmarking.timing import chosen, ratio, spread, take_turns
from sr_lightning.errors import SRError

#: Tells at the very end how many modules the program has brought in.
_PROBE = "import atexit, sys; atexit.register(lambda: print('modules:', len(sys.modules), file=sys.stderr)); "
_COMMAND = "import runpy; runpy.run_module('sr_lightning.upscale', run_name='__main__', alter_sys=True)"
#: Programs with their arguments and exit codes; the first is what the others are compared with.
PROGRAMS: dict[str, tuple[str, list[str], int]] = {
    "import_torch": ("import torch", [], 0),
    "import_sr_lightning": ("import sr_lightning", [], 0),
    "help": (_COMMAND, ["--help"], 0),
    "usage_error": (_COMMAND, ["lr.png", "no_such_key=1"], 1),
    "small_picture": (_COMMAND, ["lr.png", "overwrite=true"], 0),
}


class Started(NamedTuple):
    """Wall and processor seconds of a program, and its modules."""

    wall: float
    processor: float
    modules: int


def measure(cfg: DictConfig, device: torch.device) -> list[Row]:
    """A row for each program; its times are those of a whole process."""
    if not hasattr(os, "wait4"):
        raise SRError("benchmark start: this system does not tell the processor time of a program; use Linux or macOS")
    with TemporaryDirectory() as folder:
        write_photograph(Path(folder) / "lr.png", "96x64")
        programs = chosen(PROGRAMS, cfg.ways)
        ways: dict[str, Callable[[], Started]] = {
            name: partial(start, *program, Path(folder)) for name, program in programs.items()
        }
        times = take_turns(ways, cfg.repeats)
    torch_alone, *_ = PROGRAMS
    rows = []
    for name, each in times.items():
        row: Row = {"program": name, **spread([one.wall for one in each])}
        row["processor seconds"] = median(one.processor for one in each)
        row["modules"] = each[0].modules
        if base := times.get(torch_alone):
            row["times import torch"] = ratio([one.processor for one in each], [one.processor for one in base])
        rows.append(row)
    return rows


def start(code: str, argv: list[str], expected: int, folder: Path) -> Started:
    """Runs a program in a folder.

    Raises:
        SRError: If its exit code is not the expected one.
    """
    command = [sys.executable, "-W", "ignore", "-c", _PROBE + code, *argv]
    begin = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
    words = said.split("modules:")
    if process.returncode != expected or len(words) < 2:
        last = said.strip().splitlines()[-1:] or ["it says nothing"]
        raise SRError(f"benchmark start: {code} {' '.join(argv)} ended with exit code {process.returncode}: {last[0]}")
    return Started(wall, used.ru_utime + used.ru_stime, int(words[-1]))
