"""White balance and colour matrix of an opened RAW file."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sr_lightning.data.files.raw.picture import IDENTITY
from sr_lightning.functional.isp import SRGB_TO_XYZ


def is_missing(gains: Sequence[float]) -> bool:
    """Whether a file's white balance says nothing."""
    return not all(gain > 0 and np.isfinite(gain) for gain in gains[:3])


def gains_of(raw: Any) -> tuple[float, float, float]:
    """White balance of R, G, B as shot, green 1: the camera's, else that for daylight, else none."""
    for gains in (raw.camera_whitebalance, raw.daylight_whitebalance):
        if not is_missing(gains):
            red, green, blue, green_2 = gains
            green = (green + green_2) / 2 if green_2 > 0 else green
            return red / green, 1.0, blue / green
    return 1.0, 1.0, 1.0


def matrix_of(raw: Any) -> tuple[tuple[float, float, float], ...]:
    """The file's camera-to-sRGB matrix, or the one that its XYZ-to-camera matrix implies."""
    matrix = np.asarray(raw.color_matrix, dtype=np.float64)[:, :3]
    if not matrix.any():
        from_xyz = np.asarray(raw.rgb_xyz_matrix, dtype=np.float64)[:3]
        if not from_xyz.any():
            return IDENTITY
        from_srgb = from_xyz @ np.asarray(SRGB_TO_XYZ)
        matrix = np.linalg.inv(from_srgb / from_srgb.sum(axis=1, keepdims=True))
    return tuple((float(r), float(g), float(b)) for r, g, b in matrix / matrix.sum(axis=1, keepdims=True))
