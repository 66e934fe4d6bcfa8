"""Levels of 8 and 16 bit and values in [0, 1]: one rule for pictures that are made, saved and scored.

Halves go up, as MATLAB's ``uint8`` and ``im2uint8`` have it, and not to the nearest even level as ``torch.round`` does.
It is decided in float64, whatever the type of the values: a product of float32 lands on halves where there are none.
"""

import torch
from torch import Tensor

from sr_lightning.devices import in_float64

_TOP = {torch.uint8: 255, torch.uint16: 65535}


def as_unit(image: Tensor) -> Tensor:
    """A picture as float64 in [0, 1]: whole numbers of 8 or 16 bit over their largest, floating point as it is.

    It is on the CPU where the picture's device has no float64, and then scores are computed there.

    Raises:
        ValueError: If it is of another type, whose largest value nobody knows.

    Example:
        >>> as_unit(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist()
        [0.0, 0.2, 1.0]
    """
    if image.is_floating_point():
        return in_float64(image)
    if image.dtype not in _TOP:
        raise ValueError(f"a picture of {str(image.dtype)[6:]}: must be uint8, uint16, or floating point in [0, 1]")
    return in_float64(image).div_(_TOP[image.dtype])  # in place: memory for a second picture takes longer than dividing


def check_pictures(image: Tensor, side: int, user: str) -> None:
    """Raises ValueError for what is no batch of known values, with sides of ``side`` pixels or more.

    Example:
        >>> check_pictures(torch.zeros(3, 64, 64), 32, "noise_estimate")
        Traceback (most recent call last):
        ValueError: noise_estimate needs (N, C, H, W) of at least 32x32 pixels, got (3, 64, 64)
    """
    if image.ndim != 4 or min(image.shape[-2:]) < side or 0 in image.shape:
        needs = f"{user} needs (N, C, H, W) of at least {side}x{side} pixels"
        raise ValueError(f"{needs}, got {tuple(image.shape)}")
    if image.is_floating_point() and not image.isfinite().all():
        raise ValueError(f"{user} needs values in [0, 1], got NaN or infinity")


def to_levels(image: Tensor, bits: int = 8) -> Tensor:
    """Values in [0, 1], clipped, as the nearest of 256 levels (uint8) or 65536 (uint16); NaN as 0.

    Example:
        >>> to_levels(torch.tensor([-0.1, 0.5, 2.0])).tolist(), to_levels(torch.tensor([0.5]), 16).tolist()
        ([0, 128, 255], [32768])
    """
    kind = torch.uint8 if bits == 8 else torch.uint16
    levels = _levels(image, _TOP[kind]).nan_to_num_(0)
    return levels.to(kind) if bits == 8 else levels.to(torch.int32).to(kind)


def round_8bit(image: Tensor) -> Tensor:
    """Values in [0, 1], clipped, rounded to multiples of 1/255, in their own type; NaN stays NaN.

    Example:
        >>> round_8bit(torch.tensor([-0.1, 0.5, 2.0])) * 255
        tensor([  0., 128., 255.])
    """
    return rounded(image, 255)


def rounded(image: Tensor, levels: int) -> Tensor:
    """``round_8bit`` to multiples of ``1 / levels``.

    Example:
        >>> rounded(torch.tensor([-0.1, 0.5, 2.0]), 65535) * 65535
        tensor([    0., 32768., 65535.])
    """
    return _levels(image, levels).div_(levels).to(image)


def _levels(image: Tensor, top: int) -> Tensor:
    # 1e-9: a half that float64 arithmetic left a hair too low still rounds up; far below any real difference.
    return as_unit(image).clamp(0, 1).mul_(top).add_(0.5 + 1e-9).floor_()
