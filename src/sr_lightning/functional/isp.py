"""The steps from a sensor's linear signal to an sRGB picture, and back."""

from collections.abc import Sequence

import torch
from torch import Tensor

#: Linear sRGB to CIE XYZ (D65), IEC 61966-2-1.
SRGB_TO_XYZ = ((0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041))


def white_balance(image: Tensor, gains: Sequence[float] | Tensor) -> Tensor:
    """Multiplies the channels of ``(..., C, H, W)`` by their gains, ``(C,)`` or ``(N, C)``.

    Example:
        >>> white_balance(torch.ones(1, 3, 1, 1), [2.0, 1.0, 1.5]).flatten()
        tensor([2.0000, 1.0000, 1.5000])
    """
    return image * torch.as_tensor(gains, dtype=image.dtype, device=image.device)[..., None, None]


def least_one(gains: Tensor) -> Tensor:
    """Gains ``(..., C)`` of which none is below one: a pixel that is full in all channels stays white.

    Example:
        >>> least_one(torch.tensor([0.5, 1.0, 2.0]))
        tensor([1., 2., 4.])
    """
    return gains / gains.amin(dim=-1, keepdim=True).clamp_max(1)


def apply_matrix(image: Tensor, matrix: Sequence[Sequence[float]] | Tensor) -> Tensor:
    """A colour matrix on ``(..., 3, H, W)``: ``(3, 3)``, or ``(N, 3, 3)`` for each picture its own.

    Example:
        >>> apply_matrix(torch.ones(1, 3, 1, 1), [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 2]]).flatten()
        tensor([1., 1., 2.])
    """
    matrix = torch.as_tensor(matrix, dtype=image.dtype, device=image.device)
    return torch.einsum("...ij,...jhw->...ihw", matrix, image)


def develop(linear: Tensor, gains: Sequence[float] | Tensor, matrix: Sequence[Sequence[float]] | Tensor) -> Tensor:
    """Camera RGB in [0, 1] to sRGB in [0, 1]: white balance, clipping at white, colour matrix, transfer curve.

    Args:
        linear: ``(..., 3, H, W)``, black 0, white 1.
        gains: White balance of R, G and B.
        matrix: Balanced camera RGB to linear sRGB; its rows sum to one.

    Example:
        >>> develop(torch.full((1, 3, 1, 1), 0.5), [2.0, 2.0, 2.0], torch.eye(3)).flatten().round(decimals=4)
        tensor([1., 1., 1.])
    """
    from kornia.color import linear_rgb_to_rgb  # late, because kornia is slow to import

    # Clipped before the matrix, and with no gain below one: a saturated pixel is white, not coloured.
    gains = least_one(torch.as_tensor(gains, dtype=linear.dtype, device=linear.device))
    balanced = white_balance(linear, gains).clamp(0, 1)
    return linear_rgb_to_rgb(apply_matrix(balanced, matrix).clamp(0, 1))


def undevelop(srgb: Tensor, gains: Sequence[float] | Tensor, matrix: Sequence[Sequence[float]] | Tensor) -> Tensor:
    """A camera's linear signal of an sRGB picture: the inverse of ``develop`` where nothing was clipped.

    Example:
        >>> x = torch.rand(1, 3, 4, 4, dtype=torch.float64) / 2
        >>> torch.allclose(undevelop(develop(x, [1.9, 1.0, 1.4], torch.eye(3)), [1.9, 1.0, 1.4], torch.eye(3)), x)
        True
    """
    from kornia.color import rgb_to_linear_rgb

    inverse = torch.linalg.inv(torch.as_tensor(matrix, dtype=torch.float64))
    gains = least_one(torch.as_tensor(gains, dtype=torch.float64))
    return white_balance(apply_matrix(rgb_to_linear_rgb(srgb), inverse), 1 / gains)
