"""A data set's faults are found and named; a good set has none."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from sr_lightning.data.patches.store import shrink
from sr_lightning.data.prepare.pair_checks import MATLAB, WAYS
from sr_lightning.data.prepare.shard_writing import write_shards
from sr_lightning.data.prepare.verify import describe, verify
from sr_lightning.data.raw_synthesis import RawSynthesis
from sr_lightning.data.sets.benchmarks import Benchmarks
from sr_lightning.data.sets.folder import Folder
from sr_lightning.data.sets.hdf5 import HDF5
from sr_lightning.data.sets.mixture import Mixture
from sr_lightning.data.sets.shards import Shards
from sr_lightning.degradations import Compose, GaussianBlur, Subsample
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
    assert bool(training.problems) == way.startswith("the ")


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


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_nearest_neighbour_of_pillow_is_the_middle(real_data: Path, scale: int) -> None:
    hr = np.array(Image.open(real_data / "Set5" / "bird.png"))
    height, width = (side // scale for side in hr.shape[:2])
    hr = hr[: height * scale, : width * scale]
    pillow = Image.fromarray(hr).resize((width, height), Image.Resampling.NEAREST)
    assert np.array_equal(WAYS["the middle of every few pixels"](hr, scale), np.array(pillow))


@pytest.fixture
def patches(real_data: Path, tmp_path: Path) -> Callable[..., HDF5]:
    """48x48 patches of Set5 and their LR at scale 2, of which ``change`` makes others."""

    def make(change: Callable[[Any, Any], tuple[Any, Any]] = lambda hr, lr: (hr, lr), **options: Any) -> HDF5:
        hrs, lrs = [], []
        for path in sorted((real_data / "Set5").glob("*.png")):
            hr = np.array(Image.open(path)).transpose(2, 0, 1)[:, :224, :224]
            lr = shrink("", hr, 2)
            for y in range(0, 176, 32):
                for x in range(0, 176, 32):
                    hrs.append(hr[:, y : y + 48, x : x + 48])
                    lrs.append(lr[:, y // 2 : y // 2 + 24, x // 2 : x // 2 + 24])
        hrs, lrs = change(np.stack(hrs), np.stack(lrs))
        with h5py.File(tmp_path / "set.h5", "w") as file:
            file.create_dataset("hr", data=hrs, chunks=(1, *hrs.shape[1:]), fletcher32=True)
            file.create_dataset("lr", data=lrs)
        return HDF5(2, file=str(tmp_path / "set.h5"), val_hr_dir=str(real_data / "Set5"), **options)

    return make


def test_patches_of_a_file_are_read_and_compared(patches: Callable[..., HDF5]) -> None:
    training, validation = verify(patches())
    assert training.pictures == 180 and training.kind == "patches" and validation.pictures == 5
    assert training.lr == f"equal to {MATLAB} of HR in every pixel (compared in 180 patches)"
    assert not training.problems


def holed(hr: Any, lr: Any) -> tuple[Any, Any]:
    hr = (hr / 255).astype(np.float32)
    hr[100, 0, 3, 3] = np.nan
    return hr, (lr / 255).astype(np.float32)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda hr, lr: (hr, lr[::-1]), "set.h5: lr and hr do not show the same"),
        (lambda hr, lr: (hr, hr[:, :, ::2, ::2]), "the LR pictures are shifted by .* against MATLAB bicubic"),
        (lambda hr, lr: (hr, lr.repeat(2, axis=2).repeat(2, axis=3)[::-1]), "lr and hr do not show the same"),
        (lambda hr, lr: (hr, np.roll(hr, 1, axis=2)), "lr lies .1... rows and .* after hr"),
        (lambda hr, lr: (hr, hr), "lr and hr are the same pictures"),
        (lambda hr, lr: (hr // 255 * 0, lr), "hr: 180 of 180 patches have the same value in every pixel"),
        (holed, "hr: 1 of 180 patches have values that are no finite numbers"),
    ],
)
def test_faults_of_a_file_of_patches(patches: Callable[..., HDF5], change: Any, problem: str) -> None:
    data = patches(change, value_range=1 if change is holed else None)
    report = verify(data)[0]
    assert len(report.problems) == 1
    assert re.search(problem, report.problems[0]), report.problems


def test_a_file_of_patches_that_is_missing_or_damaged(patches: Callable[..., HDF5], tmp_path: Path) -> None:
    data = patches()
    content = bytearray(data.file.read_bytes())
    with h5py.File(data.file) as file:
        content[file["hr"].id.get_chunk_info(77).byte_offset + 5] ^= 1
    data.file.write_bytes(content)
    assert "set.h5: damaged" in verify(data)[0].problems[0]
    data.file = tmp_path / "nonexistent.h5"
    assert verify(data)[0].problems == [f"{tmp_path / 'nonexistent.h5'}: no such file"]


def test_all_shards_are_read(pairs: Callable[[str], Folder], tmp_path: Path) -> None:
    data = pairs("Pillow bicubic")
    urls = write_shards(data, tmp_path / "shards", 1)
    shards = Shards(2, urls=str(tmp_path / "shards"), val_hr_dir=str(data.hr_dir))
    training, _ = verify(shards)
    assert training.pictures == 4 and training.lr.endswith("equal to Pillow bicubic")
    assert not training.problems
    urls[1].write_bytes(urls[2].read_bytes())
    urls[3].write_bytes(urls[3].read_bytes()[:5000])
    problems = verify(shards)[0].problems
    assert f"{urls[2]}: butterfly: the same picture as {urls[1]}: butterfly" in problems[0]
    assert problems[1].startswith(f"{urls[3]}: cannot be read as a tar file")
    assert len(problems) == 2


def test_a_mixture_is_checked_set_by_set(pairs: Callable[[str], Folder], picture_folder: Callable[..., Path]) -> None:
    folder = picture_folder()
    sets = {"a": pairs(MATLAB), "b": Folder(2, hr_dir=str(folder), num_val=1)}
    reports = verify(Mixture(2, sets, val_set="b"))
    assert [report.name for report in reports] == ["training a", "training b", "b held_out"]
    (folder / "02.png").write_bytes(b"no picture")
    problems = [report.problems for report in verify(Mixture(2, sets))]
    assert [len(found) for found in problems] == [0, 1, 0, 0]
    assert f"{folder / '02.png'}" in problems[1][0]


def test_every_scale_is_checked(picture_folder: Callable[..., Path]) -> None:
    hr, lr = picture_folder(), picture_folder("lr", size=(30, 36))
    for path in sorted(lr.iterdir()):
        path.rename(lr / f"{path.stem}x2.png")
        shutil.copy(lr / f"{path.stem}x2.png", lr / f"{path.stem}x3.png")
    reports = verify(Folder(2, hr_dir=str(hr), lr_dir=str(lr), num_val=1, scales=[2, 3]))
    assert [report.name for report in reports] == ["training x2", "training x3", "held_out"]
    assert not any("scale 2 needs" in problem for problem in reports[0].problems)
    assert all("scale 3 needs 20x24" in problem for problem in reports[1].problems)


def test_what_cannot_be_checked_is_said(picture_folder: Callable[..., Path]) -> None:
    folder = str(picture_folder())
    synthesis, plain = RawSynthesis(2, hr_dir=folder, num_val=1), Folder(2, hr_dir=folder, num_val=1)
    text = describe(verify(Mixture(2, {"a": plain, "b": synthesis})))
    assert "training b: not checked, because RawSynthesis reads its files in a way of its own" in text
    assert text.endswith("no problems in what was checked")
    with pytest.raises(DataError, match="nothing to verify, because RawSynthesis reads"):
        verify(synthesis)


def test_lr_is_said_to_be_made_by_the_degradation(picture_folder: Callable[..., Path]) -> None:
    blur = Compose([GaussianBlur(1.6, size=7), Subsample()], name="bd")
    report = verify(Folder(2, hr_dir=str(picture_folder()), num_val=1, degradation=blur))[0]
    assert report.lr == "none in the set; made by degradation bd x2"


def test_a_folder_too_small_to_hold_out_is_one_set(real_data: Path, tmp_path: Path) -> None:
    hr = tmp_path / "hr"
    shutil.copytree(real_data / "Set5", hr)
    (report,) = verify(Folder(2, hr_dir=str(hr), lr_dir=str(real_data / "golden_lr" / "Set5_swinir" / "X2"), num_val=5))
    assert (report.name, report.pictures) == ("hr", 5)
    assert report.lr == f"equal to {MATLAB} of HR in every pixel"
