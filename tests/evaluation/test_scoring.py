"""Result files: what JSON has no number for."""

import json
from math import inf, isnan, nan
from pathlib import Path

from sr_lightning.evaluation.scoring import write_json


def test_infinity_is_null_and_nan_is_told_from_it(tmp_path: Path) -> None:
    content = {"sets": {"a": {"psnr": nan, "images": {"one": {"psnr": inf, "ssim": 0.5}}}}, "steps": [["x", -inf]]}
    write_json(tmp_path / "results.json", content)
    kept = json.loads((tmp_path / "results.json").read_text(), parse_constant=lambda name: 1 / 0)
    assert kept["sets"]["a"] == {"psnr": "nan", "images": {"one": {"psnr": None, "ssim": 0.5}}}
    assert isnan(float(kept["sets"]["a"]["psnr"])) and kept["steps"] == [["x", "-inf"]]


def test_the_table_of_a_sweep_reads_what_is_no_number(tmp_path: Path) -> None:
    from sr_lightning.training.sweep import _result, _rows

    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- model=espcn\n")
    sets = {"a": {"psnr": inf, "ssim": nan}, "b": {"psnr": 30.0, "ssim": 0.9}}
    write_json(tmp_path / "results.json", {"model": "espcn", "sets": sets})
    assert [(row["psnr"], row["ssim"]) for row in _rows(tmp_path, _result(tmp_path))] == [
        ("inf", "nan"),
        ("30.0000", "0.9000"),
    ]
