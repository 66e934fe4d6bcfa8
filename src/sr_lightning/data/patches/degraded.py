"""Patches to which something random happens after they were drawn: LR made on the fly, changes of colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_lightning.atomic import AnyPath
from sr_lightning.data.patches.dataset import PatchDataset, cut, cut_patches
from sr_lightning.data.patches.levels import levels_of
from sr_lightning.data.patches.sampling import Draws, PatchSampler, ResumableSampler
from sr_lightning.data.patches.store import (
    JoinedStore,
    PictureStore,
    Store,
    bicubic_store,
    degraded_store,
    rescaled_store,
)
from sr_lightning.data.patches.transform import JointTransform
from sr_lightning.degradations import Degradation
from sr_lightning.types import Batch

#: LR pixels around a patch that are degraded with it: more than one blur of 21 pixels and a resizing reach. What a long
#: chain reaches beyond is its border rule's, as in programs that crop before they degrade.
MARGIN = 8
#: The sizes that LapSRN's augmentation trains a picture at, besides its own.
RESCALED = (0.5, 0.6, 0.7, 0.8, 0.9)


def make_patches(
    hr: Store,
    scale: int,
    patch_size: int,
    cache: AnyPath,
    *,
    degradation: Degradation | None = None,
    transform: JointTransform | None = None,
    rescaled: bool = False,
) -> PatchDataset:
    """Makes patches from HR pictures alone. LR is made once, unless the degradation is random.

    Args:
        hr: High-resolution pictures.
        scale: Whole factor between HR and LR.
        patch_size: Side of the HR patch in pixels.
        cache: Folder of all stores.
        degradation: What LR is made by; None is bicubic.
        transform: What is done to HR and LR patches alike.
        rescaled: Whether the pictures are trained on in the sizes ``RESCALED`` too, as far as patches fit.
    """
    cache = Path(cache)
    sizes = [hr, *(rescaled_store(hr, factor, cache) for factor in RESCALED)] if rescaled else [hr]
    joined = JoinedStore(sizes, patch_size) if rescaled else hr
    if degradation is not None and degradation.random:
        return RandomPatchDataset(joined, degradation, scale, patch_size, transform)
    lrs = [lr_store(size, degradation, scale, cache) for size in sizes]
    lr = JoinedStore(lrs, patch_size // scale) if rescaled else lrs[0]
    return with_transform(cut_patches(joined, lr, scale, patch_size), transform)


def lr_store(hr: Store, degradation: Degradation | None, scale: int, cache: AnyPath) -> Store:
    """The store of LR pictures that a degradation makes; None is bicubic."""
    cache = Path(cache)
    if degradation is None:
        return bicubic_store(hr, scale, cache)
    return degraded_store(hr, degradation, scale, cache)


def with_transform(patches: PatchDataset, transform: JointTransform | None) -> PatchDataset:
    """The same patches, each with a transform applied."""
    if transform is None:
        return patches
    options = {"enlarged": patches.enlarged}
    return RandomPatchDataset(patches.hr, patches.lr, patches.scale, patches.patch_size, transform, **options)


class SeededSampler(PatchSampler):
    """Also draws a seed for each patch, which stands above the three bits of the dihedral transform."""

    def draw(self, epoch: int, index: int) -> Draws:
        """The draws of one batch, ``(batch_size, 4)``."""
        draws = super().draw(epoch, index)
        # A stream of its own: the places are those of a run that needs no seeds.
        seeds = self.generator(epoch, index, 2).integers(2**60, size=self.batch_size * self.world_size)
        draws[:, 3] |= seeds[self.share] << 3
        return draws


class RandomPatchDataset(PatchDataset):
    """Patches that are degraded or transformed with parameters drawn from each patch's seed.

    A patch depends on the HR pixels there and around it and on its seed alone, not on other patches of the batch.

    Args:
        hr: High-resolution pictures, all with the same number of channels.
        lr: Their low-resolution pictures, or the degradation that makes LR patches of HR anew each time.
        scale: Whole factor between the two.
        patch_size: Side of the HR patch in pixels, a multiple of ``scale``.
        transform: What is done to HR and LR patch alike, when they are cut and turned.
        options: As ``PatchDataset``.

    Raises:
        ConfigError: If ``patch_size`` is not a multiple of ``scale``.
        DataError: If a picture is smaller than the patch, or sizes do not match.
    """

    def __init__(
        self,
        hr: PictureStore,
        lr: PictureStore | Degradation,
        scale: int,
        patch_size: int,
        transform: JointTransform | None = None,
        **options: Any,
    ) -> None:
        self.transform = transform
        self.degradation = lr if isinstance(lr, Degradation) else None
        if transform is not None and np.uint16 in (hr.dtype, getattr(lr, "dtype", None)):
            transform.check_16_bit()
        super().__init__(hr, Sizes.of(hr, scale) if isinstance(lr, Degradation) else lr, scale, patch_size, **options)
        self.cut_entries = [entry for entry in self.entries if self.degradation is None or entry[0] != "lr"]

    def __getitems__(self, draws: Draws) -> Batch:
        """A whole batch at once."""
        places = draws.copy()
        places[:, 3] &= 7
        seeds: list[int] = (draws[:, 3] >> 3).tolist()
        batch: dict[str, Any] = dict(self._cut(places, self.cut_entries))
        if self.degradation is not None:
            with torch.inference_mode():  # small operations take less time without autograd's part of them
                made = [self._degraded(place[:4], seed) for place, seed in zip(places.tolist(), seeds, strict=True)]
            batch["lr"] = torch.from_numpy(np.stack(made))
        if self.transform is not None:
            for i, seed in enumerate(seeds):
                self.transform([batch[key][i].numpy() for key, *_ in self.entries], seed)
        return batch  # type: ignore[return-value]

    def sampler(self, batch_size: int, batches: int, **options: Any) -> ResumableSampler:
        """The sampler of batches, which also draws a seed for each patch."""
        return SeededSampler(self, batch_size, batches, **options)

    def _degraded(self, place: list[int], seed: int) -> NDArray[Any]:
        assert self.degradation is not None
        k, y, x, op = place
        picture, scale, small = self.hr.pictures[k], self.scale, self.patch_size // self.scale
        top, left = max(0, y - MARGIN), max(0, x - MARGIN)
        bottom, right = (min(n // scale, at + small + MARGIN) for n, at in zip(picture.shape[1:], (y, x), strict=True))
        around = np.array(picture[:, top * scale : bottom * scale, left * scale : right * scale])
        levels = levels_of(around.dtype)
        lr = self.degradation(torch.from_numpy(around)[None].float() / levels, scale, seed, levels)[0]
        made = np.empty((len(around), small, small), dtype=np.float32)
        cut(lr.numpy(), y - top, x - left, small, op, made)
        patch: NDArray[Any] = np.rint(made * levels).astype(around.dtype)  # whole levels but for rounding of float32
        return patch


@dataclass
class Sizes:
    """Names and sizes of LR pictures that are not made yet; it has no pixels."""

    names: Sequence[str]
    shapes: Sequence[tuple[int, int, int]]
    dtype: np.dtype[Any]
    pictures: Sequence[NDArray[Any]] = ()

    @classmethod
    def of(cls, hr: PictureStore, scale: int) -> "Sizes":
        """The sizes of HR pictures divided by ``scale``."""
        return cls(hr.names, [(c, h // scale, w // scale) for c, h, w in hr.shapes], hr.dtype)

    def __len__(self) -> int:
        return len(self.names)
