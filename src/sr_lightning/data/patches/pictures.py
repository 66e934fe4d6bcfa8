"""Lists of picture files, and whole pictures for validation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.io import find_pictures
from sr_lightning.data.patches.levels import to_float
from sr_lightning.data.patches.store import PictureStore
from sr_lightning.errors import DataError
from sr_lightning.types import Batch


@dataclass(frozen=True)
class Pictures:
    """High-resolution files, with low-resolution files in the same order where the data set has them."""

    hr: Sequence[Path]
    lr: Sequence[Path] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "hr", [Path(path) for path in self.hr])
        object.__setattr__(self, "lr", None if self.lr is None else [Path(path) for path in self.lr])

    @classmethod
    def in_folders(cls, hr: AnyPath, lr: AnyPath | None = None, lr_suffix: str = "") -> "Pictures":
        """All pictures of a folder. The LR picture has the same name, or the name and ``lr_suffix``.

        Raises:
            DataError: If a folder is missing or an HR picture has no LR picture.
        """
        hr = Path(hr)
        lr = None if lr is None else Path(lr)
        files = find_pictures(hr)
        if lr is None:
            return cls(files)
        small = {path.stem: path for path in find_pictures(lr)}
        pairs = [small.get(path.stem) or small.get(path.stem + lr_suffix) for path in files]
        alone = [path for path, pair in zip(files, pairs, strict=True) if pair is None]
        if alone:
            names = " or ".join(dict.fromkeys([alone[0].stem, alone[0].stem + lr_suffix]))
            more = f", nor have {len(alone) - 1} others" if len(alone) > 1 else ""
            raise DataError(f"{alone[0]}: no LR picture {names} in {lr}{more}")
        return cls(files, [pair for pair in pairs if pair is not None])

    def __getitem__(self, part: slice) -> "Pictures":
        return Pictures(self.hr[part], None if self.lr is None else self.lr[part])

    def __len__(self) -> int:
        return len(self.hr)


class PictureDataset(Dataset[Batch]):
    """Whole pictures ``(C, H, W)`` for validation. ``lr`` is there if the data set has it.

    They are uint8, or float32 in [0, 1] if the file has 16 bit.
    """

    def __init__(self, hr: PictureStore, lr: PictureStore | None = None) -> None:
        self.hr, self.lr = hr, lr

    def __len__(self) -> int:
        return len(self.hr)

    def __getitem__(self, index: int) -> Batch:
        sample: Batch = {"hr": _tensor(self.hr.pictures[index]), "name": self.hr.names[index]}  # type: ignore[typeddict-item]
        if self.lr is not None:
            sample["lr"] = _tensor(self.lr.pictures[index])
        return sample


def _tensor(picture: NDArray[Any]) -> Tensor:
    return to_float(picture).float() if picture.dtype == np.uint16 else torch.from_numpy(np.array(picture))
