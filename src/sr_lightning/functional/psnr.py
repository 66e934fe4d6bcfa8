"""Peak signal-to-noise ratio, one value per picture."""

import torch
from torch import Tensor


def psnr(sr: Tensor, hr: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in dB, computed in float64.

    The field averages these values; pooling the error over a batch first gives another number.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.

    Returns:
        ``(N,)`` float64; infinite where the pictures are equal.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> psnr(torch.zeros(2, 1, 8, 8), torch.full((2, 1, 8, 8), 0.1)).round(decimals=3)
        tensor([20., 20.], dtype=torch.float64)
    """
    check_same_shape(sr, hr)
    error = (sr.double() - hr.double()).square().mean((1, 2, 3))
    return -10 * torch.log10(error)


def check_same_shape(sr: Tensor, hr: Tensor) -> None:
    """Raises ``ValueError`` that names both shapes where they differ."""
    if sr.shape != hr.shape or sr.ndim != 4:
        raise ValueError(
            f"two (N, C, H, W) pictures of one shape are compared, got {tuple(sr.shape)} and {tuple(hr.shape)}"
        )
