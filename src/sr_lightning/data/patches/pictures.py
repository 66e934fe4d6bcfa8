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
    """High-resolution files, with low-resolution files in the same order where the data set has them.

    Low-resolution files alone are pictures without truth, which are enlarged and measured.
    """

    hr: Sequence[Path]
    lr: Sequence[Path] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "hr", [Path(path) for path in self.hr])
        object.__setattr__(self, "lr", None if self.lr is None else [Path(path) for path in self.lr])

    @classmethod
    def in_folders(
        cls, hr: AnyPath, lr: AnyPath | None = None, lr_suffix: str = "", hr_ending: str = "", lr_ending: str = ""
    ) -> "Pictures":
        """All pictures of a folder. The LR picture has the same name, or the name and ``lr_suffix``.

        Args:
            hr: Folder of the HR pictures.
            lr: Folder of the LR pictures, which may be the same one if the endings differ.
            lr_suffix: What names of LR pictures may have at their end, before the dot.
            hr_ending: What names of HR pictures have at their end; files without it are left out.
            lr_ending: What names of LR pictures have instead.

        Raises:
            DataError: If a folder is missing or an HR picture has no LR picture.
        """
        hr = Path(hr)
        lr = None if lr is None else Path(lr)
        files = [path for path in find_pictures(hr) if path.stem.endswith(hr_ending)]
        if not files:
            raise DataError(f"{hr}: no picture's name ends in {hr_ending}; data.hr_ending= says how names end")
        if lr is None:
            return cls(files)
        small = {path.stem: path for path in find_pictures(lr)}
        stems = [path.stem.removesuffix(hr_ending) + lr_ending for path in files]
        pairs = [small.get(stem) or small.get(stem + lr_suffix) for stem in stems]
        alone = [path for path, pair in zip(files, pairs, strict=True) if pair is None]
        if alone:
            stem = stems[files.index(alone[0])]
            names = " or ".join(dict.fromkeys([stem, stem + lr_suffix]))
            more = f", nor have {len(alone) - 1} others" if len(alone) > 1 else ""
            raise DataError(f"{alone[0]}: no LR picture {names} in {lr}{more}")
        return cls(files, [pair for pair in pairs if pair is not None])

    def __getitem__(self, part: slice) -> "Pictures":
        return Pictures(self.hr[part], None if self.lr is None else self.lr[part])

    def __len__(self) -> int:
        return len(self.hr)


class PictureDataset(Dataset[Batch]):
    """Whole pictures ``(C, H, W)`` for validation. ``lr`` is there if the data set has it, ``hr`` if there is a truth.

    They are uint8, or float32 in [0, 1] if the file has 16 bit.
    """

    def __init__(self, hr: PictureStore | None, lr: PictureStore | None = None) -> None:
        self.hr, self.lr = hr, lr
        self.named: Any = hr if hr is not None else lr

    def __len__(self) -> int:
        return len(self.named)

    def __getitem__(self, index: int) -> Batch:
        sample: Batch = {"name": self.named.names[index]}
        if self.hr is not None:
            sample["hr"] = _tensor(self.hr.pictures[index])
        if self.lr is not None:
            sample["lr"] = _tensor(self.lr.pictures[index])
        return sample


def _tensor(picture: NDArray[Any]) -> Tensor:
    return to_float(picture).float() if picture.dtype == np.uint16 else torch.from_numpy(np.array(picture))
