"""Photographs of a folder of RAW files or pictures, made while training."""

from pathlib import Path
from typing import Unpack

from pydantic import PositiveInt

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.disk import errors_with_file
from sr_lightning.data.patches.datamodule import Loading
from sr_lightning.data.patches.pictures import PictureDataset, Pictures
from sr_lightning.data.raw_synthesis.camera import Camera
from sr_lightning.data.raw_synthesis.files import write_settings_file, write_split
from sr_lightning.data.raw_synthesis.patches import SynthesisPatches, SynthesisPictures
from sr_lightning.data.raw_synthesis.scenes import Scenes, find_scenes, open_scenes
from sr_lightning.data.sets.folder import Folder
from sr_lightning.errors import ConfigError
from sr_lightning.limits import check_value


class RawSynthesis(Folder):
    """rawSR's realistic pairs: a mosaic, the camera's picture of it, and the truth at ``scale`` times their size.

    Linear scenes come from RAW files, whose 2x2 blocks become pixels in colour, or from sRGB pictures, taken back to
    what a camera saw with a white balance and matrix drawn for each version. Batches hold ``raw`` (float32, RGGB),
    ``lr`` (uint8, the reference) and ``hr`` (float32 sRGB).

    **Paper:** Xu, Ma, Sun, Towards Real Scene Super-Resolution With Raw Images, CVPR 2019, section 3.1.

    Args:
        scale: Whole factor between mosaic and truth.
        hr_dir: Folder of RAW files or pictures to train on.
        val_hr_dir: Folder of those to validate on; None holds out the last ``num_val`` of ``hr_dir``.
        num_val: How many are held out where there is no ``val_hr_dir``.
        versions: Photographs of each picture, of which noise alone is new each time; None draws all anew.
        camera: What photographs are drawn from.

    Raises:
        ConfigError: If ``hr_dir`` is not given, or a setting cannot be.
    """

    layout = "data.hr_dir=FOLDER with RAW files or pictures, and if you have it data.val_hr_dir="
    whole_patches = False
    makes_lr = False

    def __init__(
        self,
        scale: int = 2,
        hr_dir: AnyPath | None = None,
        val_hr_dir: AnyPath | None = None,
        num_val: int = 5,
        versions: int | None = 10,
        camera: Camera | None = None,
        **loading: Unpack[Loading],
    ) -> None:
        if hr_dir is None:
            raise ConfigError("data=raw_synthesis needs a folder of RAW files or pictures: data.hr_dir=FOLDER")
        super().__init__(scale, hr_dir, None, val_hr_dir, None, num_val, 3, **loading)
        check_value("data.versions", versions, PositiveInt | None)
        if self.scales is not None:
            raise ConfigError(f"data.scales={self.scales}: pairs of mosaics are made at one scale; set it to null")
        self.versions, self.camera = versions, camera or Camera()

    def describe(self) -> str | None:
        if self.patches is None:
            return None
        many = "drawn anew for each patch" if self.versions is None else f"in {self.versions} versions each"
        size = f"{self.patch_size}x{self.patch_size}"
        return f"{len(self.patches)} scenes photographed {many} at scale {self.scale}, patches of {size}"

    def write(self, folder: AnyPath) -> None:
        """Writes the set as rawSR's files, every picture in all its versions. Existing files stay.

        Raises:
            ConfigError: If ``versions`` is None.
            DataError: If the folder holds files made with other settings, or cannot be written.
        """
        folder = Path(folder)
        if self.versions is None:
            raise ConfigError(
                "data.versions=null has no end of photographs to write; choose a number: data.versions=10"
            )
        with errors_with_file(folder):
            self._write(folder, self.versions)

    def _write(self, folder: Path, count: int) -> None:
        write_settings_file(folder, self.camera, self.scale)
        splits = {"Training": [self.train_pictures()], "Testing": list(self.val_pictures().values())}
        for split, parts in splits.items():
            for pictures in parts:
                # One photograph tests: the one that validation sees.
                versions = count if split == "Training" else 1
                write_split(folder, split, self._scenes(pictures), versions)

    def _pictures(self, hr: Path, lr: Path | None) -> Pictures:
        return Pictures(find_scenes(hr))

    def _scenes(self, pictures: Pictures) -> Scenes:
        return open_scenes(pictures.hr, self.cache, self.camera, self.scale)

    def _open_scale(self) -> SynthesisPatches:
        return SynthesisPatches(self._scenes(self.train_pictures()), self.patch_size, self.versions)

    def _open_val(self, testing: bool = False) -> dict[str, PictureDataset]:
        sets = self._scored_pictures(testing)
        return {name: SynthesisPictures(self._scenes(pictures)) for name, pictures in sets.items()}
