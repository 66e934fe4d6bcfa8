"""Finds how a hand-held frame lies to another: shift and turn, to a fraction of a pixel."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_lightning.errors import DataError

Plane = NDArray[np.float32]
#: Two rows that take places (x, y) of the reference's half-size plane to those of the frame's.
Warp = NDArray[np.float64]

#: What the pictures have in common at least; noise lowers it, another scene more.
LEAST_CORRELATION = 0.3
#: How far a frame may be moved, as a share of the shorter side.
LARGEST_SHIFT = 0.2
#: How far it may be turned, in degrees; another scene is often turned by any angle.
LARGEST_TURN = 5.0
_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-6)
_PIXELS = 1_500_000  # more of them cost minutes and tell nothing new
_LEVELS = (4, 1)
_SMOOTHED = 5


def align(reference: Plane, frame: Plane) -> Warp:
    """The warp between two half-size green planes.

    Phase correlation finds the shift; then ECC refines shift and turn, from coarse to fine.

    **Paper:** Evangelidis, Psarakis, Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization,
    IEEE TPAMI 2008.

    Raises:
        DataError: If they do not resemble each other, or lie too far apart or turned; the message gives the figure.
    """
    shrink = max(1, round((reference.size / _PIXELS) ** 0.5))
    small, other = (_shrunk(_even(plane), shrink) for plane in (reference, frame))
    window = cv2.createHanningWindow(small.shape[::-1], cv2.CV_32F)
    (shift_x, shift_y), _ = cv2.phaseCorrelate(small, other, window)
    matrix: Any = np.array([[1, 0, shift_x], [0, 1, shift_y]], np.float32)
    correlation = 0.0
    for level in _LEVELS:
        if level > 1 and min(small.shape) < 32 * level:
            continue
        matrix[:, 2] /= level
        try:
            planes: Any = _shrunk(small, level), _shrunk(other, level)
            search: Any = cv2.findTransformECC  # whose types forget that there may be no mask
            correlation, found = search(*planes, matrix, cv2.MOTION_EUCLIDEAN, _CRITERIA, None, _SMOOTHED)
        except cv2.error:
            raise DataError("does not resemble the reference") from None
        matrix = np.asarray(found, np.float32)
        matrix[:, 2] *= level
    if not correlation >= LEAST_CORRELATION:
        raise DataError(f"resembles the reference by a correlation of {correlation:.2f} alone")
    warp: Warp = np.asarray(matrix, np.float64)
    turn = abs(float(np.rad2deg(np.arctan2(warp[1, 0], warp[0, 0]))))
    if turn > LARGEST_TURN:
        raise DataError(f"is turned by {turn:.0f} degrees")
    warp[:, 2] = _in_full_size(warp, shrink)
    height, width = reference.shape
    middle = np.array([width / 2, height / 2, 1])
    moved = float(np.abs(warp @ middle - middle[:2]).max())
    if moved > LARGEST_SHIFT * min(height, width):
        raise DataError(f"is moved by {2 * moved:.0f} pixels")
    return warp


def to_mosaic(warp: Warp) -> Warp:
    """The same warp between places of the mosaics, whose pixels are half as large.

    Example:
        >>> to_mosaic(np.array([[1.0, 0.0, 3.0], [0.0, 1.0, -1.0]]))[:, 2].tolist()
        [6.0, -2.0]
    """
    shift = 2 * warp[:, 2] + 0.5 - warp[:, :2] @ [0.5, 0.5]
    return np.column_stack([warp[:, :2], shift])


def _even(plane: Plane) -> Plane:
    """Square roots, in which the noise of light is as strong everywhere."""
    root: Any = np.sqrt(np.maximum(plane, 0))
    return np.asarray(root - root.mean(), np.float32)


def _shrunk(plane: Plane, factor: int) -> Plane:
    if factor == 1:
        return plane
    height, width = (side // factor * factor for side in plane.shape)
    size = width // factor, height // factor
    return np.asarray(cv2.resize(plane[:height, :width], size, interpolation=cv2.INTER_AREA))


def _in_full_size(warp: Warp, factor: int) -> NDArray[np.float64]:
    """The shift in pixels that are ``factor`` times smaller."""
    edge = (factor - 1) / 2
    return np.asarray(factor * warp[:, 2] + edge - warp[:, :2] @ [edge, edge])
