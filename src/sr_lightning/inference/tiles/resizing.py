"""MATLAB's resize of a large picture in parts, each from the pixels that it depends on alone."""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor
from typing import Protocol

import torch
from torch import Tensor

from sr_lightning.functional import resize_matrix
from sr_lightning.functional.precision import full_precision
from sr_lightning.inference.tiles.boxes import Box

_SIDE = 256  # pixels: the dense matrices of a part, and the work, grow with it

Size = tuple[int, int]
Parts = Iterator[tuple[Box, Tensor]]


class Resizing(Protocol):
    """How parts of what a network gives become parts of a result of another size."""

    @property
    def side(self) -> int:
        """Most rows and columns of the result to make at once."""

    def reach(self, size: Size, shape: Size) -> int:
        """As the function ``reach``."""

    def source_box(self, box: Box, size: Size, shape: Size) -> Box:
        """As the function ``source_box``."""

    def part(self, part: Tensor, window: Box, shape: Size, box: Box, size: Size) -> Tensor:
        """As ``resize_part``."""


def source_box(box: Box, size: Size, shape: Size) -> Box:
    """What ``box`` of ``imresize(picture, size=size)`` depends on in the picture, which has height and width ``shape``.

    Example:
        >>> source_box(Box(0, 10, 30, 40), (40, 40), (20, 20))
        Box(top=0, bottom=8, left=12, right=20)
    """
    rows = _needed(box.top, box.bottom, size[0], shape[0])
    return Box(*rows, *_needed(box.left, box.right, size[1], shape[1]))


def reach(size: Size, shape: Size) -> int:
    """Pixels around any box of the picture that the same box of the result depends on, at most."""
    pixels = (max(Fraction(1), Fraction(length, wanted)) for wanted, length in zip(size, shape, strict=True))
    return max(ceil(3 * pixel) + 2 for pixel in pixels)


def resize_part(part: Tensor, window: Box, shape: Size, box: Box, size: Size) -> Tensor:
    """``box`` of ``imresize(picture, size=size)``.

    Args:
        part: ``(C, H, W)``, of the picture.
        window: Where it lies; it covers what is ``source_box``.
        shape: Height and width of the picture.
        box: In the result.
        size: Height and width of the result.

    Example:
        >>> from sr_lightning.functional import imresize
        >>> picture, box = torch.rand(3, 20, 20), Box(0, 10, 30, 40)
        >>> part = resize_part(picture[:, :8, 12:], Box(0, 8, 12, 20), (20, 20), box, (40, 40))
        >>> bool((part - imresize(picture, 2)[:, :10, 30:]).abs().max() < 1e-6)
        True
    """
    where = source_box(box, size, shape)
    vertical = resize_matrix(
        shape[0], size[0], size[0] / shape[0], rows=(box.top, box.bottom), columns=(where.top, where.bottom)
    )
    horizontal = resize_matrix(
        shape[1], size[1], size[1] / shape[1], rows=(box.left, box.right), columns=(where.left, where.right)
    )
    part = part[..., *where.inside(window).slices]
    with full_precision(part):
        return vertical.to(part) @ part @ horizontal.to(part).T


class Matlab:
    """MATLAB's resize of pictures, which are clipped to [0, 1] before."""

    @property
    def side(self) -> int:
        """See ``Resizing``."""
        return _SIDE

    def reach(self, size: Size, shape: Size) -> int:
        """As the function ``reach``."""
        return reach(size, shape)

    def source_box(self, box: Box, size: Size, shape: Size) -> Box:
        """As the function ``source_box``."""
        return source_box(box, size, shape)

    def part(self, part: Tensor, window: Box, shape: Size, box: Box, size: Size) -> Tensor:
        """As ``resize_part``."""
        inside = self.source_box(box, size, shape)
        return resize_part(part[..., *inside.inside(window).slices].clamp(0, 1), inside, shape, box, size)


MATLAB = Matlab()


def resize_parts(part: Tensor, window: Box, shape: Size, box: Box, size: Size, resizing: Resizing = MATLAB) -> Parts:
    """A box of the result, in parts."""
    for piece in box.split(resizing.side):
        yield piece, resizing.part(part, window, shape, piece, size)


def resized_parts(
    parts: Parts,
    shape: Size,
    size: Size,
    columns: tuple[int, int] | None = None,
    resizing: Resizing = MATLAB,
) -> Parts:
    """The resize of a result that comes from top to bottom, in parts, as soon as their rows are there.

    Args:
        parts: Strips of the result.
        shape: Height and width of all of it.
        size: Height and width of what it is resized to.
        columns: Of that, those that are made; by default all.
        resizing: How.
    """
    left, right = columns or (0, size[1])
    held: Tensor | None = None
    first = done = 0
    for box, part in parts:
        held = part if held is None else torch.cat([held, part], 1)
        ready = _rows_ready(box.bottom, shape[0], size[0], done, resizing)
        if ready > done:
            target = Box(done, ready, left, right)
            yield from resize_parts(held, Box(first, box.bottom, box.left, box.right), shape, target, size, resizing)
            done = ready
            needed = _rows_below(done, shape[0], size[0], resizing).top if done < size[0] else box.bottom
            held, first = held[:, max(0, needed - first) :], max(first, needed)


def _rows_ready(last: int, height: int, wanted: int, ready: int, resizing: Resizing) -> int:
    """The end of the rows of the resized result that depend on rows before ``last`` alone."""
    if last == height:
        return wanted
    while ready < wanted and _rows_below(ready, height, wanted, resizing).bottom <= last:
        ready += 1
    return ready


def _rows_below(row: int, height: int, wanted: int, resizing: Resizing) -> Box:
    """What a row of the resized result depends on."""
    return resizing.source_box(Box(row, row + 1, 0, 1), (wanted, 1), (height, 1))


def _needed(first: int, last: int, size: int, length: int) -> tuple[int, int]:
    """Mirrored edges lie within, because a pixel's own place does."""
    pixel = Fraction(length, size)
    support = 2 * max(Fraction(1), pixel)
    half = Fraction(1, 2)
    begin, end = floor((first + half) * pixel - half - support), ceil((last - half) * pixel + half + support)
    return max(0, begin), min(length, end)
