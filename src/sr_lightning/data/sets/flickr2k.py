"""Flickr2K, which larger networks since EDSR are trained on beside DIV2K."""

from pathlib import Path
from typing import Unpack

from sr_lightning.atomic import AnyPath
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.data.sets.div2k import numbered_pictures
from sr_lightning.errors import DataError


class Flickr2K(PictureDataModule):
    """Flickr2K in its official folders; LR is made bicubically if its folder is absent.

    **Paper:** Timofte, Agustsson, Van Gool, Yang, Zhang et al., NTIRE 2017 Challenge on Single Image Super-Resolution:
    Methods and Results, CVPRW 2017; Lim, Son, Kim, Nah, Lee, EDSR, CVPRW 2017. The set has no validation pictures of
    its own; the union with DIV2K, ``data=df2k``, trains on all 2650.

    Args:
        scale: Whole factor between LR and HR.
        root: Folder that holds ``Flickr2K_HR``.
        train_range: First and last number of the training pictures.
        val_range: First and last number of the validation pictures.
    """

    official_lr = True
    layout = "Flickr2K_HR/000001.png, if at hand also Flickr2K_LR_bicubic/X2/000001x2.png"

    def __init__(
        self,
        scale: int = 2,
        root: AnyPath = "data/Flickr2K",
        train_range: tuple[int, int] = (1, 2640),
        val_range: tuple[int, int] = (2641, 2650),
        **loading: Unpack[Loading],
    ) -> None:
        super().__init__(scale, **loading)
        self.root = Path(root)
        self.train_range, self.val_range = train_range, val_range

    def train_pictures(self) -> Pictures:
        return self._pictures(self.train_range)

    def val_pictures(self) -> dict[str, Pictures]:
        return {"flickr2k": self._pictures(self.val_range)}

    def _pictures(self, numbers: tuple[int, int]) -> Pictures:
        hr = self.root / "Flickr2K_HR"
        if not hr.is_dir():
            raise DataError(f"{hr}: no such folder; data=flickr2k expects in data.root={self.root} {self.layout}")
        return numbered_pictures(hr, self.root / "Flickr2K_LR_bicubic" / f"X{self.scale}", self.scale, numbers)
