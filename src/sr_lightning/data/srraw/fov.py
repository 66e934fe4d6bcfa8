"""Crops a picture of a short focal length to the field of view of the longest one."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: 3x3, from pixels (x, y, 1) of one picture to those of another; (0, 0) is the middle of the first pixel.
Affine = NDArray[np.float64]


def crop_box(height: int, width: int, ratio: float) -> tuple[int, int, int, int]:
    """Left, upper, right and lower edge of the middle 1 / ``ratio`` of a picture, as Pillow counts them.

    Example:
        >>> crop_box(100, 203, 1.6)
        (39, 19, 164, 81)
    """

    def edges(n: int) -> tuple[int, int]:
        return math.ceil((n - n / ratio) / 2), math.floor((n + n / ratio) / 2)

    (top, bottom), (left, right) = edges(height), edges(width)
    return left, top, right, bottom


def crop_size(height: int, width: int, ratio: float) -> tuple[int, int]:
    """Width and height of the result of ``crop_fov``.

    Example:
        >>> crop_size(100, 203, 1.6)
        (200, 99)
    """
    left, top, right, bottom = crop_box(height, width, ratio)
    return int((right - left) * ratio), int((bottom - top) * ratio)


def crop_fov(image: Image.Image, ratio: float) -> Image.Image:
    """The middle 1 / ``ratio`` of a picture, enlarged (Lanczos) to about its size.

    Sides are cut to whole pixels before and after the enlargement, as in the authors' files: see ``crop_map``.

    Example:
        >>> crop_fov(Image.new("L", (203, 100)), 1.6).size
        (200, 99)
    """
    size = crop_size(image.height, image.width, ratio)
    return image.resize(size, Image.Resampling.LANCZOS, box=crop_box(image.height, image.width, ratio))


def crop_map(height: int, width: int, ratio: float) -> Affine:
    """Maps pixels of ``crop_fov``'s result to pixels of the picture.

    Example:
        >>> (crop_map(100, 200, 2.0) @ [0, 0, 1]).tolist()
        [49.75, 24.75, 1.0]
    """
    return resize_map(crop_size(height, width, ratio), crop_box(height, width, ratio))


def resize_map(size: tuple[int, int], box: tuple[float, float, float, float]) -> Affine:
    """From pixels of a picture of ``size`` (width, height) to those that its ``box`` was resized from."""
    x, y = ((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
    return np.array([[x, 0, box[0] + x / 2 - 0.5], [0, y, box[1] + y / 2 - 0.5], [0, 0, 1]])
