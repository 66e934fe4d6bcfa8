"""Papers' tiles cover the picture, and change nothing where the network looks at as little as they overlap."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from sr_lightning.errors import ConfigError
from sr_lightning.functional.bayer import mosaic, pack
from sr_lightning.inference.tiles.boxes import Box
from sr_lightning.inference.tiles.overlap import average_tiles, chop, overlapping, paper_tiles
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models.espcn import ESPCN
from sr_lightning.models.rawsr import RawSR


@pytest.mark.parametrize("size", [(7, 9), (16, 16), (33, 50), (64, 17)])
@pytest.mark.parametrize("step", [None, 3, 16])
def test_a_pixelwise_network_gives_the_whole(size: tuple[int, int], step: int | None) -> None:
    x = torch.rand(2, 3, *size, dtype=torch.float64)

    def network(lr: Tensor) -> Tensor:
        return (lr**2).repeat_interleave(2, -1).repeat_interleave(2, -2)

    torch.testing.assert_close(average_tiles(network, [x], 2, tile=16, step=step), network(x))


def test_the_result_is_sum_over_count() -> None:
    seen = iter(range(1, 10))

    def network(lr: Tensor) -> Tensor:
        return torch.full_like(lr, float(next(seen)))

    out = average_tiles(network, [torch.zeros(1, 1, 4, 10)], 1, tile=4)
    # Tiles at columns 0, 2, 4 and 6.
    assert out[0, 0, 0].tolist() == [1, 1, 1.5, 1.5, 2.5, 2.5, 3.5, 3.5, 4, 4]
    assert [(box.left, box.right) for box in overlapping(4, 11, 4)] == [(0, 4), (2, 6), (4, 8), (6, 10), (7, 11)]


@pytest.mark.parametrize("size", [(26, 34), (25, 27)])
def test_mosaics_keep_their_phase(size: tuple[int, int]) -> None:
    raw = mosaic(torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1).expand(1, 3, *size))

    def network(tile: Tensor) -> Tensor:
        assert pack(tile[..., :2, :2]).flatten().tolist() == [1, 2, 2, 3]
        return tile

    assert torch.equal(average_tiles(network, [raw], 1, tile=8, multiple=2), raw)


@pytest.mark.parametrize(("tile", "step"), [(8, 9), (8, 0), (7, 2), (8, 3)])
def test_steps_that_cannot_be(tile: int, step: int) -> None:
    with pytest.raises(ValueError, match="must be multiples of 2"):
        overlapping(20, 20, tile, step, 2)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 9), (44, 31), (60, 46)])
@pytest.mark.parametrize("largest", [300, 1000, 160_000])
def test_quarters_are_the_whole(size: tuple[int, int], largest: int) -> None:
    """Of a network that looks as far as they overlap: ten pixels, nine behind the middle of an odd length."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 9, padding=4), nn.Conv2d(4, 12, 11, padding=5), nn.PixelShuffle(2)).double()
    x = torch.rand(1, 3, *size, dtype=torch.float64)
    with torch.inference_mode():
        expected = net(x)
    torch.testing.assert_close(chop(net, [x], 2, largest=largest), expected)
    if size == (60, 46):
        assert (chop(net, [x], 2, shave=8, largest=largest) - expected).abs().max() > 1e-6


def test_quarters_are_edsrs() -> None:
    """Four of (h // 2 + 10) x (w // 2 + 10); those of 160,000 pixels or more are quartered again."""
    seen: list[tuple[int, ...]] = []

    def network(lr: Tensor) -> Tensor:
        seen.append(tuple(lr.shape[-2:]))
        return lr

    chop(network, [torch.zeros(1, 3, 700, 800)], 1)
    assert seen == [(360, 410)] * 4
    seen.clear()
    chop(network, [torch.zeros(1, 3, 901, 800)], 1)
    assert seen == [(240, 215)] * 16


def test_quarters_of_quarters_overlap_as_much() -> None:
    seen: list[tuple[int, ...]] = []
    chop(lambda lr: seen.append(tuple(lr.shape[-2:])) or lr, [torch.zeros(1, 3, 40, 60)], 1, shave=2, largest=700)
    assert seen == [(13, 18)] * 16


@pytest.mark.parametrize("how", ["chop", "average"])
def test_parts_that_do_not_fit_are_halved(how: Literal["chop", "average"]) -> None:
    """Whole parts give what halves with pixels around them do."""
    net = nn.Conv2d(3, 3, 5, padding=2)
    sizes = []

    def small(lr: Tensor) -> Tensor:
        sizes.append(max(lr.shape[-2:]))
        if sizes[-1] > 60:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return net(lr)  # type: ignore[no-any-return]

    x = torch.rand(3, 140, 90)
    ((_, expected),) = paper_tiles(net, [x], 1, how=how, halo=lambda: 2, tile=80)
    ((_, result),) = paper_tiles(small, [x], 1, how=how, halo=lambda: 2, tile=80)
    assert max(sizes) > 60 >= min(sizes)
    torch.testing.assert_close(result, expected)


def test_what_looks_sees_the_whole_and_its_place() -> None:
    seen = []
    x = torch.rand(3, 40, 30)
    ((box, result),) = paper_tiles(lambda lr: lr, [x], 1, how="chop", halo=lambda: 0, look=lambda *a: seen.append(a))
    ((values, place, size),) = seen
    assert torch.equal(values, result) and place == box == Box(0, 40, 0, 30) and size == (40, 30)


def test_parts_that_half_precision_breaks_are_computed_again() -> None:
    def network(lr: Tensor) -> Tensor:
        return lr / (0.0 if torch.is_autocast_enabled("cpu") else 1.0)

    x = torch.rand(3, 20, 30)
    ((_, result),) = paper_tiles(network, [x], 1, how="chop", halo=lambda: 0, autocast=torch.bfloat16)
    assert torch.equal(result, x)


@pytest.mark.parametrize(("kind", "tile"), [(ESPCN, 1), (RawSR, 4), (RawSR, 18)])
def test_tiles_that_cannot_overlap_by_half(kind: type[ESPCN | RawSR], tile: int) -> None:
    with pytest.raises(ConfigError, match=f"tile={tile}: tiles that overlap by half must be at least"):
        Upscaler(kind(scale=2), tiling="average", tile=tile)
