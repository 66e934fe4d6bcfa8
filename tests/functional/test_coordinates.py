"""Places of pixels, each by its definition in fractions."""

from fractions import Fraction
from math import floor

import pytest
import torch

from sr_lightning.functional.coordinates import Axis, beside, size_at, size_before, source_span

#: Sizes of a result and of LR: whole factors, odd ones, others, none, and pictures of one pixel.
SIZES = [(8, 4), (9, 3), (15, 5), (37, 10), (7, 7), (12, 11), (125, 10), (5, 1), (1, 1), (99_999, 7_777)]


@pytest.mark.parametrize(("size", "length"), SIZES)
def test_neighbours_and_distances(size: int, length: int) -> None:
    pixels = range(size) if size < 1000 else [0, 1, size // 2, size - 2, size - 1]
    found = beside(torch.tensor(pixels), size, length, torch.float64)
    for i, pixel in enumerate(pixels):
        place = Fraction(2 * pixel + 1, 2 * size) * length - Fraction(1, 2)  # the centre of LR's first pixel is 0
        for tap in (0, 1):
            index = min(max(floor(place) + tap, 0), length - 1)
            assert found.index[tap, i] == index
            assert float(found.distance[tap, i]) == pytest.approx(float(2 * (place - index)), abs=1e-12)


@pytest.mark.parametrize(("size", "length"), SIZES)
def test_shares_are_those_of_linear_interpolation(size: int, length: int) -> None:
    found = Axis(size, length).beside(torch.empty(0, dtype=torch.float64))
    mean = (found.share * found.index).sum(0)
    place = (torch.arange(size, dtype=torch.float64) + 0.5) * length / size - 0.5
    assert torch.allclose(mean, place.clamp(0, length - 1), atol=1e-8)
    assert torch.allclose(found.share.sum(0), torch.ones(size, dtype=torch.float64))


@pytest.mark.parametrize(("size", "length"), SIZES[:-1])
@pytest.mark.parametrize("side", [1, 4, 6, 1000])
def test_parts_are_parts_of_the_whole(size: int, length: int, side: int) -> None:
    like = torch.empty(0)
    whole, parts = Axis(size, length).beside(like), list(Axis(size, length).parts(side))
    assert torch.equal(torch.cat([part.beside(like).index + part.begin for part in parts], 1), whole.index)
    assert torch.equal(torch.cat([part.beside(like).distance for part in parts], 1), whole.distance)
    for part in parts:
        index = part.beside(like).index
        assert (index.min(), index.max()) == (0, part.end - part.begin - 1)  # none is missing, and none too many
        wide = source_span(part.first, part.last, size, length, margin=1)
        assert wide == (max(0, part.begin - 1), min(length, part.end + 1))


def test_sizes() -> None:
    assert [size_at(13, scale) for scale in (1, 2, 2.5, 3.7)] == [13, 26, 32, 48]
    assert [size_before(35, scale) for scale in (1, 2, 2.5, 3.7)] == [35, 17, 14, 9]
    for length in range(1, 300):
        for scale in (1.1, 1.7, 2.0, 2.6, 3.3, 4.9):
            assert size_before(round(Fraction(str(scale)) * length + Fraction(1, 2)), scale) >= length
