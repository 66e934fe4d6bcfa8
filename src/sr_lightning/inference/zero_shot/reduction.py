"""How LR pictures come about, and how they are enlarged before the network sees them."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from sr_lightning.degradations.kernels import Kernel, correlate, moved_kernel
from sr_lightning.errors import DataError
from sr_lightning.functional import resize_matrix
from sr_lightning.functional.precision import full_precision
from sr_lightning.inference.zero_shot.fathers import Factors
from sr_lightning.inference.zero_shot.official import official_matrix


@dataclass(frozen=True)
class Reduction:
    """By a bicubic or a given kernel, and up again bicubically, on one sampling grid.

    Pixels are squares, and both ways keep the upper left edge of the picture and the factors, whatever the size: what
    a size leaves of a pixel at the other end hangs over. So nothing moves, even where a factor does not divide a size.

    Args:
        factors: Along rows and columns, 1 or more.
        kernel: Table whose centre of mass is where ``given_kernel`` puts it, or None for bicubic.
        official: Whether weights are those of ``official_matrix``, and antialiasing is decided by the rows alone.
    """

    factors: Factors
    kernel: Kernel | None = None
    official: bool = False

    def down(self, picture: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """``(C, H, W)`` to ``(C, ceil(H / factor), ceil(W / factor))``, or to the first pixels of it."""
        if size is None:
            lengths = zip(picture.shape[-2:], self.factors, strict=True)
            height, width = (max(1, math.ceil(n / f - 1e-6)) for n, f in lengths)
            size = height, width
        if self.kernel is None:
            return self._resize(picture, size, (1 / self.factors[0], 1 / self.factors[1]))
        blurred = correlate(picture[None], self.kernel, "symmetric")[0]
        for dim, n, f in zip((-2, -1), size, self.factors, strict=True):
            index = (torch.arange(n, dtype=torch.float64) * f).round().long().clamp(max=picture.shape[dim] - 1)
            blurred = blurred.index_select(dim, index.to(picture.device))
        return blurred

    def up(self, picture: Tensor, size: tuple[int, int]) -> Tensor:
        """Bicubic, ``(C, h, w)`` to ``(C, *size)``."""
        return self._resize(picture, size, self.factors)

    def back_project(self, sr: Tensor, lr: Tensor, iterations: int) -> Tensor:
        """Moves ``sr`` towards pictures that reduce to ``lr``: the error, enlarged, is added; clipped to [0, 1]."""
        for _ in range(iterations):
            error = lr - self.down(sr, (lr.shape[-2], lr.shape[-1]))
            sr = (sr + self.up(error, (sr.shape[-2], sr.shape[-1]))).clamp(0, 1)
        return sr

    def _resize(self, picture: Tensor, size: tuple[int, int], factors: Factors) -> Tensor:
        antialias = None if not self.official else factors[0] < 1
        rows = _matrix(picture.shape[-2], size[0], factors[0], antialias, picture.device, picture.dtype)
        columns = _matrix(picture.shape[-1], size[1], factors[1], antialias, picture.device, picture.dtype)
        with full_precision(picture):
            return rows @ (picture @ columns.T)


def given_kernel(kernel: Kernel, factors: Factors, size: tuple[int, int]) -> Kernel:
    """A measured kernel, shifted so that sampling every ``factor``-th pixel starts at the first.

    Raises:
        DataError: If a picture of ``size`` does not hold it.
    """
    if kernel.shape[0] > size[0] or kernel.shape[1] > size[1]:
        raise DataError(
            f"a kernel of {kernel.shape[1]}x{kernel.shape[0]} is larger than the picture's {size[1]}x{size[0]} pixels"
        )
    return moved_kernel(kernel, factors, phase=0)


@lru_cache(maxsize=16)  # a few sizes take turns, thousands of times
def _matrix(
    length: int, size: int, factor: float, antialias: bool | None, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """That of the authors where ``antialias`` is said."""
    if antialias is None:
        return resize_matrix(length, size, factor).to(device, dtype)
    return official_matrix(length, size, factor, antialias).to(device, dtype)
