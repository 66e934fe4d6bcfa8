"""Charbonnier: L1 that is smooth at zero."""

from torch import Tensor, nn

from sr_lightning.functional.psnr import check_same_shape


def charbonnier(sr: Tensor, hr: Tensor, eps: float = 1e-3) -> Tensor:
    """Mean of ``sqrt((sr - hr)**2 + eps**2)``, a scalar in float32.

    **Paper:** Lai, Huang, Ahuja, Yang, Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution,
    CVPR 2017, equation 1.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.
        eps: The value where the pictures are equal, 1e-3 in super-resolution.

    Example:
        >>> import torch
        >>> round(charbonnier(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 3e-3), eps=4e-3).item(), 6)
        0.005
    """
    check_same_shape(sr, hr)
    return ((sr.float() - hr.float()).square() + eps**2).sqrt().mean()


class Charbonnier(nn.Module):
    """:func:`charbonnier` as a module."""

    def __init__(self, eps: float = 1e-3) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return charbonnier(sr, hr, self.eps)
