"""DIV2K, the training set of nearly every network since 2017."""

import re
import warnings
from pathlib import Path
from typing import Unpack

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.download import Archive, download_and_unpack
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.errors import ConfigError, DataError

HOME = "https://data.vision.ee.ethz.ch/cvl/DIV2K"
# MD5 of the archives as published; torchSR and catalyst's ESRGAN check the same.
MD5 = {
    "DIV2K_train_HR.zip": "bdc2d9338d4e574fe81bf7d158758658",
    "DIV2K_valid_HR.zip": "9fcdda83005c5e5997799b69f955ff88",
    "DIV2K_train_LR_bicubic_X2.zip": "9a637d2ef4db0d0a81182be37fb00692",
    "DIV2K_train_LR_bicubic_X3.zip": "ad80b9fe40c049a07a8a6c51bfab3b6d",
    "DIV2K_train_LR_bicubic_X4.zip": "76c43ec4155851901ebbe8339846d93d",
    "DIV2K_valid_LR_bicubic_X2.zip": "1512c9a3f7bde2a1a21a73044e46b9cb",
    "DIV2K_valid_LR_bicubic_X3.zip": "18b1d310f9f88c13618c287927b29898",
    "DIV2K_valid_LR_bicubic_X4.zip": "21962de700c8d368c6ff83314480eff0",
}


class DIV2K(PictureDataModule):
    """DIV2K in its official folders; LR is made bicubically if its folder is absent.

    **Paper:** Agustsson, Timofte, NTIRE 2017 Challenge on Single Image Super-Resolution: Dataset and Study, CVPRW 2017.

    Args:
        scale: Whole factor between LR and HR.
        root: Folder that holds ``DIV2K_train_HR``.
        train_range: First and last number of the training pictures.
        val_range: First and last number of the validation pictures, 801 to 900.
        home: Where the archives are fetched from.
    """

    official_lr = True
    layout = (
        "DIV2K_train_HR/0001.png and DIV2K_valid_HR/0801.png, "
        "if at hand also DIV2K_train_LR_bicubic/X2/0001x2.png and DIV2K_valid_LR_bicubic/X2/0801x2.png"
    )

    def __init__(
        self,
        scale: int = 2,
        root: AnyPath = "data/DIV2K",
        train_range: tuple[int, int] = (1, 800),
        val_range: tuple[int, int] = (801, 810),
        home: str = HOME,
        **loading: Unpack[Loading],
    ) -> None:
        super().__init__(scale, **loading)
        self.root, self.home = Path(root), home.rstrip("/")
        self.train_range, self.val_range = train_range, val_range

    def train_pictures(self) -> Pictures:
        return self._pictures("train", self.train_range)

    def val_pictures(self) -> dict[str, Pictures]:
        return {"div2k": self._pictures("valid", self.val_range)}

    def download(self) -> None:
        """Fetches the archives that are missing, checks and unpacks them."""
        for part in ("train", "valid"):
            names = [f"DIV2K_{part}_HR.zip", f"DIV2K_{part}_LR_bicubic_X{self.scale}.zip"]
            for name in names:
                if name in MD5 and not self._unpacked(name).is_dir():
                    download_and_unpack(Archive(f"{self.home}/{name}", MD5[name]), self.root)

    def _unpacked(self, archive: str) -> Path:
        stem = archive.removesuffix(".zip")
        return self.root / re.sub(r"_(X\d)$", r"/\1", stem)

    def _pictures(self, part: str, numbers: tuple[int, int]) -> Pictures:
        hr = self.root / f"DIV2K_{part}_HR"
        lr = self.root / f"DIV2K_{part}_LR_bicubic" / f"X{self.scale}"
        if not hr.is_dir():
            raise DataError(
                f"{hr}: no such folder; data=div2k expects in data.root={self.root} {self.layout}. "
                "Fetch the set (4 GB and more) with: python -m sr_lightning.prepare data=div2k download=true "
                f"scale={self.scale} data.root={self.root}"
            )
        return numbered_pictures(hr, lr, self.scale, numbers)


def numbered_pictures(hr: AnyPath, lr: AnyPath, scale: int, numbers: tuple[int, int]) -> Pictures:
    """The pictures of a folder whose names are numbers from the first to the last of ``numbers``.

    Args:
        hr: Folder of HR pictures.
        lr: Folder of their LR pictures; one that does not exist leaves them to be made.
        scale: Whole factor between the two; names of LR pictures may end in ``x<scale>``.
        numbers: First and last.

    Raises:
        ConfigError: If no picture has such a number.
    """
    hr = Path(hr)
    lr = Path(lr)
    first, last = numbers
    pictures = Pictures.in_folders(hr, lr if lr.is_dir() else None, lr_suffix=f"x{scale}")
    chosen = [i for i, path in enumerate(pictures.hr) if path.stem.isdigit() and first <= int(path.stem) <= last]
    if not chosen:
        raise ConfigError(f"{hr}: has no picture numbered {first} to {last}")
    if len(chosen) < last - first + 1:
        warnings.warn(f"{hr}: {len(chosen)} of the pictures {first} to {last} are there", stacklevel=2)
    lr_files = None if pictures.lr is None else [pictures.lr[i] for i in chosen]
    return Pictures([pictures.hr[i] for i in chosen], lr_files)
