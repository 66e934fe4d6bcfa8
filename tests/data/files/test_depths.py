"""Pictures of 8 and of 16 bit, and the numbers between."""

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.data.patches.levels import levels_of, pillow_resized, same_depth, to_float, to_levels, to_uint16

EIGHT = np.array([[[0, 1, 128], [254, 255, 7]]], dtype=np.uint8)
SIXTEEN = EIGHT.astype(np.uint16) * 257


def test_one_becomes_the_other() -> None:
    assert np.array_equal(to_uint16(EIGHT), SIXTEEN) and to_uint16(EIGHT).dtype == np.uint16
    assert to_uint16(SIXTEEN) is SIXTEEN
    assert levels_of(EIGHT.dtype) == 255 and levels_of(SIXTEEN.dtype) == 65535


def test_the_deepest_decides() -> None:
    same = same_depth([EIGHT, EIGHT])
    assert all(picture is EIGHT for picture in same)
    first, second = same_depth([EIGHT, SIXTEEN])
    assert first.dtype == second.dtype == np.uint16 and np.array_equal(first, second) and second is SIXTEEN


@pytest.mark.parametrize("picture", [EIGHT, SIXTEEN])
def test_numbers_of_levels(picture: np.ndarray) -> None:
    numbers = to_float(picture)
    assert numbers.dtype == torch.float64 and numbers.shape == (1, 2, 3)
    torch.testing.assert_close(numbers, torch.from_numpy(EIGHT).double() / 255)
    assert np.array_equal(to_levels(numbers, picture.dtype), picture)
    assert to_levels(numbers, picture.dtype).dtype == picture.dtype


@pytest.mark.parametrize("how", [Image.Resampling.BICUBIC, Image.Resampling.BOX])
def test_pillows_resize_of_both_depths(how: Image.Resampling) -> None:
    eight = np.random.default_rng(0).integers(0, 256, (3, 12, 20), dtype=np.uint8)
    eight[:, :, 8:] = 255  # bicubic values beyond white are cut off
    eight[:, :, :8] //= 250
    small = pillow_resized(eight, (9, 5), how)
    assert small.shape == (3, 9, 5) and small.dtype == np.uint8
    for channel, expected in zip(small, eight, strict=True):
        assert np.array_equal(channel, np.asarray(Image.fromarray(expected).resize((5, 9), how)))
    deep = pillow_resized(to_uint16(eight), (9, 5), how)
    assert deep.shape == (3, 9, 5) and deep.dtype == np.uint16
    assert np.abs(deep / 257 - small).max() < 1.1 and deep.max() == 65535
    assert np.abs(deep / 257 - small).max() > 0.01  # 16 bit, and not 8
