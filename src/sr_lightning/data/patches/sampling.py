"""Samplers and loaders of patches. A run can be repeated and resumed exactly."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from sr_lightning.data.files.disk import check_shared_memory
from sr_lightning.data.patches.store import PictureStore
from sr_lightning.data.patches.workers import ignore_signals
from sr_lightning.devices import pins_memory
from sr_lightning.errors import ConfigError, SRError
from sr_lightning.types import Batch

# (n, 4): picture, row and column of the LR patch, dihedral transform. A mixture of sets appends the number of the set,
# and a run of mixed scales, last of all, the scale.
Draws = NDArray[np.int64]
Augment = bool | Literal["hflip", "rotate_hflip", "x8", "lapsrn", "none"]

#: The dihedral transforms that patches are drawn with, as ``functional.dihedral`` numbers them.
TRANSFORMS = {
    "hflip": (0, 1),
    "rotate_hflip": (0, 1, 4, 5, 6, 7),  # DeepResNet's: a turn by -90, 0 or 90 degrees, and hflip
    "x8": tuple(range(8)),
    "lapsrn": tuple(range(8)),  # and the pictures at several sizes, see data.module
    "none": (0,),
}


def transforms_of(augment: Augment) -> tuple[int, ...]:
    """The dihedral transforms that ``data.augment`` stands for; true is ``x8``, false ``none``.

    Raises:
        ConfigError: If there is no such ``augment``.

    Example:
        >>> transforms_of("hflip")
        (0, 1)
    """
    name = ("x8" if augment else "none") if isinstance(augment, bool) else augment
    if name not in TRANSFORMS:
        raise ConfigError(f"data.augment={augment}: there are true, false and {', '.join(TRANSFORMS)}")
    return TRANSFORMS[name]


class ResumableSampler(Sampler[Draws]):
    """Draws batches. Batch ``i`` of epoch ``e`` depends only on ``(seed, e, i)``.

    It does not depend on the number of workers or on earlier batches. A run that is resumed within an epoch therefore
    continues as if it had never stopped. Under DDP, all ranks draw the same global batch, and each takes its share.

    Args:
        batch_size: Patches on this rank.
        batches: Length of an epoch.
        seed: Seed of the whole run.
        rank: This process among ``world_size``.
        world_size: Number of processes.
    """

    def __init__(self, batch_size: int, batches: int, *, seed: int = 1, rank: int = 0, world_size: int = 1) -> None:
        self.batch_size, self.batches = batch_size, batches
        self.seed = seed
        self.rank, self.world_size = rank, world_size
        self.epoch, self.start, self.delivered = 0, 0, 0
        self.sampler = self  # Lightning looks here for set_epoch

    def __len__(self) -> int:
        return self.batches

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        if epoch != self.epoch:
            self.epoch, self.start, self.delivered = epoch, 0, 0

    def __iter__(self) -> Iterator[Draws]:
        for index in range(self.start, self.batches):
            yield self.draw(self.epoch, index)

    def draw(self, epoch: int, index: int) -> Draws:
        """The draws of one batch, a row for each patch."""
        raise NotImplementedError

    def generator(self, epoch: int, index: int, *stream: int) -> np.random.Generator:
        """Random numbers of one batch; streams are independent of one another."""
        return np.random.default_rng((self.seed, epoch, index, *stream))

    @property
    def share(self) -> slice:
        """This rank's part of the global batch."""
        return slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)


class Patches(Protocol):
    """A data set from which batches of patches are drawn."""

    def __len__(self) -> int: ...

    def __getitems__(self, draws: Draws) -> Batch: ...

    def sampler(self, batch_size: int, batches: int, **options: Any) -> ResumableSampler: ...


class PairsOfPictures(Protocol):
    """A data set of picture pairs, from which patches of one size are cut."""

    lr: PictureStore
    scale: int
    patch_size: int


class PatchSampler(ResumableSampler):
    """Draws picture, position and transform of each patch, all uniformly.

    Args:
        dataset: Where the patches will be cut.
        batch_size: Patches on this rank.
        batches: Length of an epoch.
        augment: Which of the eight dihedral transforms are drawn, see ``TRANSFORMS``; True is all, False none.
        options: As ``ResumableSampler``: ``seed``, ``rank``, ``world_size``.

    Raises:
        ConfigError: If there is no such ``augment``.
    """

    def __init__(
        self, dataset: PairsOfPictures, batch_size: int, batches: int, *, augment: Augment = True, **options: int
    ) -> None:
        super().__init__(batch_size, batches, **options)
        small = dataset.patch_size // dataset.scale
        # Exclusive upper bounds of row and column for every picture.
        self.places = np.array([(h - small + 1, w - small + 1) for _, h, w in dataset.lr.shapes])
        self.transforms = np.array(transforms_of(augment))

    def draw(self, epoch: int, index: int) -> Draws:
        """The draws of one batch, ``(batch_size, 4)``."""
        generator = self.generator(epoch, index)
        total = self.batch_size * self.world_size
        picture = generator.integers(len(self.places), size=total)
        place = generator.integers(self.places[picture])
        op = self.transforms[generator.integers(len(self.transforms), size=total)]
        return np.column_stack([picture, place, op])[self.share]


class MixedPatchSampler(ResumableSampler):
    """Draws the scale of each batch uniformly, and then the batch as training at that scale alone does.

    All ranks draw the same scale.

    Args:
        parts: The patches of each scale.
        batch_size: Patches on this rank.
        batches: Length of an epoch.
        options: Those of ``PatchSampler``.
    """

    def __init__(self, parts: Mapping[int, Patches], batch_size: int, batches: int, **options: Any) -> None:
        self.samplers = {s: part.sampler(batch_size, batches, **options) for s, part in parts.items()}
        self.scales = list(parts)
        super().__init__(batch_size, batches, **{key: options[key] for key in options if key != "augment"})

    def draw(self, epoch: int, index: int) -> Draws:
        """The draws of one batch, ``(batch_size, 5)`` or, of a mixture of sets, ``(batch_size, 6)``."""
        # A stream of its own: the places are those of a run at this scale alone.
        scale = self.scales[self.generator(epoch, index, 1).integers(len(self.scales))]
        draws = self.samplers[scale].draw(epoch, index)
        return np.column_stack([draws, np.full(len(draws), scale)])


class PatchLoader(DataLoader[Batch]):
    """A loader of patches that Lightning can stop and resume in the middle of an epoch."""

    def __init__(self, dataset: Dataset[Batch], sampler: ResumableSampler, num_workers: int = 0) -> None:
        self.position, self.checked = sampler, num_workers == 0
        super().__init__(
            dataset,
            batch_sampler=sampler,  # type: ignore[arg-type]
            num_workers=num_workers,
            worker_init_fn=ignore_signals,
            collate_fn=_identity,  # type: ignore[arg-type]
            generator=torch.Generator(),  # the loader draws a seed for its workers: not from the global state
            pin_memory=pins_memory(),
            persistent_workers=num_workers > 0,
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self.position.start < len(self.position) and not self.checked:
            self.checked = True  # later, batches may already be in shared memory
            first: Any = self.dataset.__getitems__(self.position.draw(self.position.epoch, 0))  # type: ignore[attr-defined]
            tensors = [value for value in first.values() if isinstance(value, torch.Tensor)]
            check_shared_memory(self.num_workers, sum(tensor.nbytes for tensor in tensors))
        self.position.delivered = self.position.start
        for batch in without_worker_traceback(super().__iter__()):
            self.position.delivered += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The position of the run: batches that were trained on, not batches that workers have prefetched."""
        return {"epoch": self.position.epoch, "batch": self.position.delivered}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continues after the last batch that ``state_dict`` counted.

        Raises:
            ValueError: If it is no such state.
        """
        if not all(type(state[name]) is int and state[name] >= 0 for name in ("epoch", "batch")):
            raise ValueError(f"no place in the data: {state}")
        self.position.epoch = state["epoch"]
        self.position.start = self.position.delivered = state["batch"]


def without_worker_traceback(batches: Iterator[Any]) -> Iterator[Any]:
    """Yields the batches. An ``SRError`` of a worker keeps its sentence and loses the worker's traceback.

    Raises:
        SRError: As the worker did.
    """
    try:
        yield from batches
    except SRError as error:
        if not str(error).startswith("Caught "):
            raise
        raise type(error)(str(error).strip().splitlines()[-1].partition(": ")[2]) from None


def _identity(batch: Batch) -> Batch:
    return batch
