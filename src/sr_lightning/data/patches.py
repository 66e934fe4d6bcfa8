"""Random aligned patches, drawn so that a run can be repeated and resumed exactly."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from sr_lightning.data.store import PictureStore
from sr_lightning.errors import ConfigError, DataError, SRError
from sr_lightning.types import Batch

# (n, 4): picture, row and column of the LR patch, dihedral transform. A mixture of sets appends the number of the set,
# and a run of mixed scales, last of all, the scale.
Draws = NDArray[np.int64]
Augment = bool | Literal["hflip", "rotate_hflip", "x8", "lapsrn", "none"]

#: The dihedral transforms that patches are drawn with, as :func:`sr_lightning.functional.dihedral` numbers them.
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


class Patches(Protocol):
    """What batches are cut out of, and how they are drawn."""

    def __len__(self) -> int: ...

    def __getitems__(self, draws: Draws) -> Batch: ...

    def sampler(self, batch_size: int, batches: int, **options: Any) -> "Draw": ...


class PatchDataset(Dataset[Batch]):
    """Cuts what a :class:`PatchSampler` drew out of two stores; a batch is filled in place, in the stores' type.

    Args:
        hr: High-resolution pictures, all with the same number of channels.
        lr: Their low-resolution pictures, ``scale`` times smaller.
        scale: Whole factor between the two.
        patch_size: Side of the HR patch in pixels, a multiple of ``scale``.
        targets: Truth for the levels of a pyramid, such as ``hr_x2``, by their factor to ``lr``.
        enlarged: Whether ``lr`` has been enlarged to the size of ``hr``: ``scale`` is 1, and every batch says so.

    Raises:
        ConfigError: If ``patch_size`` is not a multiple of ``scale``.
        DataError: If a picture is smaller than the patch, or sizes do not match.
    """

    def __init__(
        self,
        hr: PictureStore,
        lr: PictureStore,
        scale: int,
        patch_size: int,
        targets: Mapping[int, PictureStore] | None = None,
        enlarged: bool = False,
    ) -> None:
        if patch_size % scale:
            raise ConfigError(
                f"data.patch_size={patch_size} (in HR pixels) is not a multiple of scale={scale}; "
                f"use {max(1, patch_size // scale) * scale} or {(max(1, patch_size // scale) + 1) * scale}"
            )
        check_pairs(hr, lr, scale)
        for name, (channels, height, width), (lr_channels, *_) in zip(hr.names, hr.shapes, lr.shapes, strict=True):
            if {channels, lr_channels} != {hr.shapes[0][0]}:
                raise DataError(
                    f"{name}: has {channels} channels, its LR picture {lr_channels}, and others another number"
                )
            if min(height, width) // scale * scale < patch_size:
                raise DataError(
                    f"{name}: {height}x{width} pixels are fewer than data.patch_size={patch_size}; "
                    f"use at most {min(height, width) // scale * scale}, or leave the picture out"
                )
        self.hr, self.lr = hr, lr
        self.scale, self.patch_size = scale, patch_size
        self.enlarged = enlarged
        # What is cut: the entry of the batch, where from, and the factor to LR.
        self.entries: list[tuple[str, PictureStore, int]] = [("lr", lr, 1), ("hr", hr, scale)]
        self.entries += [(f"hr_x{factor}", store, factor) for factor, store in (targets or {}).items()]

    @property
    def layout(self) -> dict[str, str]:
        """What a patch of each entry of the batch is, such as ``3x24x24 uint8``."""
        side = self.patch_size // self.scale
        return {
            key: f"{store.shapes[0][0]}x{side * factor}x{side * factor} {store.dtype}"
            for key, store, factor in self.entries
        } | ({"scale": "1"} if self.enlarged else {})

    def __len__(self) -> int:
        return len(self.hr)

    def __getitem__(self, draw: Sequence[int]) -> Batch:
        return self.__getitems__(np.asarray(draw)[None])

    def __getitems__(self, draws: Draws) -> Batch:
        """A whole batch at once; the loader's collation has nothing left to do."""
        return self._cut(draws, self.entries)

    def _cut(self, draws: Draws, entries: Sequence[tuple[str, PictureStore, int]]) -> Batch:
        side, order = self.patch_size // self.scale, np.argsort(draws[:, 0], kind="stable").tolist()
        rows: list[list[int]] = draws.tolist()
        batch: dict[str, Any] = {"name": [self.hr.names[row[0]] for row in rows]}
        for key, store, factor in entries:
            pictures, size = store.pictures, side * factor
            patches = np.empty((len(rows), store.shapes[0][0], size, size), dtype=store.dtype)
            for i in order:  # by picture: files are read forwards
                k, y, x, op = rows[i]
                cut(pictures[k], y * factor, x * factor, size, op, patches[i])
            batch[key] = torch.from_numpy(patches)
        if self.enlarged:
            batch["scale"] = 1
        return batch  # type: ignore[return-value]

    def sampler(self, batch_size: int, batches: int, **options: Any) -> "Draw":
        """What draws the batches; ``options`` are those of :class:`PatchSampler`."""
        return PatchSampler(self, batch_size, batches, **options)


def cut_patches(
    hr: PictureStore,
    lr: PictureStore,
    scale: int,
    patch_size: int | None,
    targets: Mapping[int, PictureStore] | None = None,
) -> PatchDataset:
    """Patches of pairs of pictures, of which LR may have been enlarged to the size of HR.

    Args:
        hr: High-resolution pictures.
        lr: Their low-resolution pictures.
        scale: Whole factor between the two, or what it was before LR was enlarged.
        patch_size: Side of the HR patch; None for the largest that all pictures hold, which are patches already.
        targets: As for :class:`PatchDataset`.

    Raises:
        DataError: If pictures do not fit, or LR and HR are the same.
    """
    enlarged = scale > 1 and list(lr.shapes) == list(hr.shapes)
    if enlarged and np.array_equal(lr.pictures[0], hr.pictures[0]):
        raise DataError(f"{hr.names[0]}: LR and HR are the same picture; give the low-resolution ones as LR")
    if enlarged and targets:
        raise DataError(f"{hr.names[0]}: LR has the size of HR, which leaves no levels for the targets of a pyramid")
    factor = 1 if enlarged else scale
    size = patch_size or min(min(h, w) for _, h, w in hr.shapes) // factor * factor
    return PatchDataset(hr, lr, factor, size, targets, enlarged)


class MixedPatchDataset(Dataset[Batch]):
    """Patches at several scales, of which each batch has one and says which.

    Args:
        parts: The patches of each scale, of the same HR pictures.
    """

    def __init__(self, parts: Mapping[int, Patches]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    def __getitem__(self, draw: Sequence[int]) -> Batch:
        return self.__getitems__(np.asarray(draw)[None])

    def __getitems__(self, draws: Draws) -> Batch:
        """A whole batch at once, at the scale of its draws."""
        scale = int(draws[0, -1])
        return {"scale": scale, **self.parts[scale].__getitems__(draws[:, :-1])}

    def sampler(self, batch_size: int, batches: int, **options: Any) -> "Draw":
        """What draws the batches; ``options`` are those of :class:`PatchSampler`."""
        return MixedPatchSampler(self, batch_size, batches, **options)


def check_pairs(hr: PictureStore, lr: PictureStore, scale: int) -> None:
    """Raises :class:`DataError` that names the first pair whose sizes do not fit the scale."""
    if len(hr) != len(lr):
        raise DataError(f"there are {len(hr)} HR pictures but {len(lr)} LR pictures")
    for hr_name, lr_name, (_, h, w), (_, lh, lw) in zip(hr.names, lr.names, hr.shapes, lr.shapes, strict=True):
        if (h // scale, w // scale) != (lh, lw):
            raise DataError(
                f"HR {hr_name} has {h}x{w} pixels and LR {lr_name} {lh}x{lw}: "
                f"at scale {scale} the LR picture must have {h // scale}x{w // scale}"
            )


def cut(picture: NDArray[Any], y: int, x: int, size: int, op: int, out: NDArray[Any]) -> None:
    """Crop and dihedral transform, as :func:`sr_lightning.functional.dihedral`, in one copy."""
    patch = picture[:, y : y + size, x : x + size]
    if op:
        if op & 1:
            patch = patch[:, :, ::-1]
        if op & 2:
            patch = patch[:, ::-1]
        if op & 4:
            patch = patch.transpose(0, 2, 1)
    out[...] = patch


class Draw(Sampler[Draws]):
    """Draws batches so that batch ``i`` of epoch ``e`` depends on ``(seed, e, i)`` alone.

    It depends neither on the number of workers, nor on what was drawn before, so that a run resumed in the middle of
    an epoch goes on as if it had never stopped. Under DDP all ranks draw the same global batch and take their share.

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
        """The part of the global batch that is this rank's."""
        return slice(self.rank * self.batch_size, (self.rank + 1) * self.batch_size)


class PatchSampler(Draw):
    """Draws batches of patches: picture, place and transform, all uniform.

    Args:
        dataset: Where the patches will be cut.
        batch_size: Patches on this rank.
        batches: Length of an epoch.
        augment: Which of the eight dihedral transforms are drawn, see :data:`TRANSFORMS`; True is all, False none.
        options: As :class:`Draw`: ``seed``, ``rank``, ``world_size``.

    Raises:
        ConfigError: If there is no such ``augment``.
    """

    def __init__(
        self, dataset: PatchDataset, batch_size: int, batches: int, *, augment: Augment = True, **options: int
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


class MixedPatchSampler(Draw):
    """Draws the scale of each batch, uniformly, and then the batch as training at that scale alone draws it.

    The scale, too, is the same for all ranks.
    """

    def __init__(self, dataset: MixedPatchDataset, batch_size: int, batches: int, **options: Any) -> None:
        self.samplers = {s: part.sampler(batch_size, batches, **options) for s, part in dataset.parts.items()}
        self.scales = list(dataset.parts)
        super().__init__(batch_size, batches, **{key: options[key] for key in options if key != "augment"})

    def draw(self, epoch: int, index: int) -> Draws:
        """The draws of one batch, ``(batch_size, 5)`` or, of a mixture of sets, ``(batch_size, 6)``."""
        # A stream of its own: the places are those of a run at this scale alone.
        scale = self.scales[self.generator(epoch, index, 1).integers(len(self.scales))]
        draws = self.samplers[scale].draw(epoch, index)
        return np.column_stack([draws, np.full(len(draws), scale)])


class PatchLoader(DataLoader[Batch]):
    """A loader of patches that Lightning can stop and resume in the middle of an epoch."""

    def __init__(self, dataset: Dataset[Batch], sampler: Draw, num_workers: int = 0) -> None:
        self.position = sampler
        super().__init__(
            dataset,
            batch_sampler=sampler,  # type: ignore[arg-type]
            num_workers=num_workers,
            collate_fn=_as_it_is,  # type: ignore[arg-type]
            generator=torch.Generator(),  # the loader draws a seed for its workers: not from the global state
            pin_memory=torch.cuda.is_available(),
            persistent_workers=num_workers > 0,
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.position.delivered = self.position.start
        for batch in plainly(super().__iter__()):
            self.position.delivered += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where the run is: batches already trained on, not those that workers have prefetched."""
        return {"epoch": self.position.epoch, "batch": self.position.delivered}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on after the batch that :meth:`state_dict` counted last."""
        self.position.epoch = state["epoch"]
        self.position.start = self.position.delivered = state["batch"]


def plainly(batches: Iterator[Any]) -> Iterator[Any]:
    """The same batches; of an error that the user can mend, the sentence alone without its worker's traceback.

    Raises:
        SRError: As the worker did.
    """
    try:
        yield from batches
    except SRError as error:
        if not str(error).startswith("Caught "):
            raise
        raise type(error)(str(error).strip().splitlines()[-1].partition(": ")[2]) from None


def _as_it_is(batch: Batch) -> Batch:
    return batch
