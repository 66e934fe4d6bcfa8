"""Planes of luma and chroma, as videos hold them, to RGB and back: the closed form, rounded once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: FFmpeg's number of a matrix (that of ITU-T H.273) -> the shares of red and blue in luma.
WEIGHTS = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601 of PAL
    6: (0.299, 0.114),  # BT.601 of NTSC
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}


def yuv_to_rgb(planes: Sequence[NDArray[Any]], matrix: int, full: bool, bits: int) -> NDArray[Any]:
    """RGB ``(H, W, 3)`` in [0, 1] of one plane or three, whose chroma may have half the rows or columns.

    Args:
        planes: Whole numbers ``(H, W)``, ``(h, w)`` and ``(h, w)``.
        matrix: A key of ``WEIGHTS``.
        full: Luma is 0 to 255; otherwise 16 to 235, and chroma 16 to 240.
        bits: Of the numbers.

    Example:
        >>> yuv_to_rgb([np.array([[16, 235]])] + 2 * [np.array([[128, 128]])], 1, False, 8)[0, :, 0].tolist()
        [0.0, 1.0]
    """
    black, luma_range, chroma_range, middle = _levels(full, bits)
    y = (planes[0].astype(np.float32) - black) / luma_range
    if len(planes) == 1:
        y = np.clip(y, 0, 1)[..., None]
        return np.concatenate([y, y, y], axis=-1)
    u, v = (_enlarged((plane.astype(np.float32) - middle) / chroma_range, y.shape) for plane in planes[1:])
    red, blue = WEIGHTS[matrix]
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    rgb: NDArray[Any] = np.clip(np.stack([r, g, b], axis=-1), 0, 1)
    return rgb


def rgb_to_yuv(
    rgb: NDArray[Any], matrix: int, full: bool, bits: int, chroma: tuple[int, int] | None
) -> list[NDArray[Any]]:
    """The planes of RGB ``(H, W, 3)`` in [0, 1]; see ``yuv_to_rgb``.

    Args:
        rgb: The picture, of a size that ``chroma`` divides.
        matrix: As there.
        full: As there.
        bits: As there.
        chroma: Rows and columns of the picture for one of chroma, 1 or 2; None for luma alone.
    """
    black, luma_range, chroma_range, middle = _levels(full, bits)
    red, blue = WEIGHTS[matrix]
    r, g, b = (rgb[..., i] for i in range(3))
    y = red * r + (1 - red - blue) * g + blue * b
    planes = [y * luma_range + black]
    if chroma is not None:
        for difference in ((b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))):
            planes.append(_reduced(difference, chroma) * chroma_range + middle)
    kind = np.uint8 if bits == 8 else np.uint16
    return [np.clip(np.floor(plane + 0.5), 0, 2**bits - 1).astype(kind) for plane in planes]


def _levels(full: bool, bits: int) -> tuple[float, float, float, float]:
    """Black, the ranges of luma and chroma, and grey's chroma."""
    unit, top = 2.0 ** (bits - 8), 2.0**bits - 1
    return (0.0, top, top, 128 * unit) if full else (16 * unit, 219 * unit, 224 * unit, 128 * unit)


# Where chroma lies unless a file says otherwise: in the column of every other pixel, and between two rows.
def _enlarged(plane: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if plane.shape[1] < shape[1]:
        following = np.concatenate([plane[:, 1:], plane[:, -1:]], axis=1)
        plane = np.stack([plane, (plane + following) / 2], axis=-1).reshape(len(plane), -1)[:, : shape[1]]
    if plane.shape[0] < shape[0]:
        before, after = np.concatenate([plane[:1], plane[:-1]]), np.concatenate([plane[1:], plane[-1:]])
        plane = np.stack([(before + 3 * plane) / 4, (3 * plane + after) / 4], axis=1)
        plane = plane.reshape(-1, plane.shape[-1])[: shape[0]]
    return plane


def _reduced(plane: NDArray[Any], chroma: tuple[int, int]) -> NDArray[Any]:
    if chroma[1] == 2:
        before = np.concatenate([plane[:, :1], plane[:, 1:-1:2]], axis=1)
        plane = (before + 2 * plane[:, ::2] + plane[:, 1::2]) / 4
    if chroma[0] == 2:
        plane = (plane[::2] + plane[1::2]) / 2
    return plane
