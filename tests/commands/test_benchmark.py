"""The command that measures, on the smallest work; how long it takes is nobody's business here."""

import json
from pathlib import Path
from typing import Any

import pytest

from running import fails, run_here
from sr_lightning.benchmarking.ways import WAYS

SMALL = ("repeats=1", "data.batch_size=2", "data.patch_size=32", "data.num_workers=0")
MACHINE = {"cores", "device", "environment", "flags", "instructions", "processor", "speeds", "system", "threads"}


@pytest.fixture(autouse=True)
def _known_speeds(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"float32 GFLOP/s": 100.0, "bf16 GFLOP/s": 200.0, "copy GB/s": 10.0}
    monkeypatch.setattr("sr_lightning.benchmarking.machine.speeds", lambda device: known)


def measured(folder: Path, *args: str) -> dict[str, dict[str, Any]]:
    """The rows of the JSON, by their last name; the table must have them, too."""
    ended = run_here("benchmark", *args, *SMALL, "output=new.json", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    result = json.loads((folder / "new.json").read_text())
    assert result["machine"].keys() == {*MACHINE, "versions"}
    for row in result["rows"]:
        assert 0 < row["low"] <= row["seconds"] <= row["high"]
        assert any(row["way"] in line for line in ended.stdout.splitlines() if line.startswith("| "))
    return {row["way"]: row for row in result["rows"]}


def test_infer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_lightning.benchmarking.infer.in_a_fresh_process", lambda peak, *args: peak(*args))
    ways = "ways=whole,channels_last,tiles,files"
    rows = measured(tmp_path, "infer", "model=fsrcnn", "size=48x32", ways, "precision=float32")
    assert list(rows) == ["whole", "channels_last", "tiles", "files"]
    for row in rows.values():
        assert (row["network"], row["precision"], row["bits"]) == ("fsrcnn x2", "float32", 32)
        assert row["levels"] <= 1 and row["peak MiB"] >= 0
        # FSRCNN(56, 12, 4) by its paper: 12,464 weights, all of them at each pixel of LR.
        assert row["GMAC"] == pytest.approx((5 * 5 * 56 + 56 * 12 * 2 + 4 * 9 * 12 * 12 + 81 * 56) * 48 * 32 / 1e9)
        assert row["share of peak"] == pytest.approx(2 * row["GMAC"] / row["seconds"] / 100)
    assert rows["whole"]["levels"] == 0


def test_a_way_that_fails_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(case: object) -> None:
        raise RuntimeError("no compiler here\nand more")

    monkeypatch.setitem(WAYS, "compile", broken)
    typed = ("infer", "model=bicubic", "size=24x16", "ways=compile,tiles", "memory=false", "repeats=1")
    ended = run_here("benchmark", *typed, cwd=tmp_path)
    assert ended.returncode == 0 and "| bicubic x2 | tiles" in ended.stdout
    assert "bicubic x2, compile, auto: left out: no compiler here\n" in ended.stderr


def test_train(tmp_path: Path) -> None:
    rows = measured(tmp_path, "train", "model=espcn", "steps=1", "ways=plain,trainer_float32")
    assert list(rows) == ["plain", "trainer_float32"]
    for share in ("share waiting for data", "share of Trainer"):
        assert 0 <= rows["trainer_float32"][share] <= 1
    # ESPCN ×2: 64 of 5x5, 32 of 3x3, 4 of 3x3, for two patches of 16x16; forward, and backward by weights and inputs.  # noqa: RUF003
    macs = 3 * 2 * 16 * 16 * (25 * 64 + 9 * 64 * 32 + 9 * 32 * 4)
    assert rows["plain"]["GMAC"] == rows["trainer_float32"]["GMAC"] == pytest.approx(macs / 1e9)
    assert {path.name for path in tmp_path.iterdir()} == {"new.json"}


def test_data(tmp_path: Path) -> None:
    rows = measured(tmp_path, "data", "workers=0", "batches=2")
    assert list(rows) == ["0_workers", "first_use", "decoding"]
    assert rows["0_workers"]["pairs/s"] == pytest.approx(2 / rows["0_workers"]["seconds"])
    megapixels = [rows[way]["MP/s"] * rows[way]["seconds"] for way in ("first_use", "decoding")]
    assert megapixels[0] == pytest.approx(megapixels[1]) and megapixels[0] > 1


def test_start(tmp_path: Path) -> None:
    ended = run_here(
        "benchmark", "start", "repeats=1", "ways=import_sr_lightning,usage_error", "output=a.json", cwd=tmp_path
    )
    assert ended.returncode == 0, ended.stderr
    light, error = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert 0 < light["modules"] < error["modules"] < 700
    assert light["processor seconds"] > 0 and error["processor seconds"] > 0


def test_compare(tmp_path: Path) -> None:
    psnr = ("metrics", "size=32x24", "ways=psnr", "repeats=2")
    assert run_here("benchmark", *psnr, "output=a (1).json", cwd=tmp_path).returncode == 0
    path = tmp_path / "a (1).json"
    result = json.loads(path.read_text())
    assert result["rows"][0]["seconds"] > 0
    fails(run_here("benchmark", *psnr, "output=a (1).json", cwd=tmp_path), "a (1).json", "overwrite=true")
    result["rows"][0] |= {"seconds": 1e-9, "low": 1e-9, "high": 1e-9}
    result["machine"]["threads"] = 77
    path.write_text(json.dumps(result))
    ended = run_here("benchmark", *psnr, "--compare", "a (1).json", "output=b.json", cwd=tmp_path)
    fails(ended, "a (1).json", "psnr takes", "times the seconds")
    assert "threads: 77 there" in ended.stdout and (tmp_path / "b.json").is_file()
    result["rows"][0] |= {"seconds": 99.0, "low": 98.0, "high": 100.0}
    path.write_text(json.dumps(result))
    assert run_here("benchmark", *psnr, "compare=a (1).json", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], ["the kind is missing", "infer, train, data, metrics, start"]),
        (["inference"], ["inference: cannot be measured", "infer, train, data, metrics, start"]),
        (["infer", "ways=tile", "size=8x8"], ["ways=tile", "did you mean 'tiles'"]),
        (["infer", "size=10"], ["size=10", "WIDTHxHEIGHT"]),
        (["infer", "repeats=0"], ["repeats=0", "above 0"]),
        (["infer", "model=edsr_raw", "size=8x8"], ["nothing could be measured"]),
        (["metrics", "compare=none.json"], ["compare=none.json", "no such file"]),
        (["metrics", "device=tpu"], ["device=tpu"]),
        (["metrics", "output=no/such/../file.json", "ways=no"], ["ways=no"]),
    ],
)
def test_mistakes_are_one_sentence(args: list[str], words: list[str], tmp_path: Path) -> None:
    fails(run_here("benchmark", *args, cwd=tmp_path), *words)


def test_beside_spandrel(tmp_path: Path, spandrel: Any) -> None:
    """The same weights there give the same picture; what it does not have is named."""
    small = ["model.num_features=12", "model.num_groups=1", "model.num_blocks=2", "model.num_heads=3"]
    typed = ("size=24x16", "ways=whole,spandrel", "memory=false", "repeats=1", "precision=float32")
    rows = measured(tmp_path, "infer", "model=swinir_light", *small, *typed)
    assert list(rows) == ["whole", "spandrel"] and rows["spandrel"]["levels"] <= 1
    ended = run_here("benchmark", "infer", "model=espcn", *typed, cwd=tmp_path)
    assert "espcn x2, spandrel, float32: left out: spandrel has no ESPCN" in ended.stderr
