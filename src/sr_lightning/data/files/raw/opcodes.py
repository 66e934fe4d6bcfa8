"""Steps of processing that a DNG asks for: gains of samples, and the warp of a picture.

**Specification:** Adobe, Digital Negative (DNG) Specification, version 1.7.1.0, chapter 7.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_lightning.data.files.raw.dng_tags import Opcode

_MOST_PLANES = 4
#: By which share of its distance from the centre a corner may move.
_LARGEST_WARP = 0.5
WARP_RECTILINEAR, FIX_VIGNETTE_RADIAL, GAIN_MAP = 1, 3, 9
NAMES = {
    1: "WarpRectilinear",
    2: "WarpFisheye",
    3: "FixVignetteRadial",
    4: "FixBadPixelsConstant",
    5: "FixBadPixelsList",
    6: "TrimBounds",
    7: "MapTable",
    8: "MapPolynomial",
    9: "GainMap",
    10: "DeltaPerRow",
    11: "DeltaPerColumn",
    12: "ScalePerRow",
    13: "ScalePerColumn",
    14: "WarpRectilinear2",
}


class Gain(NamedTuple):
    """Factors of some rows and columns, of one plane of colour or, with None, of all."""

    plane: int | None
    rows: slice
    columns: slice
    factors: NDArray[np.float32]


def name_of(step: Opcode) -> str:
    """The specification's name of a step, and its list."""
    return f"{NAMES.get(step.number, f'opcode {step.number}')} of OpcodeList{step.stage}"


def is_gain(step: Opcode) -> bool:
    """Whether a step multiplies samples."""
    return step.number in (GAIN_MAP, FIX_VIGNETTE_RADIAL)


def is_warp(step: Opcode) -> bool:
    """Whether a step moves the pixels of a demosaiced picture, and ``warped`` can do it."""
    if step.stage != 3 or step.number != WARP_RECTILINEAR or len(step.data) < 4:
        return False
    (planes,) = struct.unpack_from(">I", step.data)
    if not 0 < planes <= _MOST_PLANES or len(step.data) < 4 + 8 * (6 * planes + 2):
        return False
    *polynomials, x, y = struct.unpack_from(f">{6 * planes + 2}d", step.data, 4)
    if not np.isfinite([*polynomials, x, y]).all():
        return False
    # Whoever takes a lens for so bad means something else: the corners' places are the sums of the radial terms.
    corners = np.reshape(polynomials, (planes, 6))[:, :4].sum(1)
    return bool((np.abs(corners - 1) < _LARGEST_WARP).all() and np.abs([x - 0.5, y - 0.5]).max() < 1)


def gains(step: Opcode, height: int, width: int) -> list[Gain]:
    """What a step multiplies samples by, in a picture of that size.

    Raises:
        ValueError: If its parameters are damaged.
    """
    try:
        found = list((_map_gains if step.number == GAIN_MAP else _radial_gains)(step.data, height, width))
    except struct.error as error:
        raise ValueError(str(error)) from None
    if not all(np.isfinite(gain.factors).all() and (gain.factors > 0).all() for gain in found):
        raise ValueError("gains that are no numbers above 0")
    return found


def warped(step: Opcode, picture: NDArray[Any]) -> NDArray[Any]:
    """A picture ``(H, W, C)`` without its lens's distortion, by WarpRectilinear.

    Each pixel is taken from where radial and tangential polynomials say, which each plane of colour may have its own.
    """
    height, width, channels = picture.shape
    (planes,) = struct.unpack_from(">I", step.data)
    values = struct.unpack_from(f">{6 * planes + 2}d", step.data, 4)
    dx, dy, centre_x, centre_y, radius = _from_centre(values[-2], values[-1], height, width)
    r2 = dx**2 + dy**2
    result = np.empty_like(picture)
    for channel in range(channels):
        plane = min(channel, planes - 1)
        k0, k1, k2, k3, t0, t1 = values[6 * plane : 6 * plane + 6]
        radial = k0 + r2 * (k1 + r2 * (k2 + r2 * k3))
        x = dx * radial + t0 * (2 * dx * dy) + t1 * (r2 + 2 * dx**2)
        y = dy * radial + t1 * (2 * dx * dy) + t0 * (r2 + 2 * dy**2)
        map_x, map_y = (x * radius + centre_x).astype(np.float32), (y * radius + centre_y).astype(np.float32)
        which: Any = slice(None) if planes == 1 else channel
        source = np.ascontiguousarray(picture[..., which])
        result[..., which] = cv2.remap(source, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        if planes == 1:
            break
    return result


def _map_gains(data: bytes, height: int, width: int) -> Iterator[Gain]:
    """A map of factors, bilinear between its points; the picture's sides are 1 long in the map's coordinates."""
    top, left, bottom, right, plane, planes, row_pitch, column_pitch, down, across = struct.unpack_from(">10I", data)
    down_step, across_step, down_start, across_start = struct.unpack_from(">4d", data, 40)
    (map_planes,) = struct.unpack_from(">I", data, 72)
    if not (down and across and map_planes and row_pitch and column_pitch and planes <= _MOST_PLANES):
        raise ValueError("an empty map, or one of too many planes")
    if len(data) < 76 + 4 * down * across * map_planes:
        raise ValueError("the map is cut off")
    values = np.frombuffer(data, ">f4", down * across * map_planes, 76).reshape(down, across, map_planes)
    rows, columns = slice(top, min(bottom, height), row_pitch), slice(left, min(right, width), column_pitch)
    by_row = _interpolation(np.arange(height)[rows], height, down_start, down_step, down)
    by_column = _interpolation(np.arange(width)[columns], width, across_start, across_step, across)
    for number in range(planes):
        factors = by_row @ values[..., min(number, map_planes - 1)].astype(np.float32) @ by_column.T
        yield Gain(plane + number, rows, columns, factors)


def _interpolation(places: NDArray[Any], side: int, start: float, step: float, points: int) -> NDArray[np.float32]:
    """Weights ``(places, points)`` of a line's points at some pixels' centres."""
    at = ((places + 0.5) / side - start) / (step or 1)
    at = at.clip(0, points - 1)
    first = np.minimum(at.astype(int), max(points - 2, 0))
    weights = np.zeros((len(places), points), np.float32)
    rows = np.arange(len(places))
    weights[rows, first] = 1 - (at - first)
    weights[rows, np.minimum(first + 1, points - 1)] += at - first
    return weights


def _radial_gains(data: bytes, height: int, width: int) -> Iterator[Gain]:
    """A polynomial in the squared distance from a centre, which is 1 in the farthest corner."""
    *terms, x, y = struct.unpack_from(">7d", data)
    dx, dy, *_ = _from_centre(x, y, height, width)
    r2 = dx**2 + dy**2
    factors = np.polynomial.polynomial.polyval(r2, [1, *terms]).astype(np.float32)
    yield Gain(None, slice(None), slice(None), factors)


def _from_centre(x: float, y: float, height: int, width: int) -> tuple[Any, Any, float, float, float]:
    """Distances of columns and rows from a centre, the centre in pixels, and how many pixels are 1."""
    centre_x, centre_y = x * (width - 1), y * (height - 1)
    radius = float(np.hypot(max(centre_x, width - 1 - centre_x), max(centre_y, height - 1 - centre_y))) or 1.0
    dx, dy = (np.arange(width) - centre_x) / radius, (np.arange(height)[:, None] - centre_y) / radius
    return dx, dy, centre_x, centre_y, radius
