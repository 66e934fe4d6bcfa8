"""Batches of patches out of shards: any batch of any epoch at once, decoding what it shows and nothing else."""

import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, get_worker_info

from sr_lightning.data.files.disk import check_shared_memory
from sr_lightning.data.patches.dataset import cut
from sr_lightning.data.patches.levels import Planar, to_uint16
from sr_lightning.data.patches.sampling import Draws, PatchLoader, ResumableSampler
from sr_lightning.data.sets.shard_files import decode_pair
from sr_lightning.data.sets.shard_order import Key, ShardOrder, Visit
from sr_lightning.data.sets.shard_sources import ShardSources
from sr_lightning.errors import DataError
from sr_lightning.types import Batch

_AHEAD = 3  # batches of which a loader process fetches the pictures of a store in advance
_THREADS = 8  # that fetch

_OF_PROCESS = {"_epoch", "_waiting", "_decoded", "_left", "_fetched", "_copied", "_threads"}

Files = list[bytes | None]


class Cutting(Protocol):
    """How patches are cut."""

    scale: int
    patch_size: int
    seed: int


class ShardPatches(Dataset[Batch]):
    """Cuts patches out of pictures of shards. The pictures of a batch, and the places in them, depend on its number.

    A picture is decoded when its first patch is wanted. All its patches that this process will deliver are cut then,
    and wait. Pictures stay decoded as long as there is room.

    Args:
        sources: The shards.
        order: Which picture is where in a batch.
        cutting: Scale and size of patches, and the seed.
        transforms: Dihedral transforms that patches are drawn with.
        share: The places of a batch that this process has.
        room: Bytes of decoded pictures that each loader process keeps.
    """

    def __init__(
        self,
        sources: ShardSources,
        order: ShardOrder,
        cutting: Cutting,
        *,
        transforms: tuple[int, ...],
        share: range,
        room: int,
    ) -> None:
        self.sources, self.order, self.share, self.room = sources, order, share, room
        self.scale, self.size, self.seed = cutting.scale, cutting.patch_size, cutting.seed
        self.transforms = np.array(transforms)
        self.kinds = ("hr", f"lr_x{self.scale}")
        self.dtype: Any = np.uint16 if any(shard.deep for shard in sources.shards) else np.uint8
        self._starts = np.cumsum([0, *order.counts]).tolist()
        self._begin()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _OF_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    def _begin(self) -> None:
        """What each process has for itself, see ``_OF_PROCESS``."""
        self._epoch = -1
        self._waiting: dict[Key, _Waiting] = {}
        self._decoded: dict[tuple[int, int], tuple[Planar, Planar]] = {}
        self._left = self.room
        self._fetched: dict[Key, Future[Files]] = {}
        self._copied: set[int] = set()
        self._threads: Threads | None = None

    def __len__(self) -> int:
        return self.order.batches

    def __getitems__(self, draws: Draws) -> Batch:
        """The batch of ``[[epoch, number]]``.

        Raises:
            DataError: If a picture cannot be read, or is smaller than a patch.
        """
        epoch, number = draws[0].tolist()
        if epoch != self._epoch:
            self._epoch = epoch
            self._waiting.clear()
            self._fetched.clear()
            self._copied.clear()
        names, pairs = [], []
        for place in self.share:
            key, patch = self.order.step(epoch, number, place)
            waiting = self._waiting.get(key)
            if waiting is None or patch not in waiting.pairs:
                waiting = self._waiting[key] = self._cut(self.order.visit(epoch, key), number)
            names.append(waiting.name)
            pairs.append(waiting.pairs.pop(patch))
            if not waiting.pairs:
                del self._waiting[key]
        if self.sources.remote:
            self._fetch_ahead(number)
        hr, lr = (self._stacked([pair[i] for pair in pairs]) for i in (0, 1))
        return {"lr": lr, "hr": hr, "name": names}

    def _stacked(self, patches: list[Planar]) -> torch.Tensor:
        """Patches as one tensor, in shared memory where a loader process makes it: it is not copied again."""
        dtype = np.result_type(self.dtype, *patches)
        shape = (len(patches), *patches[0].shape)
        nbytes = int(np.prod(shape)) * dtype.itemsize
        kind = torch.uint16 if dtype == np.uint16 else torch.uint8
        if get_worker_info() is None:
            stack = torch.empty(shape, dtype=kind)
        else:
            storage = torch.UntypedStorage._new_shared(nbytes, device="cpu")  # type: ignore[no-untyped-call]
            stack = torch.empty(0, dtype=kind).set_(storage, 0, shape)  # type: ignore[call-overload]
        array: NDArray[Any] = stack.numpy()
        for row, patch in zip(array, patches, strict=True):
            row[...] = to_uint16(patch) if dtype == np.uint16 else patch
        return stack

    def _cut(self, visit: Visit, number: int) -> "_Waiting":
        """The patches of a visit from this batch on that this process delivers."""
        _, workers = _worker()
        batches = self.order.batches_of(self._epoch, visit.key)
        mine = [n for n, b in enumerate(batches) if number <= b < self.order.batches and (b - number) % workers == 0]
        name = self.sources.shards[visit.shard].keys[visit.picture]
        hr, lr = self._pair(visit)
        small = self.size // self.scale
        if min(lr.shape[1:]) < small:
            url = self.sources.shards[visit.shard].url
            raise DataError(
                f"{url}: {name}: {hr.shape[1]}x{hr.shape[2]} pixels are fewer than data.patch_size={self.size}"
            )
        picture = self._starts[visit.shard] + visit.picture
        generator = np.random.default_rng((self.seed, self._epoch, visit.turn, picture))
        places = generator.integers(np.array(lr.shape[1:]) - small + 1, size=(self.order.per_picture, 2)).tolist()
        ops = self.transforms[generator.integers(len(self.transforms), size=self.order.per_picture)].tolist()
        stacks = [np.empty((len(mine), 3, side, side), p.dtype) for p, side in ((hr, self.size), (lr, small))]
        cuts = {}
        for row, n in enumerate(mine):
            (y, x), op = places[n], ops[n]
            cut(hr, y * self.scale, x * self.scale, self.size, op, stacks[0][row])
            cut(lr, y, x, small, op, stacks[1][row])
            cuts[n] = (stacks[0][row], stacks[1][row])
        return _Waiting(name, cuts)

    def _pair(self, visit: Visit) -> tuple[Planar, Planar]:
        """The decoded picture of a visit. Those that fit into the room stay decoded."""
        files = self._fetched.pop(visit.key, None)
        known = self._decoded.get((visit.shard, visit.picture))
        if known is not None:
            return known
        hr_file, lr_file = files.result() if files else self._read(visit)
        try:
            hr, lr = self._decode(visit, hr_file, lr_file)
        except DataError:
            if not self.sources.forget_copy(visit.shard):
                raise
            hr, lr = self._decode(visit, *self._read(visit))
        # Never any in place of another: all are shown equally often, so that the last one would always be missing.
        if hr.nbytes + lr.nbytes <= self._left:
            self._left -= hr.nbytes + lr.nbytes
            self._decoded[visit.shard, visit.picture] = hr, lr
        return hr, lr

    def _decode(self, visit: Visit, hr_file: bytes | None, lr_file: bytes | None) -> tuple[Planar, Planar]:
        assert hr_file is not None
        index = self.sources.shards[visit.shard]
        _, hr, lr = decode_pair(index.url, index.keys[visit.picture], hr_file, lr_file, self.scale)
        return hr, lr

    def _read(self, visit: Visit) -> Files:
        return self.sources.read(visit.shard, visit.picture, self.kinds)

    def _fetch_ahead(self, number: int) -> None:
        """Fetches the files of the next batches of this process in threads, and shards that are wanted soon."""
        if self._threads is None:
            self._threads = Threads(_THREADS)
        for visit in self._next_visits(number):
            if visit.key not in self._fetched and (visit.shard, visit.picture) not in self._decoded:
                self._fetched[visit.key] = self._threads.submit(self._read, visit)
                soon = self.order.shard_after(self._epoch, visit.key)
                if soon != visit.shard and soon not in self._copied:
                    self._copied.add(soon)
                    self._threads.submit(self.sources.fetch, soon)

    def _next_visits(self, number: int) -> Iterator[Visit]:
        _, workers = _worker()
        for batch in range(number + workers, min(number + (_AHEAD + 1) * workers, self.order.batches), workers):
            for place in self.share:
                key, _ = self.order.step(self._epoch, batch, place)
                if key not in self._waiting:
                    yield self.order.visit(self._epoch, key)


class _Waiting(NamedTuple):
    """Patches of a picture that were cut and not yet delivered: HR and LR, by their number."""

    name: str
    pairs: dict[int, tuple[Planar, Planar]]


class ShardSampler(ResumableSampler):
    """Names the batches of an epoch one after the other."""

    def draw(self, epoch: int, index: int) -> Draws:
        """``[[epoch, index]]``."""
        return np.array([[epoch, index]])


class ShardLoader(PatchLoader):
    """A loader of batches out of shards. Where it stands is a number: nothing is read again to resume."""

    #: Of the way in which batches are ordered: earlier checkpoints have none.
    ORDER = 2

    def __init__(self, patches: ShardPatches, sampler: ShardSampler, num_workers: int) -> None:
        super().__init__(patches, sampler, num_workers)
        pixels = patches.size**2 + (patches.size // patches.scale) ** 2
        self.batch_bytes, self.checked = len(patches.share) * 3 * 2 * pixels, True

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self._iterator is None and self.position.start < len(self.position):  # no process has been started
            check_shared_memory(self.num_workers, self.batch_bytes)
        yield from super().__iter__()

    def state_dict(self) -> dict[str, int]:
        """The position of the run: batches that were trained on, not batches that workers have prefetched."""
        return {**super().state_dict(), "order": self.ORDER}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues after the last batch that ``state_dict`` counted.

        Raises:
            ValueError: If it is no such state.
        """
        super().load_state_dict(state)
        if state["batch"] and state.get("order") != self.ORDER:
            warnings.warn(
                "the checkpoint is of a version that ordered shards in another way: the rest of its epoch may show "
                "pictures again that were shown before",
                stacklevel=2,
            )


class Threads:
    """Threads that do work and end with the process, whatever they are at: a process that stops waits for no store."""

    def __init__(self, number: int) -> None:
        self._work: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()
        for _ in range(number):
            threading.Thread(target=self._run, daemon=True).start()

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Has some work done; the future has what it returns or raises."""
        future: Future[Any] = Future()
        self._work.put((future, work, arguments))
        return future

    def _run(self) -> None:
        while True:
            future, work, arguments = self._work.get()
            try:
                future.set_result(work(*arguments))
            except BaseException as error:  # raised where the result is wanted
                future.set_exception(error)


def _worker() -> tuple[int, int]:
    info = get_worker_info()
    return (info.id, info.num_workers) if info else (0, 1)
