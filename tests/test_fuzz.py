"""A few damaged files of the fuzzer, whose whole is ``python benchmarks/fuzz.py``."""

import os
from pathlib import Path

import pytest

from running import run_script

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks/fuzz.py"
KINDS = ("PNG", "deflate, 8 bit", "JPEG XL", "shard", "HDF5: its data", "store, pixels", "config.yaml")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    done = run_script(SCRIPT, "--inputs", "80", "--seed", "3", "--only", *KINDS, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| config.yaml of a run |" in done.stdout
