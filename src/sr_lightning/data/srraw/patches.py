"""Patches and whole pictures of pairs, with the mosaic, label and white balance that belong to them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.npy import open_npy
from sr_lightning.data.patches.dataset import PatchDataset
from sr_lightning.data.patches.pictures import PictureDataset
from sr_lightning.data.patches.sampling import Augment, Draws, PatchSampler, ResumableSampler
from sr_lightning.data.patches.store import Store
from sr_lightning.errors import DataError, PictureError
from sr_lightning.functional.bayer import unpack
from sr_lightning.types import Batch


class Mosaic:
    """A packed mosaic ``(h, w, 4)`` in a ``.npy`` file, R, G, B, G, read as parts of ``(1, 2h, 2w)`` RGGB."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            height, width, channels = self._packed().shape
        except ValueError as error:
            raise PictureError(f"{path}: no packed mosaic ({error})") from None
        if channels != 4:
            raise PictureError(f"{path}: has {channels} channels; a packed mosaic has R, G, B, G")
        self.shape = (1, 2 * height, 2 * width)

    def __getitem__(self, part: tuple[slice, slice, slice]) -> NDArray[np.float32]:
        (top, bottom, _), (left, right, _) = (s.indices(n) for s, n in zip(part[1:], self.shape[1:], strict=True))
        blocks = self._packed()[top // 2 : (bottom + 1) // 2, left // 2 : (right + 1) // 2]
        mosaic = unpack(torch.from_numpy(np.array(blocks)).movedim(-1, 0), order="rgbg")
        return mosaic[:, top % 2 :, left % 2 :][:, : bottom - top, : right - left].numpy()

    def _packed(self) -> NDArray[np.float32]:
        # Opened for each patch: thousands of maps kept open would be thousands of open files.
        return open_npy(self.path)


class MosaicStore:
    """Mosaics of the same names as pictures, never decoded in whole."""

    dtype = np.dtype(np.float32)

    def __init__(self, files: Sequence[AnyPath]) -> None:
        paths = [Path(file) for file in files]
        self.names = [path.stem for path in paths]
        self.pictures: list[Any] = [Mosaic(path) for path in paths]
        self.shapes: list[tuple[int, int, int]] = [mosaic.shape for mosaic in self.pictures]

    def __len__(self) -> int:
        return len(self.pictures)


class PairPatches(PatchDataset):
    """Patches of LR and HR, and at the same place of the label, the mosaic and the picture's white balance.

    Raises:
        DataError: If sizes do not match, or patches are too large to be drawn at both phases of the mosaic.
    """

    def __init__(
        self,
        hr: Store,
        lr: Store,
        scale: int,
        patch_size: int,
        label: Store | None = None,
        raw: MosaicStore | None = None,
        gains: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__(hr, lr, scale, patch_size)
        self.raw, self.gains = raw, gains
        if label is not None:
            _same_sizes(hr, label, "label")
            self.entries.append(("label", label, scale))
        if raw is not None:
            _same_sizes(lr, raw, "mosaic")
            self.entries.append(("raw", raw, 1))

    def __getitems__(self, draws: Draws) -> Batch:
        batch = super().__getitems__(draws)
        if self.gains is not None:
            batch["white_balance"] = torch.from_numpy(self.gains[draws[:, 0]])
        return batch

    def sampler(self, batch_size: int, batches: int, **options: Any) -> ResumableSampler:
        cls = PatchSampler if self.raw is None else BayerPatchSampler
        return cls(self, batch_size, batches, **options)


class BayerPatchSampler(PatchSampler):
    """Draws patches that are RGGB after their transform: a flip needs a place with the other parity along its axis.

    Raises:
        DataError: If the LR patch has an odd side, or a picture leaves it no place to be flipped at.
    """

    def __init__(
        self, dataset: PatchDataset, batch_size: int, batches: int, *, augment: Augment = True, **options: int
    ) -> None:
        super().__init__(dataset, batch_size, batches, augment=augment, **options)
        small, flips = dataset.patch_size // dataset.scale, int((self.transforms & 3).any())
        if small % 2:
            raise DataError(
                f"data.patch_size={dataset.patch_size} makes LR patches of {small} pixels, and mosaics have blocks of "
                f"2x2: use a multiple of {2 * dataset.scale}"
            )
        # In blocks of 2x2.
        sides = np.array([shape[1:] for shape in dataset.lr.shapes])
        self.places = (sides - small) // 2 + 1 - flips
        if self.places.min() < 1:
            name = dataset.lr.names[int(self.places.min(axis=1).argmin())]
            raise DataError(
                f"{name}: patches as large as the picture cannot be flipped and stay RGGB; use a smaller "
                "data.patch_size, or data.augment=false"
            )

    def draw(self, epoch: int, index: int) -> Draws:
        draws = super().draw(epoch, index)
        draws[:, 1] = 2 * draws[:, 1] + (draws[:, 3] >> 1 & 1)
        draws[:, 2] = 2 * draws[:, 2] + (draws[:, 3] & 1)
        return draws


class PairPictures(PictureDataset):
    """Whole pairs, or the middle of them, for validation.

    Args:
        hr: HR pictures.
        lr: Their LR pictures.
        scale: Whole factor between the two.
        crop: Side of the middle in HR pixels; None for all of the picture.
        raw: Their mosaics.
        gains: White balance, a row of R, G, B for each.
    """

    def __init__(
        self,
        hr: Store,
        lr: Store,
        scale: int,
        crop: int | None,
        raw: MosaicStore | None = None,
        gains: NDArray[np.float32] | None = None,
    ) -> None:
        super().__init__(hr, lr)
        self.scale, self.crop, self.raw, self.gains = scale, crop, raw, gains

    def __getitem__(self, index: int) -> Batch:
        assert self.lr is not None
        height, width = self.lr.shapes[index][1:]
        side = self.crop // self.scale // 2 * 2 if self.crop else max(height, width)
        rows, columns = _middle(height, side), _middle(width, side)
        sample: dict[str, Any] = {"name": self.named.names[index]}
        for key, store, factor in (("hr", self.hr, self.scale), ("lr", self.lr, 1), ("raw", self.raw, 1)):
            if store is not None:
                y, x = (slice(s.start * factor, s.stop * factor) for s in (rows, columns))
                sample[key] = torch.from_numpy(np.array(store.pictures[index][:, y, x]))
        if self.gains is not None:
            sample["white_balance"] = torch.from_numpy(self.gains[index])
        return sample  # type: ignore[return-value]


def _middle(length: int, side: int) -> slice:
    """Where the middle lies, beginning at an even pixel so that a mosaic stays RGGB."""
    side = min(length, side)
    start = (length - side) // 4 * 2
    return slice(start, start + side)


def _same_sizes(pictures: Any, others: Any, what: str) -> None:
    for name, shape, other in zip(pictures.names, pictures.shapes, others.shapes, strict=True):
        if shape[1:] != other[1:]:
            raise DataError(f"{name}: its {what} has {other[1]}x{other[2]} pixels instead of {shape[1]}x{shape[2]}")
