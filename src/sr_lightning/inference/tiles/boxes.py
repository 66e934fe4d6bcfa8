"""Parts of a picture, and how a large one is cut into them."""

from dataclasses import dataclass
from fractions import Fraction
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
        """This box and ``halo`` pixels around it, inside the picture, from one multiple to another or to its end."""
        return Box(
            max(0, self.top - halo) // multiple * multiple,
            min(height, up_to(self.bottom + halo, multiple)),
            max(0, self.left - halo) // multiple * multiple,
            min(width, up_to(self.right + halo, multiple)),
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
    those at the edges lie inside the picture. They begin on multiples of ``multiple`` and have such sides, so that the
    windows of a network's attention are those of the whole picture; the last ends with the picture and may be larger.

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
    if length - 2 * halo <= tile:
        return [(0, length, 0, length)]
    # Steps of a multiple from one window to the next, at most as long as a window without its halos.
    halo, tile = up_to(halo, multiple), max(tile // multiple, 1) * multiple
    count = -(-(length - 2 * halo) // tile)
    if count < 2:
        return [(0, length, 0, length)]
    window = up_to(-(-(length - 2 * halo) // count), multiple) + 2 * halo
    begins = [k * (length - window) // (count - 1) // multiple * multiple for k in range(count)]
    begins = list(dict.fromkeys(begins))  # where tiles are hardly larger than the multiple, two may become one
    ends = [*(begin + window for begin in begins[:-1]), length]
    cuts = [0, *((before + after) // 2 for before, after in zip(ends, begins[1:], strict=False)), length]
    return list(zip(cuts, cuts[1:], begins, ends, strict=False))


def up_to(length: int, multiple: int) -> int:
    """The next multiple.

    Example:
        >>> up_to(9, 4), up_to(8, 4)
        (12, 8)
    """
    return -(-length // multiple) * multiple
