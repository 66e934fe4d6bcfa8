"""How much a video flickers: what changes from frame to frame beside motion."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sr_lightning.errors import DataError

#: Pixels of a side, at least; the flow needs 12.
_SIDE = 16


def flicker(frames: Iterable[NDArray[np.uint8]], motion: Iterable[NDArray[np.uint8]] | None = None) -> float:
    """Mean absolute difference of neighbouring frames, the second moved back onto the first, in levels of 0...255.

    Motion is the dense optical flow of OpenCV's DIS (Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV
    2016). Pixels that come from beyond the frame do not count.

    Args:
        frames: Grey or RGB frames of one size, ``(H, W)`` or ``(H, W, C)`` in uint8, two or more.
        motion: Frames to find the motion in, such as those of the bicubic enlargement: comparing several enlargements
            of a video needs the same motion for all. By default, the frames themselves.

    Raises:
        DataError: If there are fewer than two frames, their sizes differ, or one is not uint8, neither grey nor RGB, or
            below 16x16 pixels, too few for the flow.

    Example:
        >>> still = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
        >>> flicker([still, still, still])
        0.0
    """
    grey = [_grey(frame) for frame in frames]
    guide = grey if motion is None else [_grey(frame) for frame in motion]
    if len(grey) < 2 or len({frame.shape for frame in [*grey, *guide]}) > 1 or len(guide) != len(grey):
        raise DataError("flicker is measured between frames: give two or more of one size, and as many for the motion")
    found = [_between(*pair, *guides) for pair, guides in zip(pairwise(grey), pairwise(guide), strict=True)]
    return float(np.mean(found))


def _between(first: NDArray[np.uint8], second: NDArray[np.uint8], *guides: NDArray[np.uint8]) -> float:
    import cv2

    opencv: Any = cv2  # whose types leave this class out
    flow = opencv.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*guides, None)
    height, width = first.shape
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    back = cv2.remap(second.astype(np.float32), x, y, cv2.INTER_CUBIC)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return float(np.abs(back - first)[inside].mean()) if inside.any() else 0.0


def _grey(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if (
        frame.dtype != np.uint8
        or frame.shape[2:] not in ((), (1,), (3,))
        or frame.ndim < 2
        or min(frame.shape[:2]) < _SIDE
    ):
        raise DataError(
            f"flicker is measured of uint8 frames, grey (H, W) or RGB (H, W, 3), of at least {_SIDE}x{_SIDE} pixels; "
            f"got {frame.dtype} {frame.shape}"
        )
    colours = frame.reshape(*frame.shape[:2], -1)
    weights = (0.299, 0.587, 0.114) if colours.shape[2] == 3 else (1.0,)
    return np.rint(colours.astype(np.float32) @ np.asarray(weights, np.float32)).astype(np.uint8)
