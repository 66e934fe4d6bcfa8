"""The order of patches of shards: which picture each place of each batch shows, computed of seed, epoch and batch."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Batches that take turns. Loader processes take turns, too: where their number divides this one, no two of them decode
#: the same picture.
LANES = 24
_PICTURES = 32  # that each reader has at least


#: Tells a visit from all others of the epoch: the place in the batches of a lane, and how many came there before.
Key = tuple[int, int]


class Visit(NamedTuple):
    """A picture as one place of the batches shows it, for several patches.

    Attributes:
        key: Tells it from all other visits of the epoch.
        turn: How often all pictures were shown before.
        shard: Number of its shard.
        picture: Its number within the shard.
    """

    key: Key
    turn: int
    shard: int
    picture: int


class ShardOrder:
    """Which patch of which picture is at each place of each global batch.

    A turn shows each picture once, for ``per_picture`` patches. It begins with a new order of the shards, of which each
    reader has an equal part. A reader serves some places of every batch, and reads its shards one after the other.
    Each place shows another picture, in batches that are ``LANES`` apart. So all that one process and one worker show
    lies in few shards, and patches of one picture lie far from each other. Nothing depends on processes and workers.

    Args:
        counts: Pictures of each shard.
        batch_size: Patches of a batch of all processes together.
        batches: Length of an epoch.
        per_picture: Patches of a picture in a turn.
        readers: At most so many readers; there are as many as divide the batch.
        shuffle: Patches that wait in all places together.
        seed: Seed of the order.

    Example:
        >>> order = ShardOrder([2, 1], batch_size=1, batches=6, per_picture=2, readers=8, shuffle=1, seed=1)
        >>> sorted({order.at(0, batch, 0)[0][2:] for batch in range(6)})
        [(0, 0), (0, 1), (1, 0)]
    """

    def __init__(
        self,
        counts: Sequence[int],
        *,
        batch_size: int,
        batches: int,
        per_picture: int,
        readers: int,
        shuffle: int,
        seed: int,
    ) -> None:
        self.counts = np.array(counts, dtype=np.int64)
        self.total = int(self.counts.sum())
        self.batches, self.per_picture, self.seed = batches, per_picture, seed
        # Readers have one picture more or less: of many, so that none is shown much more often.
        most = max(1, min(readers, self.total // _PICTURES, batch_size))
        self.readers = next(n for n in range(most, 0, -1) if batch_size % n == 0)
        self.places = batch_size // self.readers  # of one reader in a batch
        fewest = self.total // self.readers  # pictures of the reader that has fewest
        fitting = [n for n in range(1, LANES + 1) if LANES % n == 0 and n * per_picture <= batches]
        self.lanes = max([n for n in fitting if n * self.places <= fewest], default=1)
        self.window = max(1, shuffle // (self.lanes * batch_size * per_picture))  # pictures a place mixes
        self._turn = lru_cache(maxsize=4)(self._new_turn)
        self._mixed = lru_cache(maxsize=4 * self.lanes * batch_size)(self._new_mix)

    def __reduce__(self) -> tuple[object, ...]:
        # Caches of methods are neither copied nor sent to other processes.
        state = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return _restored, (state,)

    def at(self, epoch: int, batch: int, place: int) -> tuple[Visit, int]:
        """What one place of a batch shows: the visit, and the number of its patch."""
        key, patch = self.step(epoch, batch, place)
        return self.visit(epoch, key), patch

    def step(self, epoch: int, batch: int, place: int) -> tuple[Key, int]:
        """The key of the visit that one place of a batch shows, and the number of its patch."""
        step, lane = divmod(batch, self.lanes)
        step += self._ahead(lane, place)
        window, patch = divmod(step, self.window * self.per_picture)
        if self.window > 1:
            patch = int(self._mixed(epoch, lane, place, window)[0][patch])
        picture, patch = divmod(patch, self.per_picture)
        return (lane * self.readers * self.places + place, window * self.window + picture), patch

    def batches_of(self, epoch: int, key: Key) -> list[int]:
        """The batches that show the patches of a visit, by the number of the patch; some are outside of the epoch."""
        lane, place = divmod(key[0], self.readers * self.places)
        window, picture = divmod(key[1], self.window)
        steps = np.arange(picture * self.per_picture, (picture + 1) * self.per_picture)
        if self.window > 1:
            steps = self._mixed(epoch, lane, place, window)[1][steps]
        begin = window * self.window * self.per_picture - self._ahead(lane, place)
        found: list[int] = ((begin + steps) * self.lanes + lane).tolist()
        return found

    def shard_after(self, epoch: int, key: Key) -> int:
        """The shard that the same place shows in its next visit but one."""
        return self.visit(epoch, (key[0], key[1] + 2)).shard

    def visit(self, epoch: int, key: Key) -> Visit:
        """The visit of a key."""
        lane, place = divmod(key[0], self.readers * self.places)
        reader, own = divmod(place, self.places)
        begin, end = (n * self.total // self.readers for n in (reader, reader + 1))
        position = lane * self.places + own + key[1] * self.lanes * self.places
        turn, position = divmod(position, end - begin)
        shards, ends = self._turn(epoch, turn)
        index = int(np.searchsorted(ends, begin + position, side="right"))
        shard = int(shards[index])
        picture = begin + position - int(ends[index]) + int(self.counts[shard])
        return Visit(key, turn, shard, picture)

    def _ahead(self, lane: int, place: int) -> int:
        """The patches that a place leaves out of its first pictures, so that not all begin new ones at one time.

        Multiples of the golden ratio are spread evenly, whichever places and lanes a process has.
        """
        spread = (place * self.lanes + lane) * 2654435769 % 2**32
        return spread * self.window * self.per_picture >> 32

    def _new_turn(self, epoch: int, turn: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The shards of one turn, and how many pictures there are up to the end of each."""
        shards = np.random.default_rng((self.seed, epoch, turn)).permutation(len(self.counts))
        return shards, np.cumsum(self.counts[shards])

    def _new_mix(self, epoch: int, lane: int, place: int, window: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The order of the patches in a window of a place, and its inverse."""
        generator = np.random.default_rng((self.seed, epoch, lane, place, window))
        mixed = generator.permutation(self.window * self.per_picture)
        return mixed, np.argsort(mixed)


def _restored(state: dict[str, object]) -> ShardOrder:
    order = ShardOrder.__new__(ShardOrder)
    vars(order).update(state)
    order._turn = lru_cache(maxsize=4)(order._new_turn)
    order._mixed = lru_cache(maxsize=4 * order.lanes * order.readers * order.places)(order._new_mix)
    return order
