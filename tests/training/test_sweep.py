"""The table of a sweep, from result files written by hand."""

import csv
import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sr_lightning.training.sweep import SweepTable


def write_run(sweep: Path, number: int, overrides: list[str], psnr: float, bicubic: float | None = 33.5) -> None:
    folder = sweep / str(number)
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/overrides.yaml").write_text("".join(f"- {override}\n" for override in overrides))
    result = {
        "model": "edsr", "scale": 2, "protocol": "y_rgb8", "parameters": 1_369_859, "macs_720p": 316_000_000_000,
        "seconds": 12, "sets": {"samples": {"psnr": psnr, "ssim": 0.9, "images": {}}},
    }  # fmt: skip
    if bicubic is not None:
        result["bicubic"] = {"samples": {"psnr": bicubic, "ssim": 0.8, "images": {}}}
    (folder / "results.json").write_text(json.dumps(result))


def table_of(sweep: Path) -> tuple[list[list[str]], list[dict[str, str]]]:
    SweepTable().on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(sweep)}}}))
    lines = (sweep / "table.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|-")]
    with (sweep / "table.csv").open() as file:
        return rows, list(csv.DictReader(file))


def test_bicubic_is_the_first_row_once(tmp_path: Path) -> None:
    write_run(tmp_path, 0, ["model=edsr", "model.num_blocks=4"], 34.5)
    write_run(tmp_path, 1, ["model=edsr", "model.num_blocks=8"], 34.7)
    readable, values = table_of(tmp_path)
    assert [(row["model"], row["psnr"]) for row in values] == [
        ("bicubic", "33.5000"), ("edsr", "34.5000"), ("edsr", "34.7000"),
    ]  # fmt: skip
    assert values[1]["macs_720p"] == "316000000000"  # exact where programs read it
    header, bicubic, first, second = readable
    assert first[header.index("macs_720p")] == "316 G" and first[header.index("parameters")] == "1.37 M"
    assert bicubic[header.index("parameters")] == ""
    assert [row[-1] for row in (first, second)] == ["model.num_blocks=4", "model.num_blocks=8"]  # what differs


def test_a_failed_run_has_a_row_and_an_exit_code(tmp_path: Path) -> None:
    write_run(tmp_path, 0, ["scale=2"], 34.5)
    (tmp_path / "1/.hydra").mkdir(parents=True)
    (tmp_path / "1/.hydra/overrides.yaml").write_text("- scale=3\n")
    with pytest.raises(SystemExit) as ended:
        table_of(tmp_path)
    assert ended.value.code == 1
    assert "failed" in (tmp_path / "table.md").read_text()
