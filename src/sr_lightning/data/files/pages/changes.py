"""What differs between frames of a result, and how long each is shown."""

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.writing import together


class Box(NamedTuple):
    """Rows and columns of a picture."""

    rows: slice
    columns: slice

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


def with_opacity(photo: Photo) -> Photo:
    """The photo, whose opacity is there."""
    if photo.alpha is not None:
        return photo
    pixels = photo.pixels
    return Photo(pixels, np.full((*pixels.shape[:2], 1), np.iinfo(pixels.dtype).max, pixels.dtype), photo.metadata)


def box_of(changed: NDArray[Any], step: int = 1) -> Box:
    """The smallest box that holds all that has changed; it begins at multiples of ``step``, and is never empty.

    Args:
        changed: A mask ``(H, W)``.
        step: What the first row and column are multiples of.

    Example:
        >>> mask = np.zeros((4, 6), bool)
        >>> mask[1:3, 3:5] = True
        >>> box_of(mask), box_of(mask, step=2).rows.start
        (Box(rows=slice(1, 3, None), columns=slice(3, 5, None)), 0)
    """
    found = []
    for axis in (1, 0):
        places = np.flatnonzero(changed.any(axis=axis))
        first, last = (int(places[0]), int(places[-1])) if len(places) else (0, 0)
        found.append(slice(first // step * step, last + 1))
    return Box(*found)


def changed_box(before: Photo | None, photo: Photo, step: int = 1) -> Box:
    """The box of what differs from the frame before; all where there is none."""
    height, width = photo.pixels.shape[:2]
    if before is None:
        return Box(slice(0, height), slice(0, width))
    return box_of((together(before) != together(photo)).any(axis=-1), step)


def cut(photo: Photo, box: Box) -> Photo:
    """A part of a photo, without metadata."""
    return Photo(
        np.ascontiguousarray(photo.pixels[box.rows, box.columns]),
        None if photo.alpha is None else np.ascontiguousarray(photo.alpha[box.rows, box.columns]),
    )


#: Units in a second, and for how many of them a frame is shown at most.
UNITS = {".gif": (100, 2**16 - 1), ".webp": (1000, 2**24 - 1), ".avif": (1000, 2**31 - 1), ".png": (1, 2**16 - 1)}


class Clock:
    """Times in a format's units, rounded so that their sum is right.

    Example:
        >>> clock = Clock(ending=".gif")
        >>> [clock.ticks(Fraction(1, 60)) for _ in range(6)]
        [2, 1, 2, 2, 1, 2]
    """

    def __init__(self, ending: str) -> None:
        self._rate, self._most = UNITS[ending]
        self._time, self._told = Fraction(0), 0

    def ticks(self, time: Fraction | None) -> int:
        """Units for which the next frame is shown."""
        self._time += time or 0
        ticks = max(0, round(self._time * self._rate) - self._told)
        self._told += ticks
        return min(ticks, self._most)
