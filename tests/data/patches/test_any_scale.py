"""Patches at drawn scales: aligned, drawn from the seed alone, within the range."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.config import build, compose
from sr_lightning.data.patches.any_scale import AnyScalePatchDataset, scale_range
from sr_lightning.data.patches.store import open_store, resized
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional import undo_dihedral

SIZES = [(60, 75), (64, 50)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures whose pixels say where they are."""
    folder = tmp_path_factory.mktemp("hr")
    for i, (h, w) in enumerate(SIZES):
        pixels = np.stack([*np.mgrid[:h, :w], np.full((h, w), i)], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def patches(folder: Path, side: int = 12, high: float = 4) -> AnyScalePatchDataset:
    return AnyScalePatchDataset(open_store(sorted(folder.glob("*.png")), folder / "cache"), side, (1, high))


def test_lr_is_made_of_the_hr_patch(folder: Path) -> None:
    data = patches(folder)
    for draw in data.sampler(3, 6):
        batch = data.__getitems__(draw)
        size = int(draw[0, -1])
        assert batch["lr"].shape == (3, 3, 12, 12) and batch["hr"].shape == (3, 3, size, size)
        for i, (k, y, x, op, _) in enumerate(draw.tolist()):
            hr = undo_dihedral(batch["hr"][i], op)
            assert hr[:, 0, 0].tolist() == [y, x, k] and hr[:, -1, -1].tolist() == [y + size - 1, x + size - 1, k]
            assert np.array_equal(batch["lr"][i].numpy(), resized(batch["hr"][i].numpy(), size=(12, 12)))


def test_scales_are_even_between_the_ends(folder: Path) -> None:
    draws = list(patches(folder, side=12, high=4).sampler(2, 2000))
    sizes = np.array([draw[0, -1] for draw in draws])
    assert (sizes.min(), sizes.max()) == (12, 48)
    assert np.mean(sizes / 12) == pytest.approx(2.5, abs=0.05)
    assert np.std(sizes / 12) == pytest.approx(3 / 12**0.5, abs=0.05)
    assert all((draw[:, -1] == draw[0, -1]).all() for draw in draws)


def test_a_batch_depends_on_seed_epoch_and_number_alone(folder: Path) -> None:
    data = patches(folder)
    one, other = data.sampler(4, 10), data.sampler(4, 10)
    other.set_epoch(1)
    assert np.array_equal(one.draw(1, 7), list(other)[7])
    assert not np.array_equal(one.draw(1, 7), data.sampler(4, 10, seed=2).draw(1, 7))
    halves = [data.sampler(2, 10, rank=rank, world_size=2).draw(1, 7) for rank in range(2)]
    assert np.array_equal(np.concatenate(halves), one.draw(1, 7))


def test_what_does_not_fit_is_told(folder: Path) -> None:
    with pytest.raises(DataError, match=r"64x50 pixels are fewer than the 52 of LR patches of 13 pixels at scale 4"):
        patches(folder, side=13)
    for text in ("4-1", "0.5-2", "2", "a-b", "1-"):
        with pytest.raises(ConfigError, match=f"data.scales={text}: must be two numbers from 1"):
            scale_range(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["degradation=bd"], "data.scales=1-4: LR is made bicubically of each patch; leave degradation out"),
        (["data.augment=lapsrn"], "draws the sizes itself"),
        (["data.patch_size=25"], r"data.patch_size=25 \(in HR pixels\) is not a multiple of scale=2"),
    ],
    ids=str,
)
def test_what_drawn_scales_do_not_have(options: list[str], message: str, folder: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        build(compose("train", ["data=folder", f"data.hr_dir={folder}", "data.scales=1-4", *options]).data)


def test_data_of_a_config(folder: Path, tmp_path: Path) -> None:
    options = ["data=folder", f"data.hr_dir={folder}", f"data.val_hr_dir={folder}", "data.scales=1-2.5", "scale=2"]
    data: Any = build(compose("train", [*options, "data.patch_size=40", f"data.cache_dir={tmp_path}"]).data)
    data.prepare_data()
    data.setup("fit")
    assert data.describe() == "2 pictures, LR made of them at scales 1-2.5, LR patches of 20x20"
    batch = next(iter(data.train_dataloader()))
    assert batch["lr"].shape[2:] == torch.Size([20, 20]) and 20 <= batch["hr"].shape[2] <= 50


def test_networks_of_one_scale_need_a_list(folder: Path, tmp_path: Path) -> None:
    from sr_lightning.train import train

    options = ["model=espcn", "data=folder", f"data.hr_dir={folder}", f"data.val_hr_dir={folder}", "data.scales=1-2"]
    with pytest.raises(ConfigError, match=r"a range of scales is for networks of any scale, such as model=liif; ESPCN"):
        train(compose("train", [*options, "trainer=debug", "logger=none", f"run_dir={tmp_path / 'run'}"]))
    with pytest.raises(ConfigError, match=r"scale=2.5: is for evaluation alone"):
        build(
            compose("train", ["model=liif", *options[1:], "scale=2.5", f"data.cache_dir={tmp_path}"]).data
        ).prepare_data()
