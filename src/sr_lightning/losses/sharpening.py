"""Sharpened truth, which a network learns to make sharper pictures from."""

from torch import Tensor

from sr_lightning.losses.blurring import blurred

#: Side of the Gaussian window, and its deviation, which is OpenCV's for that side.
SIDE, SIGMA = 51, 8.0


def sharpened(hr: Tensor, amount: float = 0.5, threshold: float = 10 / 255) -> Tensor:
    """Unsharp masking as Real-ESRGAN sharpens its truth: only around what differs much from its surroundings.

    **Paper:** Wang, Xie, Dong, Shan, Real-ESRGAN, ICCV Workshops 2021, section 3.5; the constants are those of the
    authors' code. The difference from the picture blurred over 51 pixels is added ``amount`` times, where it is above
    ``threshold``; the borders of these places are soft.

    Args:
        hr: ``(N, C, H, W)`` in [0, 1], of at least 26 pixels each way.
        amount: Factor of the difference.
        threshold: Least difference that is sharpened.

    Returns:
        The same shape in float32, in [0, 1].

    Raises:
        DataError: If the pictures are smaller.

    Example:
        >>> import torch
        >>> flat = torch.full((1, 3, 32, 32), 0.5)
        >>> torch.allclose(sharpened(flat), flat)
        True
    """
    hr = hr.float()
    difference = hr - blurred(hr, SIGMA, SIDE)
    places = blurred((difference.abs() > threshold).float(), SIGMA, SIDE)
    return hr + places * ((hr + amount * difference).clamp(0, 1) - hr)
