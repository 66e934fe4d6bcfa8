"""Where the pixels of a picture of any size lie among those of the picture that it is made of."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Beside:
    """The two LR pixels beside each pixel of the result, along one axis.

    Attributes:
        index: ``(2, ...)``, of the pixels before and after it; at the edges both are the last one.
        distance: ``(2, ...)``, from their centres to its own, in halves of an LR pixel.
    """

    index: Tensor
    distance: Tensor

    def map(self, change: Callable[[Tensor], Tensor]) -> "Beside":
        """The same, with both tensors changed."""
        return Beside(change(self.index), change(self.distance))

    @property
    def share(self) -> Tensor:
        """What each of the two counts in linear interpolation: by the distance from the other, and half at edges.

        Example:
            >>> beside(torch.arange(4), size=4, length=2).share.tolist()
            [[0.5, 0.75, 0.25, 0.5], [0.5, 0.25, 0.75, 0.5]]
        """
        far = self.distance.abs().flip(0).clamp(min=1e-9)  # exporters drop a summand as small
        return far / far.sum(0)


class Axis(NamedTuple):
    """Pixels of a result along one axis, and the LR pixels that are at hand for them.

    Attributes:
        size: Pixels of the whole result.
        length: Pixels of the whole LR picture.
        first: Where the pixels of the result begin.
        last: Where they end; -1 is the end of the result.
        begin: Where the LR pixels begin.
        end: Where they end; -1 is the end of LR.
    """

    size: int
    length: int
    first: int = 0
    last: int = -1
    begin: int = 0
    end: int = -1

    def parts(self, side: int, margin: int = 0) -> Iterator["Axis"]:
        """The result in parts of at most ``side`` pixels, each with the LR pixels beside it and ``margin`` more.

        Example:
            >>> [part[2:] for part in Axis(size=10, length=5).parts(6)]
            [(0, 6, 0, 4), (6, 10, 2, 5)]
        """
        for first in range(0, self.size, side):
            last = min(first + side, self.size)
            yield Axis(self.size, self.length, first, last, *source_span(first, last, self.size, self.length, margin))

    def beside(self, like: Tensor) -> Beside:
        """The LR pixels beside its pixels, counted from those at hand.

        Args:
            like: Has the device and the precision.
        """
        last = self.size if self.last == -1 else self.last
        found = beside(torch.arange(self.first, last, device=like.device), self.size, self.length, like.dtype)
        return Beside(found.index - self.begin, found.distance)


def beside(pixels: Tensor, size: int, length: int, dtype: torch.dtype = torch.float32) -> Beside:
    """The neighbours of pixels of an axis that is enlarged from ``length`` to ``size``.

    Everything is counted in whole numbers until the last division, so that a tile has the values of the whole picture.

    Args:
        pixels: Whole numbers, of any shape.
        size: Pixels of the result.
        length: Pixels of LR.
        dtype: Of the distances, if it is more precise than float32.

    Example:
        >>> found = beside(torch.arange(4), size=4, length=2)
        >>> found.index.tolist(), found.distance.tolist()
        ([[0, 0, 0, 1], [0, 1, 1, 1]], [[-0.5, 0.5, 1.5, 0.5], [-0.5, -1.5, -0.5, 0.5]])
    """
    whole = 2 * size  # one LR pixel
    place = (2 * pixels + 1) * length - size
    before = torch.div(place + whole, whole, rounding_mode="floor") - 1  # nothing is negative before it is rounded
    index = torch.stack([before, before + 1]).clamp(min=0).clamp(max=length - 1)
    distance = (place - whole * index).to(torch.promote_types(dtype, torch.float32)) / size
    return Beside(index, distance)


def source_span(first: int, last: int, size: int, length: int, margin: int = 0) -> tuple[int, int]:
    """Begin and end of the LR pixels beside those from ``first`` to ``last``, and ``margin`` more on both sides.

    Example:
        >>> source_span(4, 8, size=10, length=5)
        (1, 5)
    """
    before, after = (((2 * pixel + 1) * length - size) // (2 * size) for pixel in (first, last - 1))
    return max(0, before - margin), min(length, after + 2 + margin)


def size_at(length: int, scale: float) -> int:
    """Pixels of an axis at ``scale``: the nearest number, as the papers of networks for any scale have it.

    Whole scales are not rounded: in an export, lengths are symbols, which have to stay whole.

    Example:
        >>> size_at(10, 2), size_at(13, 2.6)
        (20, 34)
    """
    return length * int(scale) if scale == int(scale) else round(length * scale)


def size_before(length: int, scale: float) -> int:
    """Pixels of LR of which ``scale`` makes ``length``, or less than one of LR fewer.

    Example:
        >>> size_before(35, 2), size_before(34, 2.6)
        (17, 13)
    """
    return int(length / scale + 1e-9)
