"""The guided filter: a picture rebuilt, window by window, as a linear function of another."""

import torch
import torch.nn.functional as F
from torch import Tensor


def guided_filter(guide: Tensor, image: Tensor, radius: int = 4, eps: float = 1e-2) -> Tensor:
    """The picture with the edges of the guide.

    **Paper:** He, Sun, Tang, Guided Image Filtering, IEEE TPAMI 2013, equations 19 to 21 (a guide in colour).

    Args:
        guide: ``(N, G, H, W)`` in [0, 1].
        image: ``(N, C, H, W)``.
        radius: Windows are squares of ``2 radius + 1`` pixels, at the border what lies within the picture.
        eps: What the variance of a window must exceed for its detail to stay.

    Returns:
        ``(N, C, H, W)``.

    Example:
        >>> guided_filter(torch.rand(1, 3, 8, 9), torch.ones(1, 1, 8, 9)).allclose(torch.ones(1))
        True
    """
    return apply_coefficients(*guided_coefficients(guide, image, radius, eps), guide)


def guided_coefficients(guide: Tensor, image: Tensor, radius: int = 4, eps: float = 1e-2) -> tuple[Tensor, Tensor]:
    """The linear function at every pixel, the mean of those of all windows around it.

    Args:
        guide: As ``guided_filter``.
        image: As there.
        radius: As there.
        eps: As there.

    Returns:
        Matrix ``(N, C, G, H, W)`` and offset ``(N, C, H, W)``.

    Raises:
        ValueError: If the pictures differ in size, or radius or eps cannot be.
    """
    if guide.shape[-2:] != image.shape[-2:]:
        raise ValueError(f"guide {tuple(guide.shape[-2:])} and image {tuple(image.shape[-2:])} differ in size")
    if radius < 1 or eps <= 0:
        raise ValueError(f"radius={radius} must be at least 1 and eps={eps} above 0")
    guide_mean, image_mean = _mean(guide, radius), _mean(image, radius)
    channels = guide.shape[1]
    both = _mean(_products(guide, torch.cat([guide, image], 1)), radius)
    covariance = both - _products(guide_mean, torch.cat([guide_mean, image_mean], 1))
    covariance = covariance.reshape(len(guide), channels, -1, *guide.shape[-2:]).permute(0, 3, 4, 1, 2)
    own, cross = covariance[..., :channels], covariance[..., channels:]
    solved = torch.linalg.solve(own + eps * torch.eye(channels).to(guide), cross)
    matrix = solved.permute(0, 4, 3, 1, 2)
    offset = image_mean - (matrix * guide_mean.unsqueeze(1)).sum(2)
    return _mean(matrix.flatten(1, 2), radius).reshape(matrix.shape), _mean(offset, radius)


def apply_coefficients(matrix: Tensor, offset: Tensor, guide: Tensor) -> Tensor:
    """What the linear function at every pixel makes of a guide."""
    return (matrix * guide.unsqueeze(1)).sum(2) + offset


def _mean(image: Tensor, radius: int) -> Tensor:
    return F.avg_pool2d(image, 2 * radius + 1, 1, radius, count_include_pad=False)


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Every channel of one by every channel of the other."""
    return (a.unsqueeze(2) * b.unsqueeze(1)).flatten(1, 2)
