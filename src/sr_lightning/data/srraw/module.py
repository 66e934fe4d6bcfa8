"""SR-RAW as a data module: builds what is missing, reads pairs with labels or mosaics."""

from pathlib import Path
from typing import Annotated, Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt

from sr_lightning.atomic import AnyPath
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.dataset import check_pairs
from sr_lightning.data.patches.pictures import PictureDataset, Pictures
from sr_lightning.data.patches.sampling import Patches
from sr_lightning.data.srraw.align import Motion
from sr_lightning.data.srraw.files import parse_wb
from sr_lightning.data.srraw.judge import Limits
from sr_lightning.data.srraw.labels import FOLDERS, Label
from sr_lightning.data.srraw.options import Options, samples_of
from sr_lightning.data.srraw.patches import MosaicStore, PairPatches, PairPictures
from sr_lightning.data.srraw.pipeline import MARK, PARTS, build_set
from sr_lightning.data.srraw.ranges import Range, default_ranges
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.limits import check_value


class SRRAW(PictureDataModule):
    """Pairs of SR-RAW, or of a camera of your own, built from the shots where they are not yet there.

    **Paper:** Zhang, Chen, Ng, Koltun, Zoom to Learn, Learn to Zoom, CVPR 2019; pairs and labels as for SRNet
    (Residual Aware: Learning to Zoom via Self-supervised Auxiliary Task, 2020). The authors hard-code 240 mm, warp
    each HR picture twice and resize it twice; here the longest focal length is that of the first shot, and all maps
    are composed before the one warp.

    Args:
        scale: 4, of which each published scene gives three pairs, or 8, with one.
        root: Folder of ``train`` and ``test`` with a folder for each scene, of any name, that has a JPEG and a RAW file
            of each shot. Shots called ``00001`` (the longest focal length) to ``00007`` make the published pairs,
            others are numbered by focal length. ``tform.txt`` and ``wb.txt`` are kept in the scenes.
        dst: Folder of ``SRRAW/X4/train/{LR,HR,ARW,Diff,Edge}``, which suffices without ``root``.
        train_range: First and last number of the training pairs, in the order of names; None for the authors' of
            the published set, and otherwise all but those of ``val_range``.
        val_range: Likewise of the validation pairs; None for the authors', and otherwise the last 5 % of the pairs,
            rounded up to whole scenes.
        label: What the batch's ``label`` is, and what is made for it: diff, edge or none.
        input: rgb, or raw, whose batches have ``raw`` and ``white_balance`` too.
        val_crop: Side of the middle of HR that is validated on; None for whole pictures.
        motion: How shots are aligned: affine (ECC), or rigid (features).
        rsz: Power of 2 that ECC begins at.
        margin: Left out around the longest focal length's field of view, in pixels of the packed mosaic.
        levels: Samples of black and white: sony (512 and 16383), iphone (528 and 4367) or two numbers; None for what
            the files say.
        views: Whether pictures to judge the alignment by are written to the scenes: cropped, aligned, compare.
        repair: Whether the known damage of the set is mended, by renaming.
        workers: Scenes built at a time; None for up to 4.
        tolerance: How much the ratio of two focal lengths may differ from ``scale``: 0.25 is from scale / 1.25 to
            1.25 * scale. The published pairs lie between 0.85 and 1.2 times the scale.
        max_clipped: Share of a shot's pixels that may be clipped where the reference has detail.
        max_residual: Difference of an aligned shot from the reference, as a share of its contrast.
        min_sharpness: Detail of an aligned shot / that of the reference in the same pixels.

    Raises:
        ConfigError: If an option is none of its choices.
    """

    layout = (
        "data.root=FOLDER with train/SCENE, folders of a RAW file and a JPEG of every focal length, or data.dst=FOLDER "
        "with SRRAW/X4/train/HR"
    )
    makes_lr = False

    def __init__(
        self,
        scale: int = 4,
        root: AnyPath | None = "data/SR-RAW",
        dst: AnyPath = "data",
        train_range: Range | None = None,
        val_range: Range | None = None,
        label: Label = "diff",
        input: Literal["rgb", "raw"] = "rgb",
        val_crop: int | None = 512,
        motion: Motion = "affine",
        rsz: int = 3,
        margin: int = 20,
        levels: Literal["sony", "iphone"] | tuple[float, float] | None = None,
        views: bool = False,
        repair: bool = False,
        workers: int | None = None,
        tolerance: float = 0.25,
        max_clipped: float = 0.05,
        max_residual: float = 0.3,
        min_sharpness: float = 0.3,
        **loading: Unpack[Loading],
    ) -> None:
        super().__init__(scale, **loading)
        limits = Limits(max_clipped, max_residual, min_sharpness)
        options = Options(scale, label, motion, rsz, margin, samples_of(levels), views, tolerance, limits)
        self.options = options.checked()
        check_value("data.input", input, Literal["rgb", "raw"])
        check_value("data.val_crop", val_crop, Annotated[int, Field(ge=2 * scale)] | None)
        check_value("data.workers", workers, PositiveInt | None)
        if self.scales is not None:
            raise ConfigError(f"data.scales={self.scales}: SR-RAW has pairs of one scale at a time; leave it out")
        self.root, self.dst = Path(root) if root else None, Path(dst)
        self.train_range, self.val_range = train_range, val_range
        self.label, self.input, self.val_crop, self.mend, self.workers = label, input, val_crop, repair, workers
        self.built = False  # whether prepare_data has made all pairs

    @property
    def folder(self) -> Path:
        """Where the pairs are."""
        return self.dst / "SRRAW" / f"X{self.scale}"

    def prepare_data(self) -> None:
        """Builds the pairs of scenes that have none yet, and decodes what is not in the cache.

        A training run takes a finished part as it is: other options build another one by the command alone.
        """
        parts = [part for part in PARTS if self.trainer is None or not (self.folder / part / MARK).is_file()]
        if self.root is not None and any((self.root / part).is_dir() for part in parts):
            build_set(self.root, self.folder, self.options, mend=self.mend, workers=self.workers, parts=parts)
            self.built = True
        super().prepare_data()

    def train_pictures(self) -> Pictures:
        return self._numbered(0, "data.train_range")

    def val_pictures(self) -> dict[str, Pictures]:
        return {"srraw": self._numbered(1, "data.val_range")}

    def test_pictures(self) -> dict[str, Pictures]:
        """The pairs of ``test``, where there are some."""
        return {"srraw_test": self._pictures("test")} if (self.folder / "test").is_dir() else self.val_pictures()

    def describe(self) -> str | None:
        pictures = self._pictures("train")
        train, val = ("{} to {}".format(*ends) for ends in self._ranges(pictures))
        return f"{super().describe()}; {train} of {len(pictures)} pairs, and {val} validate"

    def _numbered(self, which: int, key: str) -> Pictures:
        pictures = self._pictures("train")
        first, last = self._ranges(pictures)[which]
        if not 1 <= first <= min(last, len(pictures)):
            raise ConfigError(
                f"{key}={[first, last]}: {self.folder / 'train'} has the pairs 1 to {len(pictures)}, in the order of "
                f"their names; choose others with {key}=[FIRST,LAST]"
            )
        return pictures[first - 1 : last]

    def _ranges(self, pictures: Pictures) -> tuple[Range, Range]:
        """First and last number of the pairs to train and to validate on."""
        train, val = default_ranges([path.stem for path in pictures.hr], self.scale, self.val_range)
        return self.train_range or train, val

    def _pictures(self, part: str) -> Pictures:
        folder = self.folder / part
        if not (folder / "HR").is_dir():
            raise DataError(
                f"{folder / 'HR'}: no such folder; data=srraw expects {self.layout}. Build the pairs with: "
                f"python -m sr_lightning.prepare data=srraw scale={self.scale} data.root=FOLDER data.dst={self.dst}"
            )
        if (folder / ".scenes").is_dir() and not (folder / MARK).is_file():
            raise DataError(
                f"{folder}: its pairs are not all made, and some may be of other options, because a run was stopped; "
                f"finish it with python -m sr_lightning.prepare data=srraw scale={self.scale} and its options"
            )
        return Pictures.in_folders(folder / "HR", folder / "LR")

    def _open_scale(self) -> Patches | None:
        pictures = self.train_pictures()
        label = None
        if self.label != "none":
            folder = pictures.hr[0].parent.parent / FOLDERS[self.label]
            files = [folder / f"{path.stem}.png" for path in pictures.hr]
            missing = next((path for path in files if not path.is_file()), None)
            if missing is not None:
                raise DataError(
                    f"{missing}: no such file; make the labels with python -m sr_lightning.prepare data=srraw "
                    f"data.label={self.label} and the other options of these pairs, or train with data.label=none"
                )
            label = self._open(files)
        hr, lr = self._open(pictures.hr), self._open(pictures.lr or ())
        return PairPatches(hr, lr, self.scale, self.patch_size, label, *self._raw(pictures))

    def _open_val(self, testing: bool = False) -> dict[str, PictureDataset]:
        sets: dict[str, PictureDataset] = {}
        for name, pictures in self._scored_pictures(testing).items():
            hr, lr = self._open(pictures.hr), self._open(pictures.lr or ())
            check_pairs(hr, lr, self.scale)
            sets[name] = PairPictures(hr, lr, self.scale, self.val_crop, *self._raw(pictures))
        return sets

    def _raw(self, pictures: Pictures) -> tuple[MosaicStore | None, NDArray[np.float32] | None]:
        """Mosaics and gains of R, G, B, where they are asked for."""
        if self.input == "rgb":
            return None, None
        folder = pictures.hr[0].parent.parent
        gains = parse_wb(folder / "wb.txt")
        alone = next((path.stem for path in pictures.hr if path.stem not in gains), None)
        if alone is not None:
            raise DataError(f"{folder / 'wb.txt'}: has no white balance of {alone}")
        rows: Any = [(gains[path.stem][0], gains[path.stem][1], gains[path.stem][3]) for path in pictures.hr]
        return MosaicStore([folder / "ARW" / f"{p.stem}.npy" for p in pictures.hr]), np.array(rows, dtype=np.float32)
