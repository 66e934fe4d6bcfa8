"""Turns pictures as a camera was held."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def turned_upright(pixels: NDArray[Any], flip: int) -> NDArray[Any]:
    """``(H, W, C)`` as it is to be shown, by LibRaw's code: bit 0 mirrors columns, 1 rows, and 2 transposes then.

    Example:
        >>> turned_upright(np.array([[[1], [2]], [[3], [4]]]), 6)[..., 0]
        array([[3, 1],
               [4, 2]])
    """
    pixels = pixels[:: -1 if flip & 2 else 1, :: -1 if flip & 1 else 1]
    return np.ascontiguousarray(pixels.transpose(1, 0, 2) if flip & 4 else pixels)
