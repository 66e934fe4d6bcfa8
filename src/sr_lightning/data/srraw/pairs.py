"""Makes a pair of LR and HR from two shots, with the mosaic of LR."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sr_lightning.data.srraw.fov import Affine, crop_map, resize_map
from sr_lightning.functional.bayer import dihedral_mosaic, pack, pattern_at

#: Frames (LR, HR) of a scene that make a pair, by scale.
PAIRS = {4: ((5, 1), (6, 2), (7, 3)), 8: ((6, 1),)}

Pixels = NDArray[np.uint8]  # (H, W, 3)
Box = tuple[int, int, int, int]  # left, upper, right, lower edge


class NoPairError(Exception):
    """The reason why two shots make no pair."""


@dataclass(frozen=True)
class Pair:
    """LR ``(2h, 2w, 3)``, HR ``(2h * scale, 2w * scale, 3)``, and the packed mosaic ``(h, w, 4)``: R, G, B, G."""

    lr: Pixels
    hr: Pixels
    raw: NDArray[np.float32]


def between(
    lr: int, hr: int, warps: Mapping[int, Affine], ratios: Mapping[int, float], size: tuple[int, int]
) -> Affine:
    """Maps pixels of one shot to pixels of another, in one map of crops and both warps.

    Args:
        lr: Number of the shot to begin in.
        hr: Number of the other.
        warps: From the reference to each frame's ``crop_fov``.
        ratios: Focal length of the reference / that of each frame.
        size: Height and width of all shots.
    """
    back = np.linalg.inv(crop_map(*size, ratios[lr]) @ warps[lr])
    there: Affine = crop_map(*size, ratios[hr]) @ warps[hr]
    return there @ back


def make_pair(
    lr: Pixels, hr: Pixels, mosaic: Tensor, pattern: str, to_hr: Affine, ratio: float, scale: int, margin: int = 20
) -> Pair:
    """The middle of an LR picture, what another one shows of it ``scale`` times as large, and its mosaic.

    The map is applied once, at the density of HR's own pixels; to fewer they are reduced with Lanczos.

    Args:
        lr: Picture of the shorter focal length.
        hr: Picture of the longer one.
        mosaic: ``(1, H, W)`` of the LR picture, whose middle is the same place; sizes may differ.
        pattern: Of the mosaic.
        to_hr: From pixels of ``lr`` to those of ``hr``.
        ratio: Focal length of the reference / that of ``lr``.
        scale: Whole factor between the two.
        margin: Left out of what the reference sees, in pixels of the packed mosaic.

    Raises:
        NoPairError: If the margin leaves nothing, or HR or mosaic do not cover it.
    """
    height, width = (2 * int(n / ratio / 2 - margin) for n in lr.shape[:2])
    if min(height, width) < 2:
        raise NoPairError(f"data.margin={margin} leaves nothing of {lr.shape[0]}x{lr.shape[1]} pixels")
    left, top, raw_left, raw_top = _place(lr.shape[:2], mosaic.shape[-2:], height, width, pattern)
    if not (0 <= raw_top <= mosaic.shape[-2] - height and 0 <= raw_left <= mosaic.shape[-1] - width):
        raise NoPairError(f"the mosaic of {mosaic.shape[-2]}x{mosaic.shape[-1]} pixels is smaller than the crop")
    box = (left, top, left + width, top + height)
    packed = pack(mosaic[:, raw_top : raw_top + height, raw_left : raw_left + width], order="rgbg")
    return Pair(
        np.ascontiguousarray(lr[top : top + height, left : left + width]),
        _warp(hr, to_hr, box, scale),
        np.ascontiguousarray(packed.movedim(0, -1).numpy(), dtype=np.float32),
    )


def turn_mosaic(mosaic: Tensor, pattern: str, upside_down: bool) -> tuple[Tensor, str]:
    """A mosaic and its pattern, turned by 180 degrees if so."""
    return dihedral_mosaic(mosaic, pattern, 3) if upside_down else (mosaic, pattern)


def _place(
    size: tuple[int, ...], raw_size: tuple[int, ...], height: int, width: int, pattern: str
) -> tuple[int, int, int, int]:
    """Left and top in the picture and in the mosaic: the middle, less a pixel where the mosaic is not RGGB there."""
    shift = [(raw - n) // 2 for raw, n in zip(raw_size, size, strict=True)]  # picture files lack some of the border
    top, left = ((n - side) // 2 for n, side in zip(size, (height, width), strict=True))
    for y, x in ((top - dy, left - dx) for dy in (0, 1) for dx in (0, 1)):
        if pattern_at(pattern, y + shift[0], x + shift[1]) == "RGGB":
            return x, y, x + shift[1], y + shift[0]
    raise AssertionError("one of four neighbours is red")


def _warp(hr: Pixels, to_hr: Affine, box: Box, scale: int) -> Pixels:
    """What a box of the LR picture shows in HR, ``scale`` times as large."""
    size = ((box[2] - box[0]) * scale, (box[3] - box[1]) * scale)
    last = np.array([[0, 0, 1], [size[0] - 1, 0, 1], [0, size[1] - 1, 1], [size[0] - 1, size[1] - 1, 1]])
    corners = (to_hr @ resize_map(size, box) @ last.T)[:2]
    if corners.min() < -0.5 or (corners.max(axis=1) > np.array(hr.shape[1::-1]) - 0.5).any():
        raise NoPairError("the HR picture does not cover the LR crop; a larger data.margin may help")
    density = max(1.0, math.sqrt(abs(np.linalg.det(to_hr[:2, :2]))) / scale)
    dense = (math.ceil(size[0] * density), math.ceil(size[1] * density))
    warped = cv2.warpAffine(
        hr,
        (to_hr @ resize_map(dense, box))[:2],
        dense,
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(Image.fromarray(warped).resize(size, Image.Resampling.LANCZOS))
