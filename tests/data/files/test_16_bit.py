"""Pictures of 16 bit are trained, cut, streamed, verified and evaluated in 16 bit: none becomes black."""

from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import albumentations
import cv2
import h5py
import numpy as np
import pytest
import torch

from sr_lightning.config import compose
from sr_lightning.data import HDF5, Folder, Mixture
from sr_lightning.data.files.io import read_picture
from sr_lightning.data.patches.levels import to_uint16
from sr_lightning.data.prepare.shard_writing import write_shards
from sr_lightning.data.prepare.verify import verify
from sr_lightning.data.sets.shards import Shards
from sr_lightning.degradations import Bicubic, Compose, GaussianBlur, Noise, Subsample
from sr_lightning.evaluation.scoring import score_sets
from sr_lightning.functional import imresize
from sr_lightning.metrics import Protocol
from sr_lightning.models import ESPCN
from sr_lightning.models import Bicubic as BicubicModel
from sr_lightning.prepare import prepare

BRIGHTEST = 120  # of 65535: less than half a level of 8 bit
OPTIONS: dict[str, Any] = {"patch_size": 24, "batch_size": 4, "batches_per_epoch": 2, "num_workers": 0}


def dark(height: int = 40, width: int = 48, seed: int = 0) -> np.ndarray:
    """``(H, W, 3)`` uint16."""
    coarse = np.random.default_rng(seed).uniform(0, BRIGHTEST, (6, 6, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).round().astype(np.uint16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures that 8 bit would turn black."""
    made = tmp_path / "dark"
    made.mkdir()
    for i in range(4):
        cv2.imwrite(str(made / f"{i}.png"), dark(seed=i))
    return made


def first_batch(data: Any) -> Any:
    data.setup("fit")
    return next(iter(data.train_dataloader()))


def in_range(batch: Any) -> bool:
    """Whether HR and LR are dark pictures of 16 bit, of the same content."""
    arrays = [batch[key].numpy() for key in ("hr", "lr")]
    return all(a.dtype == np.uint16 and 40 < a.max() <= BRIGHTEST + 8 for a in arrays) and (
        abs(arrays[0].mean() - arrays[1].mean()) < 3
    )


@pytest.mark.parametrize("way", ["bicubic", "fixed", "random", "lapsrn", "transform"])
def test_patches(way: str, folder: Path) -> None:
    blurred = Compose([GaussianBlur(1.0, 7), Subsample()], name="blurred")
    options: dict[str, Any] = {
        "bicubic": {"degradation": Bicubic()},
        "fixed": {"degradation": blurred},
        "random": {"degradation": Compose([Bicubic(), Noise([0.0, 0.01])], name="random")},
        "lapsrn": {"augment": "lapsrn", "patch_size": 16},
        "transform": {"transform": [albumentations.HorizontalFlip(), albumentations.RandomBrightnessContrast(0, 0)]},
    }[way]
    assert in_range(first_batch(Folder(2, str(folder), num_val=1, **{**OPTIONS, **options})))


def test_lr_is_matlabs_to_half_a_level(folder: Path) -> None:
    data = Folder(2, str(folder), num_val=1, **OPTIONS)
    data.setup("fit")
    hr, lr = data.patches.hr.pictures[0], data.patches.lr.pictures[0]  # type: ignore[union-attr]
    expected = imresize(torch.from_numpy(hr.astype(float)) / 65535, 0.5) * 65535
    assert np.abs(lr - expected.numpy()).max() <= 0.5


def test_patches_become_numbers_from_0_to_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ESPCN, "trainer", SimpleNamespace(training=True))
    batch: Any = {"hr": torch.tensor([0, 257, 65535]).to(torch.uint16), "lr": torch.tensor([0, 51]).to(torch.uint8)}
    changed = ESPCN(scale=2).on_after_batch_transfer(batch, 0)
    torch.testing.assert_close(changed["hr"], torch.tensor([0, 1 / 255, 1]))
    torch.testing.assert_close(changed["lr"], torch.tensor([0.0, 0.2]))


def test_a_mixture_with_8_bit(folder: Path, picture_folder: Any) -> None:
    sets = {"deep": Folder(2, str(folder), num_val=1), "plain": Folder(2, str(picture_folder()), num_val=1)}
    data = Mixture(2, sets, **{**OPTIONS, "batch_size": 16})
    batch = first_batch(data)
    plain = np.array([not name.isdigit() or len(name) > 1 for name in batch["name"]])
    hr = batch["hr"].numpy()
    assert hr.dtype == np.uint16 and 0 < plain.sum() < len(plain)
    assert hr[~plain].max() <= BRIGHTEST and hr[plain].max() > 20000 and not (hr[plain] % 257).any()


def test_shards(folder: Path, tmp_path: Path) -> None:
    write_shards(Folder(2, str(folder), num_val=1), tmp_path / "shards", 2)
    data = Shards(2, str(tmp_path / "shards"), str(folder), **OPTIONS)
    for batch in islice(data.train_dataloader(), 2):
        assert in_range(batch)


@pytest.mark.parametrize("single_y", [False, True])
def test_cut_patches_and_hdf5(single_y: bool, folder: Path, tmp_path: Path) -> None:
    keys = [f"input={folder}", "use_h5py=true", f"output={tmp_path / 'x.h5'}", f"single_y={str(single_y).lower()}"]
    prepare(compose("prepare", [*keys, "width=16", "height=16", "stride=16", "upscale_factor=2", "seed=null"]))
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["hr"].dtype == file["lr"].dtype == np.uint16
        if not single_y:
            np.testing.assert_array_equal(file["hr"][0], read_picture(folder / "0.png")[:16, :16])
    data = HDF5(2, str(tmp_path / "x.h5"), **{**OPTIONS, "patch_size": None})
    batch = first_batch(data)
    assert batch["hr"].dtype == torch.uint16 and (single_y or in_range(batch))
    assert not [text for report in verify(data) for text in report.problems]


@pytest.mark.parametrize("kind", ["bicubic", "bilinear", "nearest", "antialias"])
def test_cut_patches_as_files(kind: str, folder: Path, tmp_path: Path) -> None:
    keys = [f"input={folder}", f"output_hr={tmp_path / 'hr'}", f"output_lr={tmp_path / 'lr'}", f"upsampling={kind}"]
    prepare(compose("prepare", [*keys, "width=16", "height=16", "stride=16", "upscale_factor=2", "same_size=true"]))
    hr, lr = (read_picture(next((tmp_path / part).glob("0.png_0_*.png"))) for part in ("hr", "lr"))
    np.testing.assert_array_equal(hr, read_picture(folder / "0.png")[:16, :16])
    assert lr.dtype == np.uint16 and 0 < np.abs(lr.astype(int) - hr).max() < 30


def test_verify_compares_in_16_bit(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "lr").mkdir()
    for path in folder.iterdir():
        picture = torch.from_numpy(read_picture(path).astype(float)).permute(2, 0, 1) / 65535
        small = (imresize(picture, 0.5) * 65535 + 0.5).floor().permute(1, 2, 0).numpy().astype(np.uint16)
        cv2.imwrite(str(tmp_path / "lr" / path.name), small[..., ::-1])
    reports = verify(Folder(2, str(folder), str(tmp_path / "lr"), num_val=1))
    assert [report.problems for report in reports] == [[], []]
    assert all("equal to MATLAB bicubic" in report.lr for report in reports)


def test_evaluation(folder: Path) -> None:
    data = Folder(2, str(folder), num_val=1, **OPTIONS)
    data.setup("test")
    sample = data.val_sets["dark"][0]
    expected = read_picture(folder / "0.png").transpose(2, 0, 1)
    np.testing.assert_allclose(sample["hr"].numpy() * 65535, expected, atol=1e-2)
    assert 40 < float(sample["lr"].max()) * 65535 <= BRIGHTEST + 8
    scores = [
        score_sets(BicubicModel(scale=2, protocol=Protocol("x", space="rgb", quantize=quantize)), data)["dark"]["psnr"]
        for quantize in (True, False)
    ]
    assert scores[1] > scores[0] + 15  # 8-bit files would be black


def test_8_bit_to_16_and_back() -> None:
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_uint16(levels) // 257, levels) and to_uint16(levels)[-1] == 65535
