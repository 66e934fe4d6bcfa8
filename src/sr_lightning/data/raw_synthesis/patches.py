"""Patches of photographs that are made while training. The seed decides every pixel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sr_lightning.data.patches.dataset import PatchDataset
from sr_lightning.data.patches.degraded import SeededSampler, Sizes
from sr_lightning.data.patches.pictures import PictureDataset
from sr_lightning.data.patches.sampling import Draws, ResumableSampler
from sr_lightning.data.raw_synthesis.camera import jpeg_compressed
from sr_lightning.data.raw_synthesis.scenes import Scenes, reference
from sr_lightning.errors import ConfigError
from sr_lightning.types import Batch

Span = tuple[int, int]  # first row or column, and the one after the last

#: LR pixels photographed around a patch, so that demosaicing meets the picture and not a border; even.
MARGIN = 8
#: JPEG with subsampled colours codes squares of so many pixels.
BLOCK = 16


class SynthesisPatches(PatchDataset):
    """Patches ``raw``, ``lr`` and ``hr`` of photographs of scenes.

    Where a patch is not mirrored, it is that part of the photograph of the whole picture, noise apart: blur meets its
    surroundings and JPEG its grid of blocks.

    Args:
        scenes: What is photographed.
        patch_size: Side of the HR patch in pixels, a multiple of ``2 * scale``.
        versions: How many photographs there are of each picture; None draws anew for each patch.

    Raises:
        ConfigError: If ``patch_size`` is no such multiple.
        DataError: If a picture is smaller than the patch.
    """

    def __init__(self, scenes: Scenes, patch_size: int, versions: int | None) -> None:
        scale = scenes.scale
        if patch_size % (2 * scale):
            fitting = max(1, patch_size // (2 * scale)) * 2 * scale
            raise ConfigError(
                f"data.patch_size={patch_size} (in HR pixels) must be whole 2x2 blocks of the mosaic, a multiple of "
                f"{2 * scale} at scale={scale}; use {fitting} or {fitting + 2 * scale}"
            )
        sizes = [scenes.size(i) for i in range(len(scenes))]
        names = scenes.store.names
        hr = Sizes(names, [(3, h * scale, w * scale) for h, w in sizes], dtype=np.dtype(np.float32))
        super().__init__(hr, Sizes.of(hr, scale), scale, patch_size)
        self.scenes, self.versions = scenes, versions

    @property
    def layout(self) -> dict[str, str]:
        side = self.patch_size // self.scale
        hr = f"3x{self.patch_size}x{self.patch_size} float32"
        return {"raw": f"1x{side}x{side} float32", "lr": f"3x{side}x{side} uint8", "hr": hr}

    def __getitems__(self, draws: Draws) -> Batch:
        """A whole batch at once."""
        rows: list[list[int]] = draws[:, :4].tolist()
        made = [self._patch(*row) for row in rows]
        raw, lr, hr = (torch.stack(entries) for entries in zip(*made, strict=True))
        return {"raw": raw, "lr": lr, "hr": hr, "name": [self.hr.names[row[0]] for row in rows]}

    def sampler(self, batch_size: int, batches: int, **options: Any) -> ResumableSampler:
        """The sampler of batches, which also draws a seed for each patch."""
        return EvenSampler(self, batch_size, batches, **options)

    def _patch(self, index: int, y: int, x: int, op_and_seed: int) -> tuple[Tensor, Tensor, Tensor]:
        op, seed = op_and_seed & 7, op_and_seed >> 3
        side, scale = self.patch_size // self.scale, self.scale
        if self.versions is None:
            shot = self.scenes.camera.draw(np.random.default_rng(seed))
        else:
            shot = self.scenes.shot(index, seed % self.versions)
        place = [(y, y + side), (x, x + side)]
        blocks = [_align_to_blocks(*span, n) for span, n in zip(place, self.lr.shapes[index][1:], strict=True)]
        window = [_grow_span(*span, n) for span, n in zip(blocks, self.lr.shapes[index][1:], strict=True)]
        photograph = self.scenes.photograph(index, shot, window[0], window[1], seed, op)
        coded = jpeg_compressed(photograph.rendered[:, *_inside(window, blocks, op)], shot.quality)
        raw = photograph.raw[:, *_inside(window, place, op)]
        truth = photograph.truth(_inside(window, place, op, scale))
        return raw, coded[:, *_inside(blocks, place, op)], truth


class EvenSampler(SeededSampler):
    """Draws places that begin whole 2x2 blocks of the mosaic."""

    def __init__(self, dataset: PatchDataset, batch_size: int, batches: int, **options: Any) -> None:
        super().__init__(dataset, batch_size, batches, **options)
        self.places = (self.places + 1) // 2

    def draw(self, epoch: int, index: int) -> Draws:
        """The draws of one batch, ``(batch_size, 4)``."""
        draws = super().draw(epoch, index)
        draws[:, 1:3] *= 2
        return draws


class SynthesisPictures(PictureDataset):
    """Photographs of whole pictures for validation: each in its first version, the same in every run."""

    def __init__(self, scenes: Scenes) -> None:
        super().__init__(scenes.store)
        self.scenes = scenes

    def __getitem__(self, index: int) -> Batch:
        photograph, shot = self.scenes.version(index, 0)
        entries = {"raw": photograph.raw, "lr": reference(photograph, shot), "hr": photograph.truth()}
        return {**entries, "name": self.scenes.store.names[index]}  # type: ignore[typeddict-item]


def _align_to_blocks(begin: int, end: int, length: int) -> Span:
    """Grows a span by one chroma pixel (two pixels) on each side, and then to whole JPEG blocks."""
    return max(0, begin - 2) // BLOCK * BLOCK, min(length, -(-(end + 2) // BLOCK) * BLOCK)


def _grow_span(begin: int, end: int, length: int) -> Span:
    return max(0, begin - MARGIN), min(length, end + MARGIN)


def _inside(outer: Sequence[Span], inner: Sequence[Span], op: int, scale: int = 1) -> tuple[slice, slice]:
    """Where the inner part of an outer one lies once that has been turned; rows and columns."""
    parts = []
    for (first, last), (begin, end), mirrored in zip(outer, inner, (op & 2, op & 1), strict=True):
        low, high = (last - end, last - begin) if mirrored else (begin - first, end - first)
        parts.append(slice(low * scale, high * scale))
    return (parts[1], parts[0]) if op & 4 else (parts[0], parts[1])
