"""Equal tiles of several pictures in one batch, with the results that each has alone.

LitServe's ``max_batch_size`` joins whole requests: a batch ends with its slowest picture, and parts of pictures never
meet. Here, requests run beside each other, and where tiles of one network and one size wait at the same time, one
thread computes them together. Nobody waits for company that cannot come.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sr_lightning.inference.engines.network import Forward
from sr_lightning.inference.memory import is_out_of_memory, memory_for_features
from sr_lightning.inference.tiles.tile_size import bytes_of_pixel

#: Sizes of tiles of which is remembered whether batches are exact: a server meets any number of them.
_REMEMBERED = 4096


@dataclass
class _Group:
    """Tiles that are computed together; the thread of the first one computes."""

    tiles: list[Tensor]
    most: int
    results: list[Tensor | BaseException] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


@dataclass
class Counts:
    """What was computed so far.

    Attributes:
        tiles: All of them.
        batches: In how many steps they were computed.
        alone: Tiles that waited together, but were computed one by one, because a batch changes their last bits here.
    """

    tiles: int = 0
    batches: int = 0
    alone: int = 0


class Batcher:
    """Computes tiles of several threads, those of equal size together.

    Which kernels compute a tile depends on the shape of the batch, never on its values. So the first batch of each
    shape is also computed one by one. Where one bit differs, tiles of this shape are computed one by one from then on:
    the result of a picture does not depend on who else is there.

    Args:
        most: Tiles of one batch.
        patience: Seconds that the first tile waits for others, if other pictures are at work and may send one.
        memory: Bytes that the features of one batch may take; None for a quarter of what is free at the start.

    Example:
        >>> batcher = Batcher(most=4)
        >>> with batcher.picture(), torch.inference_mode():
        ...     batcher.batched(torch.nn.Conv2d(3, 12, 3))(torch.zeros(1, 3, 8, 8)).shape
        torch.Size([1, 12, 6, 6])
    """

    def __init__(self, most: int, patience: float = 0.005, memory: float | None = None) -> None:
        self.most, self.patience, self.memory = most, patience, memory
        self.counts = Counts()
        self._changed = threading.Condition()
        self._computing = threading.Lock()
        self._open: dict[Hashable, _Group] = {}
        self._exact: OrderedDict[Hashable, bool] = OrderedDict()
        self._pixels: dict[int, float] = {}  # of the largest batch, by network
        self._pictures = self._waiting = 0

    @contextmanager
    def picture(self) -> Iterator[None]:
        """Around the work on one picture: others wait for its tiles a little."""
        with self._changed:
            self._pictures += 1
        try:
            yield
        finally:
            with self._changed:
                self._pictures -= 1
                self._changed.notify_all()

    def batched(self, net: Forward) -> Forward:
        """A network whose tiles may be computed with those of other threads."""

        def computed(*inputs: Tensor) -> Tensor:
            if len(inputs) != 1 or len(inputs[0]) != 1:
                with self._computing:
                    self._count(1, 1)
                    return net(*inputs)
            return self._join(net, inputs[0])

        return computed

    def _join(self, net: Forward, tile: Tensor) -> Tensor:
        half = torch.is_autocast_enabled(tile.device.type) and torch.get_autocast_dtype(tile.device.type)
        # The order of values in memory decides about kernels, too.
        channels_last = tile.is_contiguous(memory_format=torch.channels_last)
        key = (id(net), tile.shape, tile.dtype, tile.device, half, tile.is_contiguous(), channels_last)
        with self._changed:
            group = self._open.get(key)
            first = group is None
            if group is None:
                group = self._open[key] = _Group([], self.most)
            place = len(group.tiles)
            group.tiles.append(tile)
            if len(group.tiles) >= group.most:
                del self._open[key]
            self._waiting += 1
            self._changed.notify_all()
        try:
            if first:
                self._lead(net, key, group)
            else:
                group.done.wait()
        finally:
            with self._changed:
                self._waiting -= 1
        result = group.results[place]
        if isinstance(result, BaseException):
            raise result
        return result

    def _lead(self, net: Forward, key: Hashable, group: _Group) -> None:
        try:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._open.get(key) is not group or self._waiting >= self._pictures, self.patience
                )
            with self._computing:  # meanwhile, others may still come
                most = self._most(net, group.tiles[0])
                with self._changed:
                    if self._open.get(key) is group:
                        del self._open[key]
                for begin in range(0, len(group.tiles), most):
                    group.results += self._together(net, key, group.tiles[begin : begin + most])
        except BaseException as error:
            group.results += [error] * (len(group.tiles) - len(group.results))
            raise
        finally:
            with self._changed:
                if self._open.get(key) is group:
                    del self._open[key]
            group.done.set()

    def _most(self, net: Forward, tile: Tensor) -> int:
        """Tiles whose features fit into memory together, measured once for each network."""
        if self.most == 1:
            return 1
        if id(net) not in self._pixels:
            allowed = memory_for_features(tile.device) if self.memory is None else self.memory
            self._pixels[id(net)] = allowed / max(1.0, bytes_of_pixel(net, [tile.shape[1]], device=tile.device))
        return max(1, min(self.most, int(self._pixels[id(net)] / (tile.shape[-2] * tile.shape[-1]))))

    def _together(self, net: Forward, key: Hashable, tiles: list[Tensor]) -> list[Tensor | BaseException]:
        shape = (key, len(tiles))
        if len(tiles) == 1 or self._exact.get(shape) is False:
            return self._one_by_one(net, tiles)
        try:
            batch = torch.cat(tiles)
            if tiles[0].is_contiguous(memory_format=torch.channels_last):
                batch = batch.contiguous(memory_format=torch.channels_last)
            joined: list[Tensor | BaseException] = [*net(batch).chunk(len(tiles))]
        except Exception as error:  # such as memory that is full, or a network of one picture at a time
            if not is_out_of_memory(error):
                self._remember(shape, False)
            return self._one_by_one(net, tiles)
        if shape in self._exact:
            self._count(len(tiles), 1)
            return joined
        alone = self._one_by_one(net, tiles)
        self._remember(shape, all(map(_same, joined, alone)))
        return alone

    def _one_by_one(self, net: Forward, tiles: list[Tensor]) -> list[Tensor | BaseException]:
        results = list[Tensor | BaseException]()
        for tile in tiles:
            try:
                results.append(net(tile))
            except Exception as error:  # of this tile; the others are done
                results.append(error)
        self._count(len(tiles), len(tiles), len(tiles) if len(tiles) > 1 else 0)
        return results

    def _remember(self, shape: Hashable, exact: bool) -> None:
        self._exact[shape] = exact
        if len(self._exact) > _REMEMBERED:
            self._exact.popitem(last=False)

    def _count(self, tiles: int, batches: int, alone: int = 0) -> None:
        self.counts.tiles += tiles
        self.counts.batches += batches
        self.counts.alone += alone


def _same(one: Tensor | BaseException, other: Tensor | BaseException) -> bool:
    return isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one, other)


#: What a copy of an upscaler for one thread takes for its networks.
NetOf = Callable[[Forward], Forward]
