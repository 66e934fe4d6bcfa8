"""Random aligned patches, drawn so that a run can be repeated and resumed exactly."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from sr_lightning.data.store import Planar, Store
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.types import Batch

# (n, 4): picture, row and column of the LR patch, dihedral transform; in mixed runs (n, 5), the last is the scale.
Draws = NDArray[np.int64]


class PatchDataset(Dataset[Batch]):
    """Cuts what a :class:`PatchSampler` drew out of two stores; a batch is filled in place, as uint8.

    Args:
        hr: High-resolution pictures, all with the same number of channels.
        lr: Their low-resolution pictures, ``scale`` times smaller.
        scale: Whole factor between the two.
        patch_size: Side of the HR patch in pixels, a multiple of ``scale``.

    Raises:
        ConfigError: If ``patch_size`` is not a multiple of ``scale``.
        DataError: If a picture is smaller than the patch, or sizes do not match.
    """

    def __init__(self, hr: Store, lr: Store, scale: int, patch_size: int) -> None:
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

    def __len__(self) -> int:
        return len(self.hr)

    def __getitem__(self, draw: Sequence[int]) -> Batch:
        return self.__getitems__(np.asarray(draw)[None])

    def __getitems__(self, draws: Draws) -> Batch:
        """A whole batch at once; the loader's collation has nothing left to do."""
        hr, lr, scale, size = self.hr.pictures, self.lr.pictures, self.scale, self.patch_size
        small, channels, count = size // scale, self.hr.shapes[0][0], len(draws)
        hr_patches = np.empty((count, channels, size, size), dtype=np.uint8)
        lr_patches = np.empty((count, channels, small, small), dtype=np.uint8)
        rows: list[list[int]] = draws.tolist()
        for i, (k, y, x, op) in enumerate(rows):
            cut(lr[k], y, x, small, op, lr_patches[i])
            cut(hr[k], y * scale, x * scale, size, op, hr_patches[i])
        return {
            "lr": torch.from_numpy(lr_patches),
            "hr": torch.from_numpy(hr_patches),
            "name": [self.hr.names[row[0]] for row in rows],
        }


class MixedPatchDataset(Dataset[Batch]):
    """Patches at several scales, of which each batch has one and says which.

    Args:
        parts: The patches of each scale, of the same HR pictures.
    """

    def __init__(self, parts: dict[int, PatchDataset]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))

    def __getitem__(self, draw: Sequence[int]) -> Batch:
        return self.__getitems__(np.asarray(draw)[None])

    def __getitems__(self, draws: Draws) -> Batch:
        """A whole batch at once, at the scale of its draws."""
        scale = int(draws[0, 4])
        return {**self.parts[scale].__getitems__(draws[:, :4]), "scale": scale}


def check_pairs(hr: Store, lr: Store, scale: int) -> None:
    """Raises :class:`DataError` that names the first pair whose sizes do not fit the scale."""
    if len(hr) != len(lr):
        raise DataError(f"there are {len(hr)} HR pictures but {len(lr)} LR pictures")
    for hr_name, lr_name, (_, h, w), (_, lh, lw) in zip(hr.names, lr.names, hr.shapes, lr.shapes, strict=True):
        if (h // scale, w // scale) != (lh, lw):
            raise DataError(
                f"HR {hr_name} has {h}x{w} pixels and LR {lr_name} {lh}x{lw}: "
                f"at scale {scale} the LR picture must have {h // scale}x{w // scale}"
            )


def cut(picture: Planar, y: int, x: int, size: int, op: int, out: Planar) -> None:
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


class PatchSampler(Sampler[Draws]):
    """Draws batches of patches: picture, place and transform, all uniform.

    Batch ``i`` of epoch ``e`` depends on ``(seed, e, i)`` alone: not on the number of workers, nor on what was
    drawn before, so that a run resumed in the middle of an epoch goes on as if it had never stopped. Under
    DDP all ranks draw the same global batch and take their share of it.

    Args:
        dataset: Where the patches will be cut.
        batch_size: Patches on this rank.
        batches: Length of an epoch.
        seed: Seed of the whole run.
        augment: Whether to draw one of the eight dihedral transforms, or none.
        rank: This process among ``world_size``.
        world_size: Number of processes.
    """

    def __init__(
        self,
        dataset: PatchDataset,
        batch_size: int,
        batches: int,
        *,
        seed: int = 1,
        augment: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        small = dataset.patch_size // dataset.scale
        # Exclusive upper bounds of row and column for every picture.
        self.places = np.array([(h - small + 1, w - small + 1) for _, h, w in dataset.lr.shapes])
        self.batch_size, self.batches = batch_size, batches
        self.seed, self.augment = seed, augment
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
        """The draws of one batch, ``(batch_size, 4)``."""
        generator = np.random.default_rng((self.seed, epoch, index))
        total = self.batch_size * self.world_size
        picture = generator.integers(len(self.places), size=total)
        place = generator.integers(self.places[picture])
        op = generator.integers(8, size=total) if self.augment else np.zeros(total, dtype=np.int64)
        draws = np.column_stack([picture, place, op])
        return draws[self.rank * self.batch_size : (self.rank + 1) * self.batch_size]


class MixedPatchSampler(PatchSampler):
    """Draws the scale of each batch, uniformly, and then the batch as :class:`PatchSampler` does.

    The scale, too, depends on ``(seed, epoch, index)`` alone, so that all ranks have the same.
    """

    def __init__(self, dataset: MixedPatchDataset, batch_size: int, batches: int, **options: Any) -> None:
        self.samplers = {s: PatchSampler(part, batch_size, batches, **options) for s, part in dataset.parts.items()}
        self.scales = list(dataset.parts)
        super().__init__(dataset.parts[self.scales[0]], batch_size, batches, **options)

    def draw(self, epoch: int, index: int) -> Draws:
        """The draws of one batch, ``(batch_size, 5)``."""
        # A stream of its own: the places are those of a run at this scale alone.
        scale = self.scales[np.random.default_rng((self.seed, epoch, index, 1)).integers(len(self.scales))]
        draws = self.samplers[scale].draw(epoch, index)
        return np.column_stack([draws, np.full(len(draws), scale)])


class PatchLoader(DataLoader[Batch]):
    """A loader of patches that Lightning can stop and resume in the middle of an epoch."""

    def __init__(self, dataset: Dataset[Batch], sampler: PatchSampler, num_workers: int = 0) -> None:
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
        for batch in super().__iter__():
            self.position.delivered += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where the run is: batches already trained on, not those that workers have prefetched."""
        return {"epoch": self.position.epoch, "batch": self.position.delivered}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on after the batch that :meth:`state_dict` counted last."""
        self.position.epoch = state["epoch"]
        self.position.start = self.position.delivered = state["batch"]


def _as_it_is(batch: Batch) -> Batch:
    return batch
