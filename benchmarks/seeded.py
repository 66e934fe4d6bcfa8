"""What benchmarks that draw by a seed have in common: how they are told what to do, and how they end."""

import argparse
import os
import platform
import sys
from pathlib import Path

import torch


def parser(only: str) -> argparse.ArgumentParser:
    """Of the options of all of them; ``only`` says of what kind the parts are that ``--only`` names."""
    made = argparse.ArgumentParser()
    made.add_argument("--minutes", type=float, default=20)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--only", nargs="*", default=(), metavar="PART", help=only)
    made.add_argument("--output", type=Path)
    return made


def machine() -> str:
    return f"a machine with {os.cpu_count()} CPU cores ({platform.machine()}), torch {torch.__version__}"


def end(table: str, output: Path | None, faults: int) -> None:
    """Prints and writes the table; the exit code is 1 if there were faults."""
    print(table)
    if output:
        output.write_text(table)
    if faults:
        sys.exit(f"{faults} faults")
