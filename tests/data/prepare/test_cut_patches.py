"""Patches of pictures in memory, which no store had to be made for."""

from typing import Any

import numpy as np
import pytest

from sr_lightning.data.patches.dataset import MixedPatchDataset, PatchDataset, check_pairs, cut_patches
from sr_lightning.errors import ConfigError, DataError


class Pictures:
    """What patches need of a store."""

    def __init__(self, *pictures: np.ndarray) -> None:
        self.pictures = pictures
        self.names, self.dtype = [f"{i}.png" for i in range(len(pictures))], pictures[0].dtype
        self.shapes = [picture.shape for picture in pictures]

    def __len__(self) -> int:
        return len(self.pictures)


def stores(scale: int, sizes: list[tuple[int, int]], channels: int = 3) -> tuple[Any, Any]:
    made = [
        np.arange(channels * h * w, dtype=np.uint16).reshape(channels, h, w) for h, w in sizes
    ]  # every sample another
    return Pictures(*made), Pictures(*(picture[:, ::scale, ::scale].copy() for picture in made))


def test_what_a_patch_is() -> None:
    hr, lr = stores(4, [(24, 40)])
    half = Pictures(hr.pictures[0][:, ::2, ::2].copy())
    data: Any = PatchDataset(hr, lr, 4, 16, {2: half})  # type: ignore[dict-item]
    assert data.layout == {"lr": "3x4x4 uint16", "hr": "3x16x16 uint16", "hr_x2": "3x8x8 uint16"}
    assert PatchDataset(hr, hr, 1, 16, enlarged=True).layout["scale"] == "1"
    assert "scale" not in PatchDataset(hr, hr, 1, 16)[[0, 0, 0, 0]]
    assert PatchDataset(hr, hr, 1, 16, enlarged=True)[[0, 0, 0, 0]]["scale"] == 1
    batch = data[[0, 1, 3, 0]]
    assert np.array_equal(batch["hr"][0], hr.pictures[0][:, 4:20, 12:28])
    assert np.array_equal(batch["hr_x2"][0], half.pictures[0][:, 2:10, 6:14])
    assert np.array_equal(batch["lr"][0], lr.pictures[0][:, 1:5, 3:7]) and batch["name"] == ["0.png"]


def test_batches_keep_the_order_of_their_draws() -> None:
    hr, lr = stores(2, [(12, 12), (16, 14)])
    batch: Any = PatchDataset(hr, lr, 2, 8).__getitems__(np.array([[1, 0, 1, 0], [0, 2, 2, 0], [1, 4, 3, 0]]))
    assert batch["name"] == ["1.png", "0.png", "1.png"]
    for patch, (picture, y, x) in zip(batch["lr"], ((1, 0, 1), (0, 2, 2), (1, 4, 3)), strict=True):
        assert np.array_equal(patch, lr.pictures[picture][:, y : y + 4, x : x + 4])


@pytest.mark.parametrize(
    ("patch_size", "use"), [(9, "use 8 or 12"), (3, "use 4 or 8"), (15, "use 12 or 16"), (2, "use 4 or 8")]
)
def test_sides_that_are_no_multiple(patch_size: int, use: str) -> None:
    with pytest.raises(ConfigError, match=f"data.patch_size={patch_size} .* is not a multiple of scale=4; {use}"):
        PatchDataset(*stores(4, [(24, 24)]), 4, patch_size)


def test_pictures_that_do_not_fit() -> None:
    hr, lr = stores(4, [(24, 24), (27, 19)])
    lr = Pictures(lr.pictures[0], lr.pictures[1][:, :6, :4])
    assert PatchDataset(hr, lr, 4, 16).patch_size == 16  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"1\.png: 27x19 pixels are fewer than data.patch_size=20; use at most 16"):
        PatchDataset(hr, lr, 4, 20)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="there are 2 HR pictures but 1 LR pictures"):
        check_pairs(hr, Pictures(lr.pictures[0]), 4)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"HR 0\.png has 24x24 pixels and LR 0\.png 6x6: at scale 3 .* must have 8x8"):
        check_pairs(hr, lr, 3)  # type: ignore[arg-type]
    grey = Pictures(lr.pictures[0][:1], lr.pictures[1])
    with pytest.raises(DataError, match=r"0\.png: has 3 channels, its LR picture 1, and others another number"):
        PatchDataset(hr, grey, 4, 16)  # type: ignore[arg-type]


def test_patches_that_are_pictures_already() -> None:
    hr, lr = stores(2, [(13, 20), (16, 11)])
    lr = Pictures(*(picture[:, : h // 2, : w // 2] for picture, (_, h, w) in zip(lr.pictures, hr.shapes, strict=True)))
    assert cut_patches(hr, lr, 2, None).patch_size == 10  # type: ignore[arg-type]
    assert cut_patches(hr, lr, 2, 6).patch_size == 6  # type: ignore[arg-type]


def test_pictures_that_have_been_enlarged() -> None:
    hr, _ = stores(2, [(12, 15)])
    other: Any = Pictures(hr.pictures[0] + 1)
    data = cut_patches(hr, other, 2, None)
    assert (data.scale, data.patch_size, data.enlarged) == (1, 12, True)
    assert not cut_patches(hr, hr, 1, None).enlarged
    with pytest.raises(DataError, match=r"0\.png: LR and HR are the same picture"):
        cut_patches(hr, hr, 2, None)
    with pytest.raises(DataError, match="which leaves no levels for the targets of a pyramid"):
        cut_patches(hr, other, 2, None, {2: other})


def test_mixed_scales_say_theirs() -> None:
    parts = {scale: PatchDataset(*stores(scale, [(24, 24)]), scale, 12) for scale in (2, 3)}
    mixed = MixedPatchDataset(parts)
    assert len(mixed) == 1
    batch: Any = mixed[[0, 1, 2, 0, 3]]
    assert batch["scale"] == 3 and np.array_equal(batch["hr"], parts[3][[0, 1, 2, 0]]["hr"])
