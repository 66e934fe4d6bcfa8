"""Aligned patches, cut out of pairs of pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from sr_lightning.data.patches.sampling import Draws, MixedPatchSampler, Patches, PatchSampler, ResumableSampler
from sr_lightning.data.patches.store import PictureStore
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional.coordinates import size_before
from sr_lightning.types import Batch


class PatchDataset(Dataset[Batch]):
    """Cuts the patches that a ``PatchSampler`` drew from two stores. A batch has the stores' type.

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
        """A whole batch at once, so that the loader need not collate."""
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

    def sampler(self, batch_size: int, batches: int, **options: Any) -> ResumableSampler:
        """The sampler of batches; ``options`` are those of ``PatchSampler``."""
        return PatchSampler(self, batch_size, batches, **options)


def cut_patches(
    hr: PictureStore,
    lr: PictureStore,
    scale: int,
    patch_size: int | None,
    targets: Mapping[int, PictureStore] | None = None,
) -> PatchDataset:
    """Patches of picture pairs. LR may be enlarged to the size of HR.

    Args:
        hr: High-resolution pictures.
        lr: Their low-resolution pictures.
        scale: Whole factor between the two, or what it was before LR was enlarged.
        patch_size: Side of the HR patch; None for the largest that all pictures hold, which are patches already.
        targets: As for ``PatchDataset``.

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
    """Patches at several scales. Each batch has one scale, and states it.

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

    def sampler(self, batch_size: int, batches: int, **options: Any) -> ResumableSampler:
        """What draws the batches; ``options`` are those of ``PatchSampler``."""
        return MixedPatchSampler(self.parts, batch_size, batches, **options)


def check_pairs(hr: PictureStore, lr: PictureStore, scale: float) -> None:
    """Raises ``DataError`` that names the first pair whose sizes do not fit the scale."""
    if len(hr) != len(lr):
        raise DataError(f"there are {len(hr)} HR pictures but {len(lr)} LR pictures")
    for hr_name, lr_name, (_, h, w), (_, lh, lw) in zip(hr.names, lr.names, hr.shapes, lr.shapes, strict=True):
        if (size_before(h, scale), size_before(w, scale)) != (lh, lw):
            raise DataError(
                f"HR {hr_name} has {h}x{w} pixels and LR {lr_name} {lh}x{lw}: "
                f"at scale {scale} the LR picture must have {size_before(h, scale)}x{size_before(w, scale)}"
            )


def cut(picture: NDArray[Any], y: int, x: int, size: int, op: int, out: NDArray[Any]) -> None:
    """Crop and dihedral transform, as ``functional.dihedral``, in one copy."""
    patch = picture[:, y : y + size, x : x + size]
    if op:
        if op & 1:
            patch = patch[:, :, ::-1]
        if op & 2:
            patch = patch[:, ::-1]
        if op & 4:
            patch = patch.transpose(0, 2, 1)
    out[...] = patch
