"""Packed mosaics of one view at two sizes: where the sites of the coarser sensor lie, and resizing between the two.

A packed mosaic is ``(..., 4, H, W)``: the planes of R, the green beside R, the green beside B, and B, as ``bayer.pack``
orders them. A cell is one 2x2 block of the mosaic, which is one pixel of each plane.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.errors import ConfigError
from sr_lightning.functional.resize import cubic

#: Where samples of the coarse mosaic lie. ``sensor``: where a sensor with larger pixels has them, of the same view.
#: ``cells``: each plane has the grid of an ordinary picture. ``first``: at the first of the cells that one stands for.
PackedGrid = Literal["sensor", "cells", "first"]
#: What a sample of the coarse mosaic is: the mean of its colour's samples in a cell of 2x2 coarse pixels, or the light
#: at its centre.
Sampling = Literal["mean", "point"]

GRIDS: tuple[str, ...] = get_args(PackedGrid)


def check_grid(grid: str) -> None:
    """Raises ConfigError for a grid that a network cannot have."""
    if grid not in GRIDS:
        raise ConfigError(f"model.grid={grid}: there are {', '.join(GRIDS)}")


def site_places(scale: int, grid: PackedGrid) -> tuple[float, float]:
    """Where the first site of a coarse mosaic lies along one axis, in cells of the fine one.

    For a plane that is first in its cell along this axis, and for one that is second. Cell 0 of either plane lies at 0.

    Args:
        scale: Whole factor between the mosaics.
        grid: Where samples lie.

    Example:
        >>> site_places(2, "sensor"), site_places(2, "cells"), site_places(2, "first")
        ((0.25, 0.75), (0.5, 0.5), (0.0, 0.0))
    """
    if grid == "sensor":
        # Site a of the coarse cell has its centre scale * (a + 1/2) fine pixels from the edge, that of the fine cell
        # a + 1/2, and a cell has two pixels.
        first, second = ((scale - 1) * (a + 0.5) / 2 for a in (0, 1))
        return first, second
    middle = (scale - 1) / 2 if grid == "cells" else 0.0
    return middle, middle


def reduce_packed(around: Tensor, scale: int, margin: int, *, grid: PackedGrid, sampling: Sampling) -> Tensor:
    """The coarse mosaic of a fine one.

    Args:
        around: ``(..., 4, scale * H + 2 * margin, scale * W + 2 * margin)``, with what lies around.
        scale: Whole factor between the mosaics.
        margin: Cells around, at least ``scale``.
        grid: Where samples lie.
        sampling: ``mean`` is the mean over a square of ``scale`` cells' width, ``point`` the light at its centre,
            interpolated linearly between the cells beside it.

    Returns:
        ``(..., 4, H, W)``.

    Example:
        >>> x = torch.arange(16.0).view(1, 4, 4).expand(4, 4, 4)
        >>> reduce_packed(F.pad(x, (2, 2, 2, 2)), 2, 2, grid="cells", sampling="mean")[0]
        tensor([[ 2.5000,  4.5000],
                [10.5000, 12.5000]])
    """
    each = [_reduction(place, scale, sampling) for place in site_places(scale, grid)]
    weights = torch.tensor(each, dtype=torch.float64).to(around)
    begin = margin - scale
    inner = around[..., begin : around.shape[-2] - begin, begin : around.shape[-1] - begin]
    # Planes R, G, G, B: first or second in their cell along rows, and along columns.
    kernel = weights[[0, 0, 1, 1], :, None] * weights[[0, 1, 0, 1], None, :]
    flat = inner.reshape(-1, *inner.shape[-3:])
    coarse = F.conv2d(flat, kernel[:, None], stride=scale, groups=4)
    return coarse.reshape(*around.shape[:-2], *coarse.shape[-2:])


def _reduction(place: float, scale: int, sampling: Sampling) -> list[float]:
    """Weights of the cells ``-scale`` to ``2 * scale`` for a sample at a place."""
    cells = range(-scale, 2 * scale)
    if sampling == "point":
        return [max(0.0, 1 - abs(cell - place)) for cell in cells]
    low, high = place - scale / 2, place + scale / 2
    return [max(0.0, min(cell + 0.5, high) - max(cell - 0.5, low)) / scale for cell in cells]


def enlarge_packed(coarse: Tensor, scale: int, grid: PackedGrid = "sensor") -> Tensor:
    """Bicubic enlargement of a packed mosaic, each plane to where the sites of the finer sensor lie.

    With ``grid="cells"`` it is ``imresize`` of each plane, but for the border, beyond which cells are repeated here.

    **Paper:** Keys, Cubic convolution interpolation for digital image processing, IEEE TASSP 1981.

    Args:
        coarse: ``(N, 4, H, W)``.
        scale: Whole factor of enlargement.
        grid: Where the samples of ``coarse`` lie.

    Returns:
        ``(N, 4, scale * H, scale * W)``.

    Example:
        >>> enlarge_packed(torch.ones(1, 4, 3, 5), 2).unique()
        tensor([1.])
    """
    weights = torch.stack([_enlargement(place, scale) for place in site_places(scale, grid)]).to(coarse)
    x = F.pad(coarse, (2, 2, 2, 2), mode="replicate")
    rows = _along_rows(x, weights[[0, 0, 1, 1]])
    return _along_rows(rows.transpose(2, 3), weights[[0, 1, 0, 1]]).transpose(2, 3)


def packed_preview(packed: Tensor) -> Tensor:
    """A packed mosaic as a picture to look at: one pixel for each cell, grey world, with a gamma of 2.2.

    Args:
        packed: ``(N, 4, H, W)`` in [0, 1].

    Returns:
        ``(N, 3, H, W)`` in [0, 1].

    Example:
        >>> packed_preview(torch.full((1, 4, 2, 2), 0.2)).shape
        torch.Size([1, 3, 2, 2])
    """
    red, beside_red, beside_blue, blue = packed.clamp(0, 1).unbind(1)
    rgb = torch.stack([red, (beside_red + beside_blue) / 2, blue], 1)
    means = rgb.mean((2, 3), keepdim=True).clamp_min(1e-6)
    return (rgb * means[:, 1:2] / means).clamp(0, 1) ** (1 / 2.2)


def _enlargement(place: float, scale: int) -> Tensor:
    """Weights of the five cells around, for each of the ``scale`` fine cells that a coarse one stands for."""
    fine = (torch.arange(scale, dtype=torch.float64) - place) / scale
    return cubic(fine[:, None] - torch.arange(-2, 3))


def _along_rows(x: Tensor, weights: Tensor) -> Tensor:
    """``(N, 4, H + 4, W)`` to ``(N, 4, scale * H, W)``, by sums that half precision does not touch."""
    n, _, rows, columns = x.shape
    height, scale = rows - 4, weights.shape[1]
    taps = [weights[:, None, :, tap, None] * x[:, :, tap : tap + height, None] for tap in range(5)]
    return torch.stack(taps).sum(0).reshape(n, 4, height * scale, columns)
