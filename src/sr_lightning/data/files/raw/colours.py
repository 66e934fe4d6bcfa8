"""White balance and colour matrix of an opened RAW file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from sr_lightning.data.files.raw.picture import IDENTITY
from sr_lightning.functional.isp import SRGB_TO_XYZ

Gains = tuple[float, float, float]
#: Between these, LibRaw has clipped nothing; and so many pixels tell nine numbers in spite of rounding.
_UNCLIPPED, _ENOUGH = (0.001, 0.98), 1000
#: Condition of a colour matrix that nobody measured; those of cameras lie below 20.
_WORST = 1e3


def balance_of(raw: Any, wanted: str | Sequence[float] = "camera") -> Gains:
    """White balance of R, G and B, green 1; see ``filter_gains``."""
    red, green, blue, green_2 = filter_gains(raw, wanted)
    green = (green + green_2) / 2
    return red / green, 1.0, blue / green


def filter_gains(raw: Any, wanted: str | Sequence[float] = "camera") -> list[float]:
    """White balance of R, G, B and the second G of an opened and unpacked file.

    Where the file has none, LibRaw's own choice stands in: that which makes the mean grey.

    Args:
        raw: The opened file.
        wanted: ``camera``, ``daylight``, ``auto``, or gains of red, green and blue.
    """
    if raw.num_colors == 1:
        return [1.0] * 4
    if not isinstance(wanted, str):
        return [*wanted, wanted[1]]
    noted = {"camera": raw.camera_whitebalance, "daylight": raw.daylight_whitebalance}.get(wanted)
    if noted is None or _is_missing(noted):
        # In half size, colours would be 3 % off.
        raw.postprocess(use_auto_wb=True, demosaic_algorithm=rawpy.DemosaicAlgorithm.LINEAR)
        noted = raw.auto_whitebalance
    if noted is None or _is_missing(noted):  # of a black picture
        return [1.0] * 4
    red, green, blue, green_2 = noted
    return [red, green, blue, green_2 if green_2 > 0 else green]


def matrix_of(raw: Any) -> tuple[tuple[float, float, float], ...]:
    """The file's camera-to-sRGB matrix, the one that its XYZ-to-camera matrix implies, or that which LibRaw applies.

    Identity, if the sensor has not three colours.
    """
    if raw.num_colors != 3:
        return IDENTITY
    matrix = np.asarray(raw.color_matrix, dtype=np.float64)[:, :3]
    if not matrix.any():
        from_xyz = np.asarray(raw.rgb_xyz_matrix, dtype=np.float64)[:3]
        if not from_xyz.any():
            return _measured_matrix(raw)
        from_srgb = from_xyz @ np.asarray(SRGB_TO_XYZ)
        if not _is_usable(from_srgb):
            return _measured_matrix(raw)
        matrix = np.linalg.inv(from_srgb / from_srgb.sum(axis=1, keepdims=True))
    if not _is_usable(matrix):
        return _measured_matrix(raw)
    return tuple((float(r), float(g), float(b)) for r, g, b in matrix / matrix.sum(axis=1, keepdims=True))


def _measured_matrix(raw: Any) -> tuple[tuple[float, float, float], ...]:
    """What LibRaw makes sRGB of the camera's colours with, where it knows a camera and does not say what."""
    gains = filter_gains(raw)
    linear = {"user_wb": gains, "half_size": True, "no_auto_bright": True, "gamma": (1, 1), "output_bps": 16}
    camera, srgb = (
        raw.postprocess(output_color=space, **linear).reshape(-1, 3) / 65535
        for space in (rawpy.ColorSpace.raw, rawpy.ColorSpace.sRGB)
    )
    low, high = _UNCLIPPED
    unclipped = (srgb.min(1) > low) & (srgb.max(1) < high) & (camera.max(1) < high)
    if unclipped.sum() < _ENOUGH:
        return IDENTITY
    matrix, _, rank, _ = np.linalg.lstsq(camera[unclipped], srgb[unclipped], rcond=1e-4)
    if rank < 3 or not _is_usable(matrix.T):  # of a grey picture
        return IDENTITY
    rows = matrix.T / matrix.sum(axis=0)[:, None]
    return tuple((float(r), float(g), float(b)) for r, g, b in rows)


def _is_usable(matrix: NDArray[np.float64]) -> bool:
    """Whether a damaged file's matrix can be one: it keeps white, and can be undone."""
    if not np.isfinite(matrix).all() or np.abs(matrix.sum(axis=1)).min() < 1e-3:
        return False
    return bool(np.linalg.cond(matrix / matrix.sum(axis=1, keepdims=True)) < _WORST)


def _is_missing(gains: Sequence[float]) -> bool:
    return not all(gain > 0 and np.isfinite(gain) for gain in gains[:3])
