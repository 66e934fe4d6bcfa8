"""Pairs of packed mosaics of a folder, made while training."""

from pathlib import Path
from typing import Unpack

from sr_lightning.atomic import AnyPath
from sr_lightning.data.patches.datamodule import Loading
from sr_lightning.data.patches.dataset import check_pairs
from sr_lightning.data.patches.degraded import Sizes
from sr_lightning.data.patches.pictures import PictureDataset, Pictures
from sr_lightning.data.patches.store import Store
from sr_lightning.data.raw_sr.camera import CoarseCamera
from sr_lightning.data.raw_sr.mosaics import find_mosaics, open_mosaics
from sr_lightning.data.raw_sr.patches import MosaicPatches, MosaicPictures, packed_shape
from sr_lightning.data.sets.folder import Folder
from sr_lightning.errors import ConfigError, DataError


class RawToRaw(Folder):
    """Packed mosaics at two sizes: ``lr`` ``(N, 4, H, W)`` and ``hr`` ``(N, 4, scale * H, scale * W)``, float32, RGGB.

    HR mosaics are the ``.npz`` files of the NTIRE challenges, cameras' RAW files of any Bayer phase, or sRGB pictures
    taken back to a sensor. LR is photographed of them, as ``CoarseCamera`` says.

    **Paper:** Conde, Vasluianu, Timofte, BSRAW: Improving Blind RAW Image Super-Resolution, WACV 2024.

    Args:
        scale: Whole factor between the two.
        hr_dir: Folder of files to train on.
        val_hr_dir: Folder of those to validate on; None holds out the last ``num_val`` of ``hr_dir``.
        val_lr_dir: Their LR mosaics, of the same names or ending in ``x<scale>``; None photographs them by their names.
        num_val: How many are held out where there is no ``val_hr_dir``.
        camera: What makes LR.

    Raises:
        ConfigError: If ``hr_dir`` is not given, or a setting cannot be.
    """

    layout = "data.hr_dir=FOLDER with .npz files, RAW files or pictures, and if you have it data.val_hr_dir="
    whole_patches = False
    makes_lr = False

    def __init__(
        self,
        scale: int = 2,
        hr_dir: AnyPath | None = None,
        val_hr_dir: AnyPath | None = None,
        val_lr_dir: AnyPath | None = None,
        num_val: int = 5,
        camera: CoarseCamera | None = None,
        **loading: Unpack[Loading],
    ) -> None:
        if hr_dir is None:
            raise ConfigError("data=raw_sr needs a folder of .npz files, RAW files or pictures: data.hr_dir=FOLDER")
        super().__init__(scale, hr_dir, None, val_hr_dir, val_lr_dir, num_val, 3, **loading)
        if self.scales is not None:
            raise ConfigError(f"data.scales={self.scales}: pairs of mosaics are made at one scale; set it to null")
        self.coarse = camera or CoarseCamera()
        #: What made the LR mosaics of validation, for result files; None if they are files.
        self.camera = None if val_lr_dir else self.coarse

    def describe(self) -> str | None:
        if self.patches is None:
            return None
        size = f"{self.patch_size}x{self.patch_size}"
        return f"{len(self.patches)} mosaics, LR photographed of them at scale {self.scale}, patches of {size} cells"

    def _pictures(self, hr: Path, lr: Path | None) -> Pictures:
        files = find_mosaics(hr)
        if lr is None:
            return Pictures(files)
        small = {path.stem: path for path in find_mosaics(lr)}
        pairs = [small.get(path.stem) or small.get(f"{path.stem}x{self.scale}") for path in files]
        alone = [path for path, pair in zip(files, pairs, strict=True) if pair is None]
        if alone:
            raise DataError(f"{alone[0]}: no LR mosaic {alone[0].stem} or {alone[0].stem}x{self.scale} in {lr}")
        return Pictures(files, [pair for pair in pairs if pair is not None])

    def _open_scale(self) -> MosaicPatches:
        mosaics = open_mosaics(self.train_pictures().hr, self.cache)
        return MosaicPatches(mosaics, self.coarse, self.scale, self.patch_size)

    def _open_val(self, testing: bool = False) -> dict[str, PictureDataset]:
        sets = self._scored_pictures(testing)
        return {name: self._pairs(pictures) for name, pictures in sets.items()}

    def _pairs(self, pictures: Pictures) -> MosaicPictures:
        mosaics = open_mosaics(pictures.hr, self.cache)
        lr = open_mosaics(pictures.lr, self.cache) if pictures.lr is not None else None
        if lr is not None:
            check_pairs(_packed_sizes(mosaics), _packed_sizes(lr), self.scale)
        return MosaicPictures(mosaics, self.coarse, self.scale, lr)


def _packed_sizes(mosaics: Store) -> Sizes:
    return Sizes(mosaics.names, [packed_shape(shape) for shape in mosaics.shapes], mosaics.dtype)
