"""Sensors with several samples side by side under one colour, such as quad-Bayer: read as Bayer mosaics."""

import io
import struct
from typing import Any

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

from sr_lightning.data.files.raw.corrections import black_levels, tiled
from sr_lightning.data.files.raw.dng_tags import MOSAIC, DngTags
from sr_lightning.data.files.raw.opcodes import is_warp
from sr_lightning.functional.levels import to_levels

_RED_GREEN_BLUE = [0, 1, 2]


def block_of(filters: NDArray[np.uint8]) -> int:
    """How many samples a side lie under one colour of a Bayer pattern; 0 if the filters are no such pattern.

    Example:
        >>> bayer = np.array([[0, 1], [1, 2]])
        >>> block_of(bayer), block_of(bayer.repeat(2, 0).repeat(2, 1)), block_of(np.array([[0, 1], [2, 1]]))
        (1, 2, 0)
    """
    side = filters.shape[0] // 2
    if not side or filters.shape != (2 * side, 2 * side):
        return 0
    bayer = filters[::side, ::side]
    blocks = np.array_equal(bayer.repeat(side, 0).repeat(side, 1), filters)
    greens = [bayer[0, 1], bayer[1, 0]] if bayer[0, 0] != 1 else [bayer[0, 0], bayer[1, 1]]
    return side if blocks and greens == [1, 1] and np.unique(bayer).tolist() == _RED_GREEN_BLUE else 0


def phase_of(filters: NDArray[np.uint8]) -> tuple[int, int, int]:
    """How many samples a side lie under one colour, and the row and column where the first whole block begins.

    Example:
        >>> quad = np.array([[0, 1], [1, 2]]).repeat(2, 0).repeat(2, 1)
        >>> phase_of(np.roll(quad, 1, axis=1))
        (2, 0, 1)
    """
    for top in range(max(filters.shape[0] // 2, 1)):
        for left in range(max(filters.shape[1] // 2, 1)):
            if side := block_of(np.roll(filters, (-top, -left), axis=(0, 1))):
                return side, top, left
    return 0, 0, 0


def binned(raw: Any, tags: DngTags) -> tuple[io.BytesIO, DngTags, str]:
    """A DNG whose Bayer mosaic has the mean of each block's samples, its tags, and a sentence that says so.

    Raises:
        ValueError: If the tags are damaged.
    """
    assert tags.filters is not None
    side, top, left = phase_of(tags.filters)
    samples = raw.raw_image_visible.astype(np.float32)
    black = np.broadcast_to(black_levels(raw, tags), samples.shape)
    small, small_black = (_means(plane[top:, left:], side) for plane in (samples, black))
    levels = [float(small_black[y::2, x::2].mean()) for y in (0, 1) for x in (0, 1)]
    height, width = tags.filters.shape
    pattern = tiled(tags.filters, height + top, width + left)[top:, left:][: 2 * side : side, : 2 * side : side]
    ours: list[tuple[Any, ...]] = [
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, tuple(pattern.ravel().tolist()), True),  # CFAPattern
        (50713, "H", 2, (2, 2), True),  # BlackLevelRepeatDim
        (50714, "2I", 4, tuple(part for level in levels for part in (round(256 * level), 256)), True),  # BlackLevel
        (50717, "I", 1, int(raw.white_level), True),  # WhiteLevel
    ]
    content, means = io.BytesIO(), to_levels(torch.from_numpy(small / 65535), bits=16).numpy()
    try:
        extra = [(*tag, True) for tag in tags.camera] + ours
        tifffile.imwrite(content, means, photometric=MOSAIC, metadata=None, extratags=extra)
    except (struct.error, OverflowError) as error:
        raise ValueError(str(error)) from None
    content.seek(0)
    crop = tags.crop and tuple(np.subtract(tags.crop, (top, left, 0, 0)).clip(0) / side)
    rest = DngTags(crop=crop, baseline_exposure=tags.baseline_exposure, opcodes=tuple(filter(is_warp, tags.opcodes)))
    size = "x".join(map(str, small.shape))
    sentence = f"{side}x{side} samples share a colour filter; their means are a Bayer mosaic of {size} pixels"
    return content, rest, sentence


def _means(samples: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    height, width = (length // side for length in samples.shape)
    blocks = samples[: height * side, : width * side].reshape(height, side, width, side)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)
