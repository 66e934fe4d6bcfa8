from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_lightning.config import compose
from sr_lightning.errors import SRError
from sr_lightning.inference.files.jobs import find_jobs
from sr_lightning.inference.loading import load
from sr_lightning.upscale import upscale


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    return path


def run(path: Path, *overrides: str) -> list[Path]:
    return upscale(compose("upscale", [f"input={path}", "model=espcn", "device=cpu", *overrides]))


def test_bicubic_is_written_beside(picture: Path) -> None:
    written = run(picture, "compare=true")
    assert [path.name for path in written] == ["a_x2.png", "a_x2_bicubic.png"]
    expected = load("bicubic", 2, device="cpu").upscale(np.asarray(Image.open(picture)))
    assert np.array_equal(np.asarray(Image.open(written[1])), expected)


def test_any_factor_has_one_size(picture: Path) -> None:
    assert {Image.open(path).size for path in run(picture, "compare=true", "factor=2.7")} == {(81, 54)}


def test_nothing_is_written_beside_by_default(picture: Path) -> None:
    assert [path.name for path in run(picture)] == ["a_x2.png"]


def test_it_replaces_nothing(picture: Path) -> None:
    picture.with_name("a_x2_bicubic.png").write_bytes(b"mine")
    with pytest.raises(SRError, match="is there already"):
        run(picture, "compare=true")
    assert not picture.with_name("a_x2.png").exists()


def test_what_is_missing_is_made_and_what_is_there_stays(picture: Path) -> None:
    run(picture, "compare=true")
    kept = picture.with_name("a_x2_bicubic.png").stat().st_mtime_ns
    picture.with_name("a_x2.png").unlink()
    assert [path.name for path in run(picture, "compare=true", "overwrite=skip")] == ["a_x2.png"]
    assert picture.with_name("a_x2_bicubic.png").stat().st_mtime_ns == kept


def test_another_picture_of_that_name_is_a_twin(picture: Path, tmp_path: Path) -> None:
    picture.with_name("a_bicubic.png").write_bytes(picture.read_bytes())
    with pytest.raises(SRError, match="its result would have the name of that of"):
        run(picture.parent, "compare=true", "pattern=%name", f"output={tmp_path / 'out'}")


def test_it_is_no_picture_of_the_next_run(picture: Path) -> None:
    run(picture, "compare=true")
    jobs = find_jobs(compose("upscale", [f"input={picture.parent}"]))
    assert [job.source.name for job in jobs] == ["a.png"]
