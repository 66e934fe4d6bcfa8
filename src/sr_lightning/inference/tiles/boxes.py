"""Parts of a picture, and how a large one is cut into them."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil


@dataclass(frozen=True)
class Box:
    """A part of a picture: rows ``top`` to ``bottom`` and columns ``left`` to ``right``, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """For an array of two axes or more, the first of which are rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def area(self) -> int:
        """Pixels in it."""
        return (self.bottom - self.top) * (self.right - self.left)

    def times(self, rows: Fraction | int, columns: Fraction | int) -> "Box":
        """Its place in a picture that is larger or smaller: boxes that touch still do."""
        return Box(
            ceil(self.top * rows), ceil(self.bottom * rows), ceil(self.left * columns), ceil(self.right * columns)
        )

    def inside(self, other: "Box") -> "Box":
        """The same pixels, counted from the corner of a box around this."""
        top, left = other.top, other.left
        return Box(self.top - top, self.bottom - top, self.left - left, self.right - left)

    def split(self, side: int) -> "list[Box]":
        """Boxes of at most ``side`` rows and columns."""
        return [
            Box(top, min(top + side, self.bottom), left, min(left + side, self.right))
            for top in range(self.top, self.bottom, side)
            for left in range(self.left, self.right, side)
        ]

    def grown(self, halo: int, height: int, width: int, multiple: int = 1) -> "Box":
        """This box and ``halo`` pixels around it, inside the picture, beginning on a multiple."""
        return Box(
            max(0, self.top - halo) // multiple * multiple,
            min(height, self.bottom + halo),
            max(0, self.left - halo) // multiple * multiple,
            min(width, self.right + halo),
        )

    def halves(self) -> tuple["Box", "Box"]:
        """Two boxes, cut across the longer side."""
        if self.bottom - self.top >= self.right - self.left:
            middle = (self.top + self.bottom) // 2
            return Box(self.top, middle, self.left, self.right), Box(middle, self.bottom, self.left, self.right)
        middle = (self.left + self.right) // 2
        return Box(self.top, self.bottom, self.left, middle), Box(self.top, self.bottom, middle, self.right)


def tiles(height: int, width: int, tile: int, halo: int = 0, multiple: int = 1) -> list[tuple[Box, Box]]:
    """Boxes that make up the picture row by row, and what each is computed from: windows with ``halo`` around them.

    All windows have one size, at most ``tile`` and two halos, so that nothing is planned or compiled anew on the way;
    those at the edges lie inside the picture. They begin on multiples of ``multiple``, where the last may be larger.

    Example:
        >>> [(box.top, box.bottom, window.top, window.bottom) for box, window in tiles(100, 40, 40, halo=4)]
        [(0, 34, 0, 39), (34, 65, 30, 69), (65, 100, 61, 100)]
    """
    rows, columns = (spans(length, tile, halo, multiple) for length in (height, width))
    return [
        (Box(top, bottom, left, right), Box(begin, end, start, stop))
        for top, bottom, begin, end in rows
        for left, right, start, stop in columns
    ]


def spans(length: int, tile: int, halo: int, multiple: int) -> list[tuple[int, int, int, int]]:
    """Of each tile along one axis, begin and end of what is kept, and of what is computed."""
    count = max(1, -(-(length - 2 * halo) // tile))
    window = -(-(length - 2 * halo) // count) + 2 * halo if count > 1 else length
    begins = [k * (length - window) // max(1, count - 1) for k in range(count)]
    cuts = [0, *((before + window + after) // 2 for before, after in pairwise(begins)), length]
    ends = [begin + window for begin in begins]
    starts = [begin // multiple * multiple for begin in begins]
    return list(zip(cuts, cuts[1:], starts, ends, strict=False))
