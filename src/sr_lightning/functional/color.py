"""Colour conversions: ITU-R BT.601 studio range, the Y of super-resolution papers."""

import torch
from torch import Tensor

from sr_lightning.functional.precision import full_precision
from sr_lightning.functional.whole_steps import whole_step

# MATLAB's rgb2ycbcr: Y in 16...235 and chroma in 16...240 for 8-bit RGB; rows Y, Cb, Cr.
_RGB_TO_YCBCR = ((65.481, 128.553, 24.966), (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214))
_OFFSET = (16.0, 128.0, 128.0)
_CONSTANTS = (
    torch.tensor(_RGB_TO_YCBCR, dtype=torch.float64) / 255,
    torch.tensor(_OFFSET, dtype=torch.float64) / 255,
)


@whole_step
def rgb_to_ycbcr(image: Tensor) -> Tensor:
    """RGB to studio-range YCbCr (BT.601), as MATLAB's ``rgb2ycbcr``.

    This is not the full-range YCbCr of JPEG, Pillow, OpenCV and kornia, which differs by up to 20 levels.

    Args:
        image: ``(..., 3, H, W)`` in [0, 1].

    Returns:
        ``(..., 3, H, W)``: Y in [16, 235] / 255, Cb and Cr in [16, 240] / 255.

    Example:
        >>> rgb_to_ycbcr(torch.ones(1, 3, 1, 1)).flatten() * 255
        tensor([235.0000, 128.0000, 128.0000])
    """
    matrix, offset = (c.to(image) for c in _CONSTANTS)
    with full_precision(image):
        return torch.einsum("ij,...jhw->...ihw", matrix, _rgb(image)) + offset.view(3, 1, 1)


@whole_step
def ycbcr_to_rgb(image: Tensor) -> Tensor:
    """Inverse of ``rgb_to_ycbcr``.

    Example:
        >>> x = torch.rand(2, 3, 4, 4)
        >>> torch.allclose(ycbcr_to_rgb(rgb_to_ycbcr(x)), x, atol=1e-5)
        True
    """
    matrix, offset = _CONSTANTS
    inverse = torch.linalg.inv(matrix).to(image)
    with full_precision(image):
        return torch.einsum("ij,...jhw->...ihw", inverse, _rgb(image) - offset.to(image).view(3, 1, 1))


@whole_step
def rgb_to_y(image: Tensor) -> Tensor:
    """Luma of an RGB picture: the first channel of ``rgb_to_ycbcr``, ``(..., 1, H, W)``.

    Example:
        >>> rgb_to_y(torch.zeros(1, 3, 2, 2)).shape
        torch.Size([1, 1, 2, 2])
    """
    r, g, b = _rgb(image).unbind(-3)
    kr, kg, kb = _RGB_TO_YCBCR[0]
    return ((kr * r + kg * g + kb * b + _OFFSET[0]) / 255).unsqueeze(-3)


def _rgb(image: Tensor) -> Tensor:
    if image.ndim < 3 or image.shape[-3] != 3:
        raise ValueError(f"expected an RGB picture (..., 3, H, W), got shape {tuple(image.shape)}")
    return image
