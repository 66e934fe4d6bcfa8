"""Tiles of several threads are computed together, with the bits that each has alone."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from sr_lightning.serving.batching import Batcher
from sr_lightning.weights.shipped import load_pretrained

LONG = 60.0  # seconds; nothing waits that long unless it hangs


def together(batcher: Batcher, net: Callable[[Tensor], Tensor], tiles: list[Tensor]) -> list[Tensor | Exception]:
    """The results of threads that all have begun before the first tile comes."""
    all_here = threading.Barrier(len(tiles))
    batched = batcher.batched(net)

    def one(tile: Tensor) -> Tensor | Exception:
        with torch.inference_mode(), batcher.picture():
            all_here.wait(LONG)
            try:
                return batched(tile)
            except ValueError as error:
                return error

    with ThreadPoolExecutor(len(tiles)) as pool:
        return list(pool.map(one, tiles))


class Counted(nn.Module):
    """Remembers the batches that it is given, but not the probe of memory."""

    def __init__(self, net: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.sizes = net, list[int]()

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != 64:
            self.sizes.append(len(x))
        return self.net(x)


@pytest.fixture
def tiles() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, 24, 32, generator=generator) for _ in range(4)]


@pytest.mark.parametrize("name", ["fsrcnn", "span"])
def test_results_are_those_of_each_alone(name: str, tiles: list[Tensor]) -> None:
    net = load_pretrained(name, 2).eval().net
    with torch.inference_mode():
        expected = [net(tile) for tile in tiles]
    batcher = Batcher(most=4, patience=LONG)
    for _ in range(3):
        results = together(batcher, net, tiles)
        assert all(map(torch.equal, results, expected))


def test_equal_tiles_are_one_batch(tiles: list[Tensor]) -> None:
    net, batcher = Counted(lambda x: 2 * x), Batcher(most=4, patience=LONG)
    together(batcher, net, tiles)
    assert net.sizes == [4, 1, 1, 1, 1]  # looked at once
    together(batcher, net, tiles)
    assert net.sizes[5:] == [4]
    assert (batcher.counts.tiles, batcher.counts.batches) == (8, 5)


def test_other_sizes_do_not_wait_for_them(tiles: list[Tensor]) -> None:
    net, batcher = Counted(lambda x: 2 * x), Batcher(most=4, patience=LONG)
    others = [tiles[0], tiles[1], tiles[2][..., :20], tiles[3][..., :20]]
    results = together(batcher, net, others)
    assert all(map(torch.equal, results, [2 * tile for tile in others]))
    assert sorted(net.sizes) == [1, 1, 1, 1, 2, 2]


def test_one_that_is_alone_does_not_wait(tiles: list[Tensor]) -> None:
    net, batcher = Counted(lambda x: 2 * x), Batcher(most=4, patience=1e6)
    with torch.inference_mode(), batcher.picture():
        assert torch.equal(batcher.batched(net)(tiles[0]), 2 * tiles[0])
    assert net.sizes == [1]


def test_batches_that_change_a_bit_are_given_up(tiles: list[Tensor]) -> None:
    def unsteady(x: Tensor) -> Tensor:
        return x if len(x) == 1 else torch.nextafter(x, torch.ones(()))

    net, batcher = Counted(unsteady), Batcher(most=4, patience=LONG)
    for _ in range(3):
        assert all(map(torch.equal, together(batcher, net, tiles), tiles))
    assert net.sizes == [4, *[1] * 12]
    assert batcher.counts.alone == 12


def test_networks_of_one_picture_at_a_time(tiles: list[Tensor]) -> None:
    def single(x: Tensor) -> Tensor:
        if len(x) > 1:
            raise RuntimeError("batch is fixed")
        return x + 1

    batcher = Batcher(most=4, patience=LONG)
    for _ in range(2):
        assert all(map(torch.equal, together(batcher, Counted(single), tiles), [tile + 1 for tile in tiles]))


def test_a_tile_that_fails_takes_no_other_with_it(tiles: list[Tensor]) -> None:
    def picky(x: Tensor) -> Tensor:
        if (x < 0).any():
            raise ValueError("below zero")
        return x + 1

    given = [tiles[0], -tiles[1], tiles[2], tiles[3]]
    results = together(Batcher(most=4, patience=LONG), Counted(picky), given)
    assert [isinstance(result, ValueError) for result in results] == [False, True, False, False]
    assert all(torch.equal(results[i], given[i] + 1) for i in (0, 2, 3))


def test_batches_fit_into_the_memory(tiles: list[Tensor]) -> None:
    net = Counted(nn.Conv2d(3, 8, 3, padding=1))  # 64 bytes a pixel
    batcher = Batcher(most=4, patience=LONG, memory=64 * 24 * 32 * 2.5)
    together(batcher, net, tiles)
    together(batcher, net, tiles)
    assert max(net.sizes) == 2


def test_more_than_one_batch_holds(tiles: list[Tensor]) -> None:
    net, batcher = Counted(lambda x: x + 1), Batcher(most=2, patience=0.0)
    given = [tile + i for i, tile in enumerate(2 * tiles)]
    results = together(batcher, net, given)
    assert all(map(torch.equal, results, [tile + 1 for tile in given]))
    assert max(net.sizes) <= 2


def test_an_input_of_several_is_computed_alone(tiles: list[Tensor]) -> None:
    batcher = Batcher(most=4)
    with batcher.picture():
        assert torch.equal(batcher.batched(torch.add)(tiles[0], tiles[1]), tiles[0] + tiles[1])
    assert batcher.counts.tiles == 1
