"""The test sets that papers report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from sr_lightning.atomic import AnyPath
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.errors import ConfigError, DataError, nearest

SETS = {
    "set5": "Set5",
    "set14": "Set14",
    "bsd100": "BSD100",
    "urban100": "Urban100",
    "manga109": "Manga109",
    "mcmaster18": "McMaster18",
}


class Benchmarks(PictureDataModule):
    """Set5, Set14, BSD100, Urban100, Manga109 and McMaster18, for validation only.

    A set is a folder of pictures, or one with ``HR`` and, if given LR pictures shall be read, ``LR_bicubic/X2``.

    Args:
        scale: Whole factor between LR and HR.
        root: Folder of the sets' folders; upper and lower case do not matter.
        sets: Which sets.
        use_lr: Read LR pictures from ``LR_bicubic/X<scale>`` instead of letting the protocol make them.
    """

    layout = "a folder for each set in data_dir: Set5, Set14, BSD100, Urban100, Manga109, McMaster18"

    def __init__(
        self,
        scale: int = 2,
        root: AnyPath = "data",
        sets: str | Sequence[str] = ("set5", "set14", "bsd100"),
        use_lr: bool = False,
        **loading: Unpack[Loading],
    ) -> None:
        super().__init__(scale, **loading)
        self.root, self.use_lr = Path(root), use_lr
        self.sets = tuple(name.lower() for name in ([sets] if isinstance(sets, str) else sets))
        for name in self.sets:
            if name not in SETS:
                raise ConfigError(f"data.sets knows no set {name!r}; {nearest(name, SETS)}")

    def val_pictures(self) -> dict[str, Pictures]:
        return {name: self._set(name) for name in self.sets}

    def _set(self, name: str) -> Pictures:
        if not self.root.is_dir():
            raise DataError(f"{self.root}: no such folder; data=benchmarks expects {self.layout}: give data_dir=FOLDER")
        folders = [path for path in self.root.iterdir() if path.is_dir() and path.name.lower() == name]
        if not folders:
            raise DataError(f"{self.root}: has no folder {SETS[name]}; data=benchmarks expects {self.layout}")
        hr = folders[0] / "HR" if (folders[0] / "HR").is_dir() else folders[0]
        lr = folders[0] / "LR_bicubic" / f"X{self.scale}" if self.use_lr else None
        return Pictures.in_folders(hr, lr, lr_suffix=f"x{self.scale}")
