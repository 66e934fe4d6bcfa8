"""Structural similarity as a loss."""

from torch import Tensor, nn

from sr_lightning.functional import ssim


def ssim_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """``1 - SSIM``, the mean over pictures, a scalar in float32; 0 where they are equal.

    **Paper:** Wang, Bovik, Sheikh, Simoncelli, Image Quality Assessment, IEEE TIP 2004, as
    ``functional.ssim`` computes it, of every channel.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1], at least 11 pixels each way.
        hr: The same shape.

    Example:
        >>> import torch
        >>> x = torch.rand(2, 3, 16, 16)
        >>> ssim_loss(x, x).item()
        0.0
    """
    return (1 - ssim(sr, hr).mean()).float().to(sr.device)


class SSIMLoss(nn.Module):
    """``ssim_loss`` as a module."""

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return ssim_loss(sr, hr)
