"""The canvas of an animation, on which each frame is a change of what was there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sr_lightning.data.files.io import Photo, is_opaque
from sr_lightning.data.files.pages.changes import with_opacity
from sr_lightning.data.files.pages.layout import Frame
from sr_lightning.data.files.writing import together


class Canvas:
    """Shows the whole picture of each frame in turn, as browsers do; it begins transparent.

    Args:
        height: Of all pictures.
        width: Of all pictures.
        channels: 1 or 3.
        kind: uint8 or uint16.

    Example:
        >>> from fractions import Fraction
        >>> canvas = Canvas(1, 3, 1, np.uint8)
        >>> part = Photo(np.full((1, 2, 1), 9, np.uint8))
        >>> canvas.show(part, Frame(1, 0, 1, 2, Fraction(1), True, "clear", None)).pixels[0, :, 0].tolist()
        [0, 9, 9]
    """

    def __init__(self, height: int, width: int, channels: int, kind: type[np.unsignedinteger[Any]]) -> None:
        self._values = np.zeros((height, width, channels + 1), kind)  # the last one is opacity

    def show(self, part: Photo, frame: Frame) -> Photo:
        """The picture with a part on it, then made ready for the next one.

        Args:
            part: The frame's pixels; those beyond the canvas are left out.
            frame: Where they lie, and what becomes of them.
        """
        channels = self._values.shape[2] - 1
        place = self._values[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
        before = place.copy() if frame.after == "restore" else None
        pixels = np.broadcast_to(part.pixels, (*part.pixels.shape[:2], channels))
        laid = together(with_opacity(Photo(pixels, part.alpha)))[: place.shape[0], : place.shape[1]]
        place[:] = _over(laid, place) if frame.over else laid
        photo = Photo(self._values[..., :channels].copy(), self._values[..., channels:].copy())
        if frame.after != "keep":
            place[:] = 0 if before is None else before
        return Photo(photo.pixels) if is_opaque(photo) else photo


def _over(above: NDArray[Any], below: NDArray[Any]) -> NDArray[Any]:
    """One picture on another one, by the opacity of both, as the PNG specification has it."""
    full = np.iinfo(above.dtype).max
    mixed = (above[..., -1:] > 0) & (above[..., -1:] < full)
    result = np.where(above[..., -1:] == 0, below, above)
    if not mixed.any():
        return result
    upper, lower = above[..., -1:] / full, below[..., -1:] / full * (1 - above[..., -1:] / full)
    opacity = np.maximum(upper + lower, 1e-9)
    colours = (above[..., :-1] * upper + below[..., :-1] * lower) / opacity
    blend = np.concatenate([colours, opacity * full], axis=-1)
    return np.where(mixed, np.floor(blend + 0.5).astype(above.dtype), result)
