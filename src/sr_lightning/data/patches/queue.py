"""A queue of pairs, from which batches are mixed, without a state that a resumed run would have to restore."""

import numpy as np

from sr_lightning.data.patches.sampling import Draws, ResumableSampler
from sr_lightning.errors import ConfigError


class QueuedSampler(ResumableSampler):
    """Mixes the pairs of ``length`` draws of another sampler: a batch has pairs of several of its batches.

    **Paper:** the pair pool of Wang et al., Real-ESRGAN, ICCVW 2021. There, a batch takes random pairs of the pool
    and leaves its own in it. Here, the queue is filled, shuffled and emptied, again and again. So each pair is used
    exactly once, and what a batch holds follows from seed, epoch and number of the batch alone.

    Args:
        sampler: Draws the pairs.
        length: Pairs in the queue of each device, a multiple of the batch size. An epoch's last queue may be shorter.

    Raises:
        ConfigError: If it is no such multiple.
    """

    def __init__(self, sampler: ResumableSampler, length: int) -> None:
        check_queue(length, sampler.batch_size)
        size = sampler.batch_size
        options = {"seed": sampler.seed, "rank": sampler.rank, "world_size": sampler.world_size}
        super().__init__(size, sampler.batches, **options)
        self.source, self.held = sampler, length // size
        self._filled: tuple[tuple[int, int], Draws] | None = None

    def draw(self, epoch: int, index: int) -> Draws:
        """The draws of one batch, as the other sampler has them."""
        queue = self._queue(epoch, index // self.held)
        place = index % self.held * self.batch_size
        return queue[place : place + self.batch_size]

    def _queue(self, epoch: int, number: int) -> Draws:
        """All pairs of a queue, shuffled; kept until the next one is filled."""
        if self._filled is None or self._filled[0] != (epoch, number):
            first = number * self.held
            batches = range(first, max(first + 1, min(first + self.held, self.batches)))
            pairs = np.concatenate([self.source.draw(epoch, index) for index in batches])
            # A stream of its own, so that the pairs are those of a run without a queue.
            self._filled = (epoch, number), self.generator(epoch, number, 4).permutation(pairs)
        return self._filled[1]


def check_queue(length: int, batch_size: int) -> None:
    """Raises ``ConfigError`` unless the length is a multiple of the batch size."""
    if length % batch_size:
        fitting = max(1, length // batch_size) * batch_size
        raise ConfigError(
            f"data.pair_queue={length}: must be a multiple of data.batch_size={batch_size}; use {fitting} or "
            f"{fitting + batch_size}"
        )
