"""Peak signal-to-noise ratio, one value per picture."""

import math

import torch
from torch import Tensor

from sr_lightning.functional.levels import as_unit

_FAR = 0.5  # outside of [0, 1], where bicubic interpolation and noise never reach


def psnr(sr: Tensor, hr: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in dB, computed in float64.

    The field averages these values; pooling the error over a batch first gives another number.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1], or uint8 or uint16.
        hr: The same shape.

    Returns:
        ``(N,)`` float64; infinite where the pictures are equal.

    Raises:
        ValueError: If the shapes differ, or values are far outside of [0, 1].

    Example:
        >>> psnr(torch.zeros(2, 1, 8, 8), torch.full((2, 1, 8, 8), 0.1)).round(decimals=3)
        tensor([20., 20.], dtype=torch.float64)
    """
    sr, hr = checked_pair(sr, hr)
    distance = torch.linalg.vector_norm((sr - hr).flatten(1), dim=1)  # no picture of squares
    return -10 * torch.log10(distance.square() / sr[0].numel())


def checked_pair(sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
    """Converts two pictures to float64 in [0, 1] with ``as_unit``, and checks shapes and ranges.

    Raises:
        ValueError: If the shapes differ, or values are far outside of [0, 1]. Only the mean of ``sr`` is checked,
            because a network may overshoot, and it is not checked in training.
    """
    check_same_shape(sr, hr)
    sr, hr = as_unit(sr), as_unit(hr)
    check_truth(hr)
    mean = 0.0 if sr.requires_grad or not sr.numel() else float(sr.mean())
    if math.isfinite(mean) and not -_FAR <= mean <= 1 + _FAR:
        raise ValueError(f"the mean of a picture is {mean:.4g}: values in [0, 1] are compared; divide those in 0...255")
    return sr, hr


def check_truth(hr: Tensor) -> None:
    """Raises ``ValueError`` where a true picture has values far outside of [0, 1]."""
    low, high = (float(value) for value in hr.aminmax()) if hr.numel() else (0.0, 0.0)
    if low < -_FAR or high > 1 + _FAR:
        raise ValueError(
            f"a picture has values from {low:.4g} to {high:.4g}: values in [0, 1] are compared; divide those in 0...255"
        )


def check_same_shape(sr: Tensor, hr: Tensor) -> None:
    """Raises ``ValueError`` that names both shapes where they differ."""
    if sr.shape != hr.shape or sr.ndim != 4:
        raise ValueError(
            f"two (N, C, H, W) pictures of one shape are compared, got {tuple(sr.shape)} and {tuple(hr.shape)}"
        )
