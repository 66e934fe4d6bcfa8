"""Distance of the cosine transforms."""

import math

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from sr_lightning.devices import float64_device
from sr_lightning.errors import DataError
from sr_lightning.functional.precision import full_precision
from sr_lightning.functional.psnr import check_same_shape
from sr_lightning.limits import check_value


def dct_matrix(length: int, like: Tensor) -> Tensor:
    """The orthonormal cosine transform (DCT-II) of so many values, one frequency in each row.

    Example:
        >>> dct_matrix(2, torch.zeros(1))
        tensor([[ 0.7071,  0.7071],
                [ 0.7071, -0.7071]])
    """
    place = torch.arange(length, device=float64_device(like.device), dtype=torch.float64)
    matrix = torch.cos(math.pi / length * (place + 0.5) * place[:, None]) * math.sqrt(2 / length)
    matrix[0] = math.sqrt(1 / length)
    return matrix.to(like)


def dct_loss(sr: Tensor, hr: Tensor, block: int | None = None) -> Tensor:
    """Mean absolute difference of the orthonormal two-dimensional cosine transforms, a scalar in float32.

    By an L1 of values, an error of one frequency costs as much as one of single pixels; here it costs far less.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.
        block: Side of the squares that are transformed, such as JPEG's 8; None for the whole picture.

    Raises:
        DataError: If ``block`` does not divide the sides.

    Example:
        >>> grey = torch.full((1, 1, 4, 4), 0.5)  # the mean alone differs: 0.1 * 4 in one of 16 coefficients
        >>> round(dct_loss(grey, grey + 0.1).item(), 6)
        0.025
    """
    check_same_shape(sr, hr)
    difference = sr.float() - hr.float()
    height, width = difference.shape[-2:]
    if block and (height % block or width % block):
        raise DataError(f"loss.block={block}: {height}x{width} pixels do not divide into such squares")
    with full_precision(difference):
        if block:
            difference = difference.view(-1, height // block, block, width // block, block).transpose(2, 3)
        rows, columns = (dct_matrix(difference.shape[dim], difference) for dim in (-2, -1))
        return (rows @ difference @ columns.T).abs().mean()


class DCTLoss(nn.Module):
    """``dct_loss`` as a module.

    Raises:
        ConfigError: If ``block`` is not above 0.
    """

    def __init__(self, block: int | None = None) -> None:
        super().__init__()
        check_value("loss.block", block, PositiveInt | None)
        self.block = block

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return dct_loss(sr, hr, self.block)
