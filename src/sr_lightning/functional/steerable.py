"""The fifth-order steerable pyramid in the space domain, as far as image quality measures need it."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Taps of sp5Filters by Simoncelli, taken as numbers from pyrtools (MIT licence, copyright Eero Simoncelli and others).
# Both lowpass filters have the symmetry of a square: one eighth says all of them.
_LO0 = (
    (0.00341614, -0.01551246, -0.03848215),
    (0.05586982, 0.1592557),
    (0.40304148,),
)
_LO = (
    (0.00170808, -0.00489834, -0.00775624, -0.01888864, -0.01924108),
    (-0.01046562, -0.01322234, 0.008212, 0.02005976),
    (0.02793492, 0.06554076, 0.07962786),
    (0.12852666, 0.16339236),
    (0.2019308,),
)
# The upper left part of the band that answers to vertical edges: even from top to bottom, odd from left to right.
_BAND = (
    (0.00277643, -0.00986904, -0.01021852),
    (0.00496194, -0.00893064, -0.03075356),
    (0.01026699, 0.01189859, -0.08226445),
    (0.01455399, 0.02755155, -0.11732297),
)


def steerable_bands(image: Tensor, levels: int = 4) -> Iterator[tuple[Tensor, Tensor]]:
    """Bands of vertical and of horizontal edges, from the finest level to the coarsest.

    **Paper:** Simoncelli, Freeman, The Steerable Pyramid, ICIP 1995. Two of the six orientations, up to their sign;
    the picture continues as its mirror image without a second copy of the last pixel.

    Args:
        image: ``(N, C, H, W)``, of at least ``9 * 2 ** (levels - 1)`` pixels each way.
        levels: How many, each half the size of the one before.

    Yields:
        Two tensors ``(N, C, H', W')``.

    Example:
        >>> [band.shape[-2:] for band, _ in steerable_bands(torch.rand(1, 1, 36, 40), levels=3)]
        [torch.Size([36, 40]), torch.Size([18, 20]), torch.Size([9, 10])]
    """
    left = torch.tensor(_BAND, dtype=torch.float64)
    half = torch.cat([left, torch.zeros(4, 1), -left.flip(1)], 1)
    vertical = torch.cat([half, half[:3].flip(0)])
    low = correlate(image, _square(_LO0))
    for level in range(levels):
        yield correlate(low, vertical), correlate(low, vertical.T)
        if level < levels - 1:
            low = correlate(low, _square(_LO), step=2)


def correlate(image: Tensor, taps: Tensor, step: int = 1) -> Tensor:
    """Correlation with a square filter of odd size, at every ``step``-th pixel, by shifted sums.

    On a CPU a convolution in float64 would first write out every neighbourhood: 81 times the picture.
    """
    height, width = image.shape[-2:]
    padded = F.pad(image, [len(taps) // 2] * 4, mode="reflect")
    total = torch.zeros_like(image[..., ::step, ::step])
    for i, row in enumerate(taps.tolist()):
        for j, tap in enumerate(row):
            if tap:
                total.add_(padded[..., i : i + height : step, j : j + width : step], alpha=tap)
    return total


def _square(octant: Sequence[Sequence[float]]) -> Tensor:
    """The filter whose upper left triangle is given, row by row from the diagonal."""
    n = len(octant)
    quarter = torch.zeros(n, n, dtype=torch.float64)
    for i, row in enumerate(octant):
        quarter[i, i:] = quarter[i:, i] = torch.tensor(row, dtype=torch.float64)
    half = torch.cat([quarter, quarter[:, :-1].flip(1)], 1)
    return torch.cat([half, half[:-1].flip(0)])
