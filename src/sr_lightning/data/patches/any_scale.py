"""Patches at scales that are drawn between two numbers, for networks of any scale."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sr_lightning.data.patches.dataset import cut
from sr_lightning.data.patches.sampling import Augment, Draws, ResumableSampler, transforms_of
from sr_lightning.data.patches.store import PictureStore, resized
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.types import Batch


def scale_range(text: str) -> tuple[float, float]:
    """The two ends of a range of scales.

    Raises:
        ConfigError: If it is none.

    Example:
        >>> scale_range("1-4")
        (1.0, 4.0)
    """
    found = re.fullmatch(r"\s*(\d+\.?\d*)\s*-\s*(\d+\.?\d*)\s*", text)
    low, high = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    if not 1 <= low <= high:
        raise ConfigError(f"data.scales={text}: must be two numbers from 1, such as 1-4, or a list, such as [2,3,4]")
    return low, high


class AnyScalePatchDataset(Dataset[Batch]):
    """Patches whose LR has always one size, and whose HR is as much larger as is drawn for the batch.

    LR is made of the HR patch alone, bicubically, as the authors of LIIF do.

    Args:
        hr: High-resolution pictures, all with the same number of channels.
        side: Of the LR patches in pixels.
        scales: The smallest and the largest scale.

    Raises:
        DataError: If a picture is smaller than the largest patch.
    """

    def __init__(self, hr: PictureStore, side: int, scales: tuple[float, float]) -> None:
        self.hr, self.side, self.scales = hr, side, scales
        largest = round(side * scales[1])
        for name, (channels, height, width) in zip(hr.names, hr.shapes, strict=True):
            if channels != hr.shapes[0][0]:
                raise DataError(f"{name}: has {channels} channels, and others another number")
            if min(height, width) < largest:
                raise DataError(
                    f"{name}: {height}x{width} pixels are fewer than the {largest} of LR patches of {side} pixels at "
                    f"scale {scales[1]:g}; choose less data.patch_size or data.scales, or leave the picture out"
                )

    def __len__(self) -> int:
        return len(self.hr)

    def __getitem__(self, draw: Sequence[int]) -> Batch:
        return self.__getitems__(np.asarray(draw)[None])

    def __getitems__(self, draws: Draws) -> Batch:
        """A whole batch at once, at the scale of its draws."""
        size, order = int(draws[0, -1]), np.argsort(draws[:, 0], kind="stable").tolist()
        rows: list[list[int]] = draws.tolist()
        hr = np.empty((len(rows), self.hr.shapes[0][0], size, size), dtype=self.hr.dtype)
        for i in order:  # by picture: files are read forwards
            k, y, x, op, _ = rows[i]
            cut(self.hr.pictures[k], y, x, size, op, hr[i])
        lr = resized(hr, size=(self.side, self.side))
        return {"lr": torch.from_numpy(lr), "hr": torch.from_numpy(hr), "name": [self.hr.names[row[0]] for row in rows]}

    def sampler(self, batch_size: int, batches: int, **options: Any) -> ResumableSampler:
        """What draws the batches; ``options`` are those of ``PatchSampler``."""
        return AnyScaleSampler(self, batch_size, batches, **options)


class AnyScaleSampler(ResumableSampler):
    """Draws the scale of each batch, and then picture, place and transform of each patch, all uniformly.

    All ranks draw the same scale. What is drawn is the side of the HR patches, a whole number.

    Args:
        dataset: Where the patches will be cut.
        batch_size: Patches on this rank.
        batches: Length of an epoch.
        augment: As ``PatchSampler``.
        options: As ``ResumableSampler``.
    """

    def __init__(
        self, dataset: AnyScalePatchDataset, batch_size: int, batches: int, *, augment: Augment = True, **options: int
    ) -> None:
        super().__init__(batch_size, batches, **options)
        self.side, self.scales = dataset.side, dataset.scales
        self.shapes = np.array([shape[1:] for shape in dataset.hr.shapes])
        self.transforms = np.array(transforms_of(augment))

    def draw(self, epoch: int, index: int) -> Draws:
        """The draws of one batch, ``(batch_size, 5)``; the last column is the side of the HR patches."""
        size = round(self.side * self.generator(epoch, index, 1).uniform(*self.scales))
        generator, total = self.generator(epoch, index), self.batch_size * self.world_size
        picture = generator.integers(len(self.shapes), size=total)
        place = generator.integers(self.shapes[picture] - size + 1)
        op = self.transforms[generator.integers(len(self.transforms), size=total)]
        return np.column_stack([picture, place, op, np.full(total, size)])[self.share]
