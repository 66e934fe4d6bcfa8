"""Any folder of pictures."""

from pathlib import Path
from typing import Unpack

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.io import find_pictures
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.errors import ConfigError


class Folder(PictureDataModule):
    """Pictures of a folder, with their LR pictures in another one or made bicubically.

    Args:
        scale: Whole factor between LR and HR.
        hr_dir: Folder of high-resolution training pictures. None with a ``lr_dir`` is for evaluation alone: pictures
            without truth.
        lr_dir: Folder of their LR pictures, of the same names or ending in ``x<scale>``; None makes them.
        val_hr_dir: Folder of validation pictures; None holds out the last ``num_val`` of ``hr_dir``.
        val_lr_dir: Folder of their LR pictures; None lets the protocol make them.
        num_val: Pictures held out where there is no ``val_hr_dir``.
        hr_ending: How names of HR pictures end, before the dot, such as ``_HR``; others are left out.
        lr_ending: How names of LR pictures end instead, such as ``_LR4``.
        same_size: LR pictures are as large as HR: they are made smaller by ``scale``, as MATLAB does.
        channels: 3 turns grey training pictures into RGB; None leaves folders of grey ones grey, for networks on luma.

    Raises:
        ConfigError: If neither ``hr_dir`` nor ``lr_dir`` is given, or ``val_lr_dir`` without ``val_hr_dir``.
    """

    layout = "data.hr_dir=FOLDER with pictures, and if you have them data.lr_dir=, data.val_hr_dir=, data.val_lr_dir="
    whole_patches = True

    def __init__(
        self,
        scale: int = 2,
        hr_dir: AnyPath | None = None,
        lr_dir: AnyPath | None = None,
        val_hr_dir: AnyPath | None = None,
        val_lr_dir: AnyPath | None = None,
        num_val: int = 5,
        channels: int | None = None,
        hr_ending: str = "",
        lr_ending: str = "",
        same_size: bool = False,
        **loading: Unpack[Loading],
    ) -> None:
        super().__init__(scale, **loading)
        if hr_dir is None and lr_dir is None:
            raise ConfigError("data=folder needs a folder of pictures: data.hr_dir=FOLDER")
        if val_lr_dir and not val_hr_dir:
            raise ConfigError(f"data.val_lr_dir={val_lr_dir} needs its HR pictures: data.val_hr_dir=FOLDER")
        self.hr_dir, self.lr_dir = Path(hr_dir) if hr_dir else None, Path(lr_dir) if lr_dir else None
        self.hr_ending, self.lr_ending, self.same_size = hr_ending, lr_ending, same_size
        self.val_hr_dir = Path(val_hr_dir) if val_hr_dir else None
        self.val_lr_dir = Path(val_lr_dir) if val_lr_dir else None
        if channels not in (None, 3):
            raise ConfigError(f"data.channels={channels}: must be 3 or null")
        self.num_val, self.channels = num_val, channels

    def train_pictures(self) -> Pictures:
        pictures = self._pictures(self._truth(), self.lr_dir)
        return pictures if self.val_hr_dir else pictures[: self._held_out(pictures)]

    def val_pictures(self) -> dict[str, Pictures]:
        if self.val_hr_dir:
            return {self.val_hr_dir.name.lower(): self._pictures(self.val_hr_dir, self.val_lr_dir)}
        pictures = self._pictures(self._truth(), self.lr_dir)
        return {"held_out": pictures[self._held_out(pictures) :]}

    def test_pictures(self) -> dict[str, Pictures]:
        """The validation folder, or all of ``hr_dir``: nothing is trained on when a network is evaluated."""
        if self.val_hr_dir:
            return self.val_pictures()
        if self.hr_dir is None and self.lr_dir:
            return {self.lr_dir.name.lower() or "folder": Pictures([], find_pictures(self.lr_dir))}
        hr = self._truth()
        return {hr.name.lower() or "folder": self._pictures(hr, self.lr_dir)}

    def _truth(self) -> Path:
        if self.hr_dir is None:
            raise ConfigError("data=folder without data.hr_dir= is for sr-evaluate alone; give data.hr_dir=FOLDER")
        return self.hr_dir

    def _pictures(self, hr: Path, lr: Path | None) -> Pictures:
        endings = {"hr_ending": self.hr_ending, "lr_ending": self.lr_ending}
        return Pictures.in_folders(hr, lr, lr_suffix=f"x{self.scale}", **endings)

    def has_too_few_to_hold_out(self) -> bool:
        """Whether there are neither validation pictures nor enough to hold some out."""
        return not self.val_hr_dir and not 0 < self.num_val < len(self._pictures(self._truth(), self.lr_dir))

    def _held_out(self, pictures: Pictures) -> int:
        """Index of the first picture held out."""
        if not 0 < self.num_val < len(pictures):
            raise ConfigError(
                f"{self.hr_dir} has {len(pictures)} pictures: data.num_val={self.num_val} must leave some to train "
                "on and some to validate on, or give data.val_hr_dir=FOLDER"
            )
        return len(pictures) - self.num_val
