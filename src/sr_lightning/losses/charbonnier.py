"""Charbonnier: L1 that is smooth at zero."""

from typing import Literal

from torch import Tensor, nn

from sr_lightning.functional.psnr import check_same_shape
from sr_lightning.limits import check_value

Reduction = Literal["mean", "sum"]


def charbonnier(sr: Tensor, hr: Tensor, eps: float = 1e-3, reduction: Reduction = "mean") -> Tensor:
    """Mean or sum of ``sqrt((sr - hr)**2 + eps**2)``, a scalar in float32.

    **Paper:** Lai, Huang, Ahuja, Yang, Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution,
    CVPR 2017, equation 1, which sums over the pixels of a picture and takes the mean over the batch.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.
        eps: The value where the pictures are equal, 1e-3 in super-resolution.
        reduction: ``"mean"`` over all values, which does not depend on the size of the patch, or the paper's ``"sum"``
            over the values of a picture: ``C * H * W`` times as much.

    Example:
        >>> import torch
        >>> sr, hr = torch.zeros(2, 1, 2, 2), torch.full((2, 1, 2, 2), 3e-3)
        >>> [round(charbonnier(sr, hr, 4e-3, reduction).item(), 6) for reduction in ("mean", "sum")]
        [0.005, 0.02]
    """
    check_same_shape(sr, hr)
    values = ((sr.float() - hr.float()).square() + eps**2).sqrt()
    return values.mean() if reduction == "mean" else values.sum() / len(values)


class Charbonnier(nn.Module):
    """``charbonnier`` as a module.

    Raises:
        ConfigError: If there is no such ``reduction``.
    """

    def __init__(self, eps: float = 1e-3, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_value("loss.reduction", reduction, Reduction)
        self.eps, self.reduction = eps, reduction

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return charbonnier(sr, hr, self.eps, self.reduction)
