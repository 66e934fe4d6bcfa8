"""Crops and the eight symmetries of the square."""

import torch
from torch import Tensor


def modcrop(image: Tensor, multiple: int) -> Tensor:
    """Drops rows and columns at the bottom and right until both sizes are multiples of ``multiple``.

    Example:
        >>> import torch
        >>> modcrop(torch.zeros(1, 3, 7, 9), 4).shape
        torch.Size([1, 3, 4, 8])
    """
    height, width = image.shape[-2:]
    return image[..., : height - height % multiple, : width - width % multiple]


def shave(image: Tensor, border: int) -> Tensor:
    """Drops ``border`` pixels on all four sides.

    Raises:
        ValueError: If nothing would remain.

    Example:
        >>> import torch
        >>> shave(torch.zeros(1, 1, 8, 8), 2).shape
        torch.Size([1, 1, 4, 4])
    """
    height, width = image.shape[-2:]
    if min(height, width) <= 2 * border:
        raise ValueError(f"a {height}x{width} picture has nothing left inside a border of {border} pixels")
    return image[..., border : height - border, border : width - border]


def dihedral(image: Tensor, op: int) -> Tensor:
    """One of the eight flips and quarter turns of ``(..., H, W)``.

    Args:
        image: Any tensor whose last two axes are rows and columns.
        op: 0...7; bit 0 flips left-right, bit 1 top-bottom, bit 2 then transposes.

    Example:
        >>> import torch
        >>> dihedral(torch.tensor([[1, 2], [3, 4]]), 5)
        tensor([[2, 4],
                [1, 3]])
    """
    dims = [dim for bit, dim in ((1, -1), (2, -2)) if op & bit]
    image = image.flip(dims) if dims else image
    return image.transpose(-2, -1) if op & 4 else image


def undo_dihedral(image: Tensor, op: int) -> Tensor:
    """Inverse of ``dihedral``.

    Example:
        >>> import torch
        >>> x = torch.rand(3, 4, 5)
        >>> all(torch.equal(undo_dihedral(dihedral(x, op), op), x) for op in range(8))
        True
    """
    image = image.transpose(-2, -1) if op & 4 else image
    dims = [dim for bit, dim in ((1, -1), (2, -2)) if op & bit]
    return image.flip(dims) if dims else image


def mirrored(x: Tensor, dim: int, length: int, before: int = 0, edge_twice: bool = False) -> Tensor:
    """A tensor that is continued along one axis by its mirror images, as often as it takes.

    Args:
        x: Any tensor.
        dim: The axis.
        length: Its new length.
        before: How much of that comes before the beginning.
        edge_twice: Whether what lies at an end is in its mirror image as well.

    Example:
        >>> mirrored(torch.arange(3), 0, 8, before=1)
        tensor([1, 0, 1, 2, 1, 0, 1, 2])
        >>> mirrored(torch.arange(3), 0, 8, edge_twice=True)
        tensor([0, 1, 2, 2, 1, 0, 0, 1])
    """
    # Without a branch and with a tensor as period, which is 1 for one pixel, so that it exports for every size.
    index = torch.arange(length, device=x.device) - before
    twice = int(edge_twice)
    period = torch.zeros_like(index) + (2 * (x.shape[dim] - 1 + twice) + 1 // (x.shape[dim] + twice))
    index = index % period
    return x.index_select(dim, index.minimum(period - twice - index))
