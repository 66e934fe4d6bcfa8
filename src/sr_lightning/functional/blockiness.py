"""Blockiness: how much a JPEG's grid of 8x8 blocks stands out."""

import torch
from torch import Tensor

from sr_lightning.functional.levels import as_unit, check_pictures

_BLOCK = 8


def blockiness(image: Tensor) -> Tensor:
    """Steps across the edges of 8x8 blocks over the steps elsewhere, of each picture.

    **Paper:** Wang, Sheikh, Bovik, No-Reference Perceptual Quality Assessment of JPEG Compressed Images, ICIP 2002: the
    quotient of its blockiness B (equations 2 and 3) and its activity A (equation 4), each the mean of rows and columns.

    The blocks begin in the upper left corner, as those of a JPEG that was neither cropped nor resized since. JPEGs of
    quality 90 and more look like pictures without blocks. Noise that was added later hides blocks.

    Args:
        image: ``(N, C, H, W)``, floating point in [0, 1], or uint8 or uint16.

    Returns:
        ``(N,)`` float64: about 1 without blocks, 1.2 at quality 75, 1.6 at quality 30; infinite where the blocks are
        flat.

    Raises:
        ValueError: If a side is below 16 pixels: two blocks; if there is no picture, or a value is NaN or infinite.

    Example:
        >>> blocks = (torch.arange(32) // 8).float().expand(1, 1, 32, 32) / 4
        >>> blockiness(torch.zeros(1, 3, 32, 32)), blockiness(blocks)
        (tensor([1.], dtype=torch.float64), tensor([inf], dtype=torch.float64))
    """
    check_pictures(image, 2 * _BLOCK, "blockiness")
    image = as_unit(image)
    across, elsewhere = (torch.stack(pair).sum(0) for pair in zip(*map(_steps, (image, image.mT)), strict=True))
    return torch.where(across == elsewhere, 1.0, across / elsewhere)


def _steps(image: Tensor) -> tuple[Tensor, Tensor]:
    """The mean step to the right-hand neighbour, across edges of blocks and elsewhere, ``(N,)`` each."""
    columns = image.diff(dim=-1).abs().mean((1, 2))
    edges = torch.arange(1, columns.shape[-1] + 1, device=image.device) % _BLOCK == 0
    return columns[:, edges].mean(1), columns[:, ~edges].mean(1)
