"""A data set's faults are found and named; a good set has none."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_lightning.data.benchmarks import Benchmarks
from sr_lightning.data.folder import Folder
from sr_lightning.data.verify import MATLAB, WAYS, describe, verify
from sr_lightning.errors import DataError


@pytest.fixture
def pairs(real_data: Path, tmp_path: Path) -> Callable[[str], Folder]:
    """Set5 with LR pictures made in one of the ways."""

    def make(way: str, scale: int = 2) -> Folder:
        hr_dir, lr_dir = tmp_path / "hr", tmp_path / "lr"
        hr_dir.mkdir()
        lr_dir.mkdir()
        for path in sorted((real_data / "Set5").glob("*.png")):
            shutil.copy(path, hr_dir)
            pixels = np.array(Image.open(path))
            height, width = (side // scale * scale for side in pixels.shape[:2])
            Image.fromarray(WAYS[way](pixels[:height, :width], scale)).save(lr_dir / path.name)
        return Folder(scale, hr_dir=str(hr_dir), lr_dir=str(lr_dir), num_val=1)

    return make


def test_published_lr_pictures_are_matlabs(real_data: Path, tmp_path: Path) -> None:
    hr = tmp_path / "hr"
    shutil.copytree(real_data / "Set5", hr)
    lr = real_data / "golden_lr" / "Set5_swinir" / "X3"
    training, held_out = verify(Folder(3, hr_dir=str(hr), lr_dir=str(lr), num_val=1))
    assert training.lr == held_out.lr == f"equal to {MATLAB} of HR in every pixel"
    assert not training.problems and not held_out.problems
    assert training.pictures == 4


@pytest.mark.parametrize("way", [way for way in WAYS if way != MATLAB])
def test_other_ways_are_recognised(pairs: Callable[[str], Folder], way: str) -> None:
    training, _ = verify(pairs(way))
    assert training.lr.endswith(f"equal to {way}")
    assert bool(training.problems) == way.startswith("the first")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_first_pixels_lie_half_a_step_too_early(pairs: Callable[..., Folder], scale: int) -> None:
    problem = verify(pairs("the first of every few pixels", scale))[0].problems[0]
    rows = float(problem.split("shifted by ")[1].split()[0])
    # The sample lies (scale - 1) / 2 HR pixels before the middle of its block: content appears later.
    assert rows == pytest.approx((scale - 1) / 2 / scale, abs=0.1)


def test_every_fault_is_named(pairs: Callable[[str], Folder]) -> None:
    data = pairs(MATLAB)
    hr, lr = data.hr_dir, data.lr_dir
    assert lr is not None
    (hr / "baby.png").write_bytes((hr / "baby.png").read_bytes()[:5000])
    Image.new("RGB", (10, 10)).save(lr / "bird.png")
    Image.new("RGB", (64, 64), "red").save(hr / "flat.png")
    Image.new("RGB", (32, 32), "red").save(lr / "flat.png")
    shutil.copy(hr / "woman.png", hr / "twin.png")
    shutil.copy(lr / "woman.png", lr / "twin.png")
    Image.new("RGB", (1, 1)).save(hr / "tiny.png")
    Image.new("RGB", (1, 1)).save(lr / "tiny.png")
    reports = verify(data)
    text = describe(reports)
    for expected in (
        f"{hr / 'baby.png'}: ",
        f"{hr / 'bird.png'}: has 288x288 pixels and {lr / 'bird.png'} 10x10; scale 2 needs 144x144",
        f"{hr / 'flat.png'}: every pixel has the same value",
        f"{hr / 'tiny.png'}: 1x1 pixels are too few for scale 2",
        f"{hr / 'woman.png'}: the same picture as {hr / 'twin.png'}",
        "5 problems",
    ):
        assert expected in text, text


def test_swapped_pictures_are_suspected(pairs: Callable[[str], Folder]) -> None:
    data = pairs(MATLAB)
    assert data.lr_dir is not None
    Image.open(data.lr_dir / "bird.png").transpose(Image.Transpose.ROTATE_180).save(data.lr_dir / "bird.png")
    assert any("another picture?" in problem for problem in verify(data)[0].problems)


def test_training_on_test_pictures_is_told(real_data: Path) -> None:
    data = Folder(2, hr_dir=str(real_data / "Set5"), val_hr_dir=str(real_data / "Set5"))
    assert not any(report.problems for report in verify(data))  # the same files: chosen knowingly
    copies = Benchmarks(2, root=str(real_data), sets=["set5"])
    assert verify(copies)[0].pictures == 5


def test_hr_without_lr_is_a_problem(pairs: Callable[[str], Folder]) -> None:
    data = pairs(MATLAB)
    assert data.lr_dir is not None
    (data.lr_dir / "bird.png").unlink()
    (data.lr_dir / "woman.png").unlink()
    with pytest.raises(DataError, match=r"bird.png: no LR picture bird or birdx2 in .*lr, nor have 1 others"):
        verify(data)
