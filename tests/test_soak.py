"""A few kills of the soak, whose whole is ``python benchmarks/soak.py``."""

import os
from pathlib import Path

import pytest

from running import run_script

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks/soak.py"
PARTS = ("train", "prepare shards=, two at once", "store of decoded pictures, two at once")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_kills_lose_nothing(tmp_path: Path) -> None:
    """In a process of its own: one in which tests have trained cannot be forked to train."""
    done = run_script(SCRIPT, "--kills", "6", "--folder", str(tmp_path), "--only", *PARTS, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"| {part} |" in done.stdout for part in PARTS)
