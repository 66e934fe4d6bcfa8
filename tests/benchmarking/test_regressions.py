"""A result beside an earlier one."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from sr_lightning.benchmarking.compare import compare, differences, read_result
from sr_lightning.errors import ConfigError, SRError

ROW = {"network": "span x2", "way": "tiles", "seconds": 1.0, "low": 0.9, "high": 1.05, "peak MiB": 100.0}
MACHINE = {"versions": {"torch": "2.13.0"}, "flags": ["avx2"], "threads": 2, "speeds": {"copy GB/s": 10.0}}
EARLIER = {"kind": "infer", "scale": 2, "size": "64x48", "machine": MACHINE, "rows": [ROW]}


def result(**changes: float) -> dict[str, Any]:
    return {**copy.deepcopy(EARLIER), "rows": [{**ROW, **changes}]}


@pytest.mark.parametrize(
    ("changes", "worse"),
    [
        ({}, None),
        ({"seconds": 1.09, "low": 1.08}, None),  # within the tolerance
        ({"seconds": 2.0, "low": 1.0}, None),  # within the spread
        ({"seconds": 0.5, "low": 0.4, "high": 0.6}, None),
        ({"seconds": 2.0, "low": 1.9, "high": 2.1}, "span x2, tiles takes 2.00 times the seconds"),
        ({"peak MiB": 112.0}, None),  # an allocator's mood
        ({"peak MiB": 130.0}, "span x2, tiles takes 1.30 times the peak MiB"),
    ],
)
def test_a_regression_fails(changes: dict[str, float], worse: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    new = result(**changes)
    if worse is None:
        compare(EARLIER, new, tolerance=1.1, name="a.json")
    else:
        with pytest.raises(SRError, match=rf"^compare=a.json: worse beyond tolerance=1.1: {worse}$"):
            compare(EARLIER, new, tolerance=1.1, name="a.json")
    cells = [cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].split("|")]
    ratio = changes.get("seconds", 1.0)
    assert cells[1:5] == ["span x2, tiles", "1", f"{ratio:.4g}", f"{ratio:.2f}"]


def test_rows_that_are_missing_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    earlier = {**EARLIER, "rows": [ROW, {**ROW, "way": "whole"}]}
    compare(earlier, result(), tolerance=1.1, name="a.json")
    assert "only in a.json: span x2, whole\n" in capsys.readouterr().out
    with pytest.raises(SRError, match="has no row of this run"):
        compare({**EARLIER, "rows": [{**ROW, "way": "whole"}]}, result(), tolerance=1.1, name="a.json")


def test_machines_that_differ_are_told_apart() -> None:
    other = {**MACHINE, "flags": ["avx2", "avx512f"], "threads": 4, "speeds": {"copy GB/s": 30.0, "bf16 GFLOP/s": 9.0}}
    assert differences(MACHINE, MACHINE) == []
    assert differences(MACHINE, other) == [
        "flags: avx2 there, avx2 avx512f here",
        "threads: 2 there, 4 here",
        "speeds copy GB/s: 10 there, 30 here",
        "speeds bf16 GFLOP/s: none there, 9 here",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is no result of benchmark"),
        ("[]", "is no result of benchmark"),
        ('{"rows": [1], "machine": {}}', "is no result of benchmark"),
        (json.dumps({**EARLIER, "size": "9x9"}), "was measured with size=9x9, this would be 64x48"),
        (json.dumps({**EARLIER, "rows": []}), "holds no rows"),
    ],
)
def test_a_file_of_something_else_is_refused(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=said):
        read_result(str(path), {"kind": "infer", "scale": 2, "size": "64x48"})
