"""Conversion of pictures between 8 bit, 16 bit and numbers in [0, 1]."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sr_lightning.functional import to_levels as nearest_levels

Planar = NDArray[Any]  # (C, H, W), uint8 or uint16


def levels_of(dtype: Any) -> int:
    """The level that stands for 1.

    Example:
        >>> levels_of(np.uint8), levels_of(np.uint16)
        (255, 65535)
    """
    return int(np.iinfo(dtype).max)


def to_uint16(pixels: NDArray[Any]) -> NDArray[np.uint16]:
    """Converts 8 bit to 16 bit, which ``to_uint8`` inverts. 16 bit stays as it is.

    Example:
        >>> to_uint16(np.array([0, 1, 255], dtype=np.uint8))
        array([    0,   257, 65535], dtype=uint16)
    """
    return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * np.uint16(257)


def same_depth(pictures: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Pictures of one depth: unchanged if all have 8 bit, else all in 16 bit."""
    deep = any(picture.dtype == np.uint16 for picture in pictures)
    return [to_uint16(picture) if deep else picture for picture in pictures]


def to_float(picture: NDArray[Any]) -> Tensor:
    """Converts a picture of 8 or 16 bit to float64 in [0, 1]."""
    return torch.from_numpy(np.array(picture)).double() / levels_of(picture.dtype)


def to_levels(image: Tensor, dtype: Any) -> NDArray[Any]:
    """Numbers in [0, 1] to the nearest level of uint8 or uint16.

    Example:
        >>> to_levels(torch.tensor([0.0, 0.5, 1.0]), np.uint16)
        array([    0, 32768, 65535], dtype=uint16)
    """
    levels: NDArray[Any] = nearest_levels(image, 8 if dtype == np.uint8 else 16).numpy()
    return levels


def pillow_resized(picture: Planar, size: tuple[int, int], how: Image.Resampling) -> Planar:
    """Resizes each channel with Pillow; 16 bit is resized in floating point."""
    if picture.dtype == np.uint8:
        return np.stack([np.asarray(Image.fromarray(channel).resize(size[::-1], how)) for channel in picture])
    real = [Image.fromarray(channel.astype(np.float32)).resize(size[::-1], how) for channel in picture]
    levels = np.stack([np.asarray(channel) for channel in real]).clip(0, 65535)
    return to_levels(torch.from_numpy(levels).double() / 65535, np.uint16)
