"""The 91 training pictures of Yang et al., on which SRCNN's generation was trained."""

from pathlib import Path
from typing import Unpack

from sr_lightning.atomic import AnyPath
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.errors import DataError


class T91(PictureDataModule):
    """The 91-image set, validated on Set5.

    **Paper:** Yang, Wright, Huang, Ma, Image Super-Resolution via Sparse Representation, IEEE TIP 2010.

    Args:
        scale: Whole factor between LR and HR.
        root: Folder of the 91 pictures.
        val_dir: Folder of validation pictures, Set5 by default.
    """

    layout = "the 91 pictures in data.root and others, such as Set5's five, in data.val_dir"

    def __init__(
        self, scale: int = 2, root: AnyPath = "data/T91", val_dir: AnyPath = "data/Set5", **loading: Unpack[Loading]
    ) -> None:
        super().__init__(scale, **loading)
        self.root, self.val_dir = Path(root), Path(val_dir)

    def train_pictures(self) -> Pictures:
        return self._folder(self.root)

    def val_pictures(self) -> dict[str, Pictures]:
        return {self.val_dir.name.lower(): self._folder(self.val_dir)}

    def _folder(self, path: Path) -> Pictures:
        if not path.is_dir():
            raise DataError(
                f"{path}: no such folder; data=t91 expects {self.layout}: give data_dir=FOLDER with {self.root.name} "
                f"and {self.val_dir.name} in it"
            )
        return Pictures.in_folders(path)
