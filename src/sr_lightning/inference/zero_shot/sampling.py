"""Cutting a crop out of a picture by an affine map, cubically, on the picture's device."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Border = Literal["zeros", "mirror"]


class Affine(NamedTuple):
    """Where a crop's pixels lie in a picture, in pixels whose edges are whole numbers: (row, column)."""

    centre: tuple[float, float]
    matrix: NDArray[np.float64]  # (2, 2): of an offset from the crop's centre to that from ``centre``


def cut(
    picture: Tensor, affine: Affine, size: tuple[int, int], border: Border = "zeros", opencv: bool = False
) -> Tensor:
    """The crop ``(C, h, w)`` that an affine map sees of a picture ``(C, H, W)``.

    Keys' cubic with a = -0.5, which is MATLAB's: a map that only moves by whole pixels, turns by quarters and mirrors
    copies values. It does not blur where it shrinks.

    Args:
        picture: Floating point.
        affine: The map.
        size: Height and width of the crop.
        border: What lies outside: zeros, or the mirror image with the edge repeated.
        opencv: Whether a is -0.75 and places are rounded to 1/32 of a pixel, as in OpenCV.

    Example:
        >>> picture = torch.arange(9.0).reshape(1, 3, 3)
        >>> cut(picture, Affine((1.5, 1.5), np.array([[0.0, 1.0], [-1.0, 0.0]])), (3, 3))[0]
        tensor([[2., 5., 8.],
                [1., 4., 7.],
                [0., 3., 6.]])
    """
    down, across = (torch.arange(n, device=picture.device) - (n - 1) / 2 for n in size)
    (rr, rc), (cr, cc) = affine.matrix.tolist()
    rows = affine.centre[0] - 0.5 + rr * down[:, None] + rc * across
    columns = affine.centre[1] - 0.5 + cr * down[:, None] + cc * across
    row_index, row_weight = _taps(rows, picture.shape[-2], border, opencv)
    column_index, column_weight = _taps(columns, picture.shape[-1], border, opencv)
    index = row_index[:, None] * picture.shape[-1] + column_index
    weight = row_weight[:, None] * column_weight
    values = picture.reshape(len(picture), -1).index_select(1, index.flatten())
    return (values.reshape(len(picture), 16, *size) * weight.reshape(16, *size)).sum(1)


def _taps(place: Tensor, length: int, border: Border, opencv: bool) -> tuple[Tensor, Tensor]:
    """Indices and weights ``(4, h, w)`` of the four pixels around each place along one axis."""
    place = (place * 32).round() / 32 if opencv else place
    first = place.floor()
    t, a = place - first, -0.75 if opencv else -0.5
    weights = torch.stack(
        [
            ((a * t - 2 * a) * t + a) * t,
            ((a + 2) * t - (a + 3)) * t * t + 1,
            ((-(a + 2) * t + 2 * a + 3) * t - a) * t,
            (-a * t + a) * t * t,
        ]
    )
    index = first.long() + torch.arange(-1, 3, device=place.device)[:, None, None]
    if border == "zeros":
        weights = weights * ((index >= 0) & (index < length))
        return index.clamp(0, length - 1), weights
    index = index % (2 * length)
    return torch.minimum(index, 2 * length - 1 - index), weights
