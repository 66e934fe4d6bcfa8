"""Boxes by their corners, numbers that differ in each of them."""

from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest

from sr_lightning.inference.tiles.boxes import Box, spans, tiles
from sr_lightning.inference.tiles.resizing import reach, source_box


def test_a_box() -> None:
    box = Box(2, 5, 11, 18)
    assert box.area == 21 and np.zeros((30, 30))[box.slices].shape == (3, 7)
    assert box.slices == (slice(2, 5), slice(11, 18))
    assert box.times(2, 3) == Box(4, 10, 33, 54)
    assert box.times(Fraction(1, 2), Fraction(1, 4)) == Box(1, 3, 3, 5)
    assert box.inside(Box(1, 9, 4, 20)) == Box(1, 4, 7, 14)
    assert box.grown(3, 7, 100) == Box(0, 7, 8, 21)
    assert box.grown(3, 100, 20, multiple=4) == Box(0, 8, 8, 20)
    assert Box(1, 9, 1, 9).grown(1, 99, 99) == Box(0, 10, 0, 10) and len({box, Box(2, 5, 11, 18)}) == 1
    assert Box(7, 9, 7, 9).grown(1, 99, 99, multiple=4) == Box(4, 12, 4, 12)


def test_parts_of_a_box() -> None:
    assert Box(2, 7, 11, 14).split(3) == [Box(2, 5, 11, 14), Box(5, 7, 11, 14)]
    assert Box(0, 2, 1, 6).split(4) == [Box(0, 2, 1, 5), Box(0, 2, 5, 6)]
    assert Box(2, 9, 3, 10).halves() == (Box(2, 5, 3, 10), Box(5, 9, 3, 10))
    assert Box(2, 8, 3, 10).halves() == (Box(2, 8, 3, 6), Box(2, 8, 6, 10))
    assert Box(2, 9, 3, 9).halves() == (Box(2, 5, 3, 9), Box(5, 9, 3, 9))


def test_windows_are_as_small_as_they_can_be() -> None:
    """A picture that one tile and its halos cover is one, and no pixel more is two."""
    assert tiles(9, 28, 20, 4) == [(Box(0, 9, 0, 28), Box(0, 9, 0, 28))]
    (left, first), (right, second) = tiles(9, 29, 20, 4)
    assert (left.right, right.left, right.right) == (14, 14, 29)
    assert (first, second) == (Box(0, 9, 0, 19), Box(0, 9, 10, 29))
    assert [window.left for _, window in tiles(9, 29, 20, 4, multiple=4)] == [0, 8]


@pytest.mark.parametrize("multiple", [1, 2, 4, 8, 16, 32])
def test_windows_of_all_lengths(multiple: int) -> None:
    """Each begins and ends after the one before, with a halo on both sides; what is kept is the length, once."""
    several = 0
    for tile, halo in product((1, 8, 31, 32, 33, 40, 48, 64, 100, 256), (0, 1, 5, 32)):
        for length in (*range(1, 300, 3), 511, 512, 513, 1000, 2999):
            firsts, lasts, begins, ends = zip(*spans(length, tile, halo, multiple), strict=True)
            several += len(begins) > 2
            assert firsts[0] == begins[0] == 0 and lasts[-1] == ends[-1] == length and firsts[1:] == lasts[:-1]
            assert all(begin % multiple == 0 for begin in begins)
            for row in (firsts, lasts, begins, ends):
                assert all(before < after for before, after in pairwise(row))
            assert all(first - begin >= halo for first, begin in zip(firsts[1:], begins[1:], strict=True))
            assert all(end - last >= halo for last, end in zip(lasts[:-1], ends[:-1], strict=True))
    assert several > 1000


def test_what_a_resize_needs() -> None:
    """Two pixels of the coarser grid beyond the centres, as the kernel reaches, and the edges of the picture."""
    assert source_box(Box(4, 6, 8, 12), (40, 40), (10, 20)) == Box(0, 4, 1, 9)
    assert source_box(Box(4, 6, 8, 12), (20, 20), (80, 40)) == Box(9, 31, 12, 28)
    assert source_box(Box(0, 20, 0, 20), (20, 20), (80, 40)) == Box(0, 80, 0, 40)
    assert reach((20, 20), (20, 20)) == reach((40, 80), (20, 20)) == 5
    assert reach((20, 10), (20, 25)) == reach((10, 20), (25, 20)) == 10
