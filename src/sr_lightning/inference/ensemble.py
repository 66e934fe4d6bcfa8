"""Better pictures from the same weights, for more time: self-ensemble and back-projection."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from sr_lightning.functional import dihedral, imresize, undo_dihedral

Forward = Callable[[Tensor], Tensor]


def self_ensemble(forward: Forward, how: Literal["mean", "median"] = "mean") -> Forward:
    """A network that averages what it makes of the eight flips and quarter turns of a picture.

    **Paper:** Timofte, Rothe, Van Gool, Seven Ways to Improve Example-Based Single Image Super Resolution, CVPR 2016;
    the mean is EDSR's, the median ZSSR's.

    Args:
        forward: ``(N, C, H, W)`` to ``(N, C, sH, sW)``.
        how: How the eight pictures become one.

    Example:
        >>> x = torch.rand(1, 3, 6, 8)
        >>> torch.allclose(self_ensemble(lambda lr: 2 * lr)(x), 2 * x)
        True
    """
    if how not in ("mean", "median"):
        raise ValueError(f"ensemble={how}: must be mean or median")

    def ensemble(lr: Tensor) -> Tensor:
        if how == "mean":
            total = undo_dihedral(forward(dihedral(lr, 0)), 0)
            for op in range(1, 8):
                total = total + undo_dihedral(forward(dihedral(lr, op)), op)
            return total / 8
        pictures = torch.stack([undo_dihedral(forward(dihedral(lr, op)), op) for op in range(8)])
        # Of eight, the two in the middle: torch's own median takes the lower one.
        return pictures.sort(dim=0).values[3:5].mean(dim=0)

    return ensemble


def back_project(sr: Tensor, lr: Tensor, iterations: int = 1) -> Tensor:
    """Moves a picture towards those whose bicubic reduction is the LR picture.

    **Paper:** Irani, Peleg, Improving resolution by image registration, CVGIP 1991.

    Args:
        sr: ``(N, C, sH, sW)``.
        lr: ``(N, C, H, W)``.
        iterations: How often the error is enlarged and added.

    Example:
        >>> lr = torch.rand(1, 1, 8, 8, dtype=torch.float64)
        >>> error = [(imresize(back_project(imresize(lr, 2), lr, n), 0.5) - lr).abs().max() for n in (0, 8)]
        >>> bool(error[1] < error[0] / 4)
        True
    """
    for _ in range(iterations):
        error = lr - imresize(sr, size=(lr.shape[-2], lr.shape[-1]))
        sr = sr + imresize(error, size=(sr.shape[-2], sr.shape[-1]))
    return sr
