"""Patches and whole pictures of packed mosaics, photographed while training. The seed decides every pixel."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sr_lightning.data.patches.dataset import PatchDataset
from sr_lightning.data.patches.degraded import SeededSampler, Sizes
from sr_lightning.data.patches.levels import levels_of
from sr_lightning.data.patches.pictures import PictureDataset
from sr_lightning.data.patches.sampling import Draws, ResumableSampler
from sr_lightning.data.patches.store import Store
from sr_lightning.data.raw_sr.camera import CoarseCamera, Shot
from sr_lightning.data.raw_synthesis.scenes import mirrored_range
from sr_lightning.degradations import seed_of
from sr_lightning.functional import dihedral
from sr_lightning.functional.bayer import pack
from sr_lightning.types import Batch

Span = tuple[int, int]  # first cell, and the one after the last


class MosaicPatches(PatchDataset):
    """Patches ``lr`` and ``hr`` of packed mosaics.

    The HR mosaic is mirrored and turned, begins with red again, and is photographed then, so both are RGGB.

    Args:
        mosaics: HR mosaics ``(1, H, W)``, RGGB.
        camera: Makes LR.
        scale: Whole factor between the two.
        patch_size: Side of the HR patch in cells, a multiple of ``scale``.

    Raises:
        ConfigError: If ``patch_size`` is no such multiple.
        DataError: If a mosaic is smaller than the patch.
    """

    def __init__(self, mosaics: Store, camera: CoarseCamera, scale: int, patch_size: int) -> None:
        hr = Sizes(mosaics.names, [packed_shape(shape) for shape in mosaics.shapes], np.dtype(np.float32))
        super().__init__(hr, Sizes.of(hr, scale), scale, patch_size)
        self.mosaics, self.camera = mosaics, camera

    def __getitems__(self, draws: Draws) -> Batch:
        """A whole batch at once."""
        rows: list[list[int]] = draws[:, :4].tolist()
        with torch.inference_mode():  # small operations take less time without autograd's part of them
            made = [self._patch(*row) for row in rows]
        lr, hr = (torch.stack(entries) for entries in zip(*made, strict=True))
        return {"lr": lr, "hr": hr, "name": [self.hr.names[row[0]] for row in rows]}

    def sampler(self, batch_size: int, batches: int, **options: Any) -> ResumableSampler:
        """The sampler of batches, which also draws a seed for each patch."""
        return SeededSampler(self, batch_size, batches, **options)

    def _patch(self, index: int, y: int, x: int, op_and_seed: int) -> tuple[Tensor, Tensor]:
        op, seed = op_and_seed & 7, op_and_seed >> 3
        shot = self.camera.draw(np.random.default_rng(seed))
        margin = self.camera.margin(shot, self.scale)
        rows, columns = ((at * self.scale, at * self.scale + self.patch_size) for at in (y, x))
        around = packed_part(self.mosaics, index, rows, columns, margin, op)
        return self.camera.photograph(around, shot, self.scale, seed)


class MosaicPictures(PictureDataset):
    """Whole packed mosaics for validation, photographed by their names: the same in every run.

    Args:
        mosaics: HR mosaics ``(1, H, W)``, RGGB.
        camera: Makes LR.
        scale: Whole factor between the two.
        lr: LR mosaics of the set, if it has them.
    """

    def __init__(self, mosaics: Store, camera: CoarseCamera, scale: int, lr: Store | None = None) -> None:
        super().__init__(mosaics)
        self.mosaics, self.camera, self.scale, self.given = mosaics, camera, scale, lr

    def __getitem__(self, index: int) -> Batch:
        _, height, width = packed_shape(self.mosaics.shapes[index])
        rows, columns = ((0, side // self.scale * self.scale) for side in (height, width))
        name = self.mosaics.names[index]
        if self.given is not None:
            hr = packed_part(self.mosaics, index, rows, columns)
            _, *sides = packed_shape(self.given.shapes[index])
            return {"lr": packed_part(self.given, index, (0, sides[0]), (0, sides[1])), "hr": hr, "name": name}  # type: ignore[typeddict-item]
        seed = seed_of(name)
        shot: Shot = self.camera.draw(np.random.default_rng(seed))
        around = packed_part(self.mosaics, index, rows, columns, self.camera.margin(shot, self.scale))
        lr, hr = self.camera.photograph(around, shot, self.scale, seed)
        return {"lr": lr, "hr": hr, "name": name}  # type: ignore[typeddict-item]


def packed_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """The shape of a mosaic ``(1, H, W)`` of even sides once it is packed.

    Example:
        >>> packed_shape((1, 8, 10))
        (4, 4, 5)
    """
    return 4, shape[1] // 2, shape[2] // 2


def packed_part(mosaics: Store, index: int, rows: Span, columns: Span, margin: int = 0, op: int = 0) -> Tensor:
    """A part of a mosaic with what lies around it, or its mirror image, packed RGGB, ``(4, H, W)`` float32 in [0, 1].

    A part that is to be mirrored begins a pixel later, where the mirror image begins with red. Beyond its border the
    mosaic is mirrored without repeating the edge, so that colours stay in their places.

    Args:
        mosaics: ``(1, H, W)``, RGGB, in uint16.
        index: Number of the mosaic.
        rows: First cell and the one after the last.
        columns: As ``rows``.
        margin: Cells around.
        op: Dihedral transform, as ``functional.dihedral``.
    """
    picture = mosaics.pictures[index]
    within = [
        mirrored_range(2 * (begin - margin) + mirror, 2 * (end + margin) + mirror, length)
        for (begin, end), mirror, length in zip((rows, columns), (op >> 1 & 1, op & 1), picture.shape[1:], strict=True)
    ]
    part = picture[:, within[0]][:, :, within[1]].astype(np.float32) / levels_of(picture.dtype)
    return pack(dihedral(torch.from_numpy(part), op))
