"""How strongly a JPEG file was compressed, by its table."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Steps of luminance at quality 50, row by row: ITU-T T.81, table K.1, which libjpeg and most cameras scale.
_AT_50 = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
).ravel()


def jpeg_quality(image: Image.Image) -> int | None:
    """The quality of an opened JPEG file, 1 to 100; None of other files."""
    tables = getattr(image, "quantization", None)
    return quality_of_steps(tables[min(tables)]) if tables else None


def quality_of_steps(steps: Sequence[int]) -> int:
    """The quality, 1 to 100, whose steps of libjpeg are nearest to these.

    Args:
        steps: The 64 steps of luminance, row by row.

    Example:
        >>> quality_of_steps(_AT_50), quality_of_steps([1] * 64)
        (50, 100)
    """
    return 1 + int(np.abs(_of_all_qualities() - np.asarray(steps)).sum(axis=1).argmin())


def _of_all_qualities() -> NDArray[np.float64]:
    """The steps of libjpeg at quality 1 to 100, ``(100, 64)``."""
    quality = np.arange(1, 101)
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return ((_AT_50 * percent[:, None] + 50) // 100).clip(1, 255).astype(float)
