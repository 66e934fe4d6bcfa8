"""The files of a scene's shots, what EXIF says of them, and their pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.io import read_picture, to_uint8
from sr_lightning.data.files.raw import camera_rendering, exif_of_raw, is_raw
from sr_lightning.data.srraw.files import frame_name
from sr_lightning.errors import DataError, PictureError

_JPEGS = (".jpg", ".jpeg")
#: Stems of the published set's files: a scene of these alone is numbered by them.
_NUMBERS = {frame_name(number): number for number in range(1, 100)}
# What read_picture has turned a picture by, in quarter turns that undo it.
_UNDO = {3: 2, 6: 1, 8: -1}
_DETAILS, _FOCAL_LENGTH, _ORIENTATION = 0x8769, 0x920A, 0x0112


@dataclass(frozen=True)
class Shot:
    """One photograph: the camera's JPEG and RAW file, one of which may be missing."""

    jpeg: Path | None = None
    raw: Path | None = None

    @property
    def name(self) -> str:
        """The name of its picture, for messages."""
        return str((self.jpeg or self.raw or Path()).name)

    def exif(self) -> tuple[float, int]:
        """Focal length in millimetres and orientation; a RAW file alone is always read as its sensor lay.

        Raises:
            PictureError: If the file cannot be read or has no focal length.
        """
        if self.jpeg is not None:
            return read_exif(self.jpeg)
        assert self.raw is not None
        tags = Image.Exif()
        tags.load(exif_of_raw(self.raw) or b"")
        return _focal_length(self.raw, tags), 1

    def read(self, upside_down: bool) -> NDArray[np.uint8]:
        """The picture ``(H, W, 3)`` as the sensor lay, or turned by 180 degrees; its own tag says nothing.

        Without a JPEG it is LibRaw's rendering, as bright as it was exposed.

        Raises:
            PictureError: If the file cannot be read.
        """
        if self.jpeg is None:
            assert self.raw is not None
            pixels = camera_rendering(self.raw, user_flip=0, warp=False)  # as the mosaic lies
            turns = 0
        else:
            pixels = to_uint8(read_picture(self.jpeg))
            turns = _UNDO.get(read_exif(self.jpeg)[1], 0)
        pixels = np.rot90(pixels, turns + 2 * upside_down)
        return np.ascontiguousarray(pixels if pixels.shape[-1] == 3 else pixels.repeat(3, axis=-1))


@dataclass(frozen=True)
class Scene:
    """A folder of shots that show one thing at several focal lengths."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def shots(self) -> tuple[dict[str, Shot], dict[str, str]]:
        """The shots by the stem of their files, and why other files were left out.

        JPEGs are LibRaw's renderings where no shot has one. RAW files of the same stem are not told apart: the first
        by name is taken.
        """
        shots: dict[str, Shot] = {}
        left_out: dict[str, str] = {}
        for path in self._files():
            shot = shots.get(path.stem, Shot())
            twin = shot.raw if is_raw(path) else shot.jpeg
            if twin is not None:
                left_out[f"{self.name}/{path.name}"] = f"{twin.name} has the same name, and is taken"
            elif is_raw(path):
                shots[path.stem] = Shot(shot.jpeg, path)
            else:
                shots[path.stem] = Shot(path, shot.raw)
        return shots, left_out

    def stats(self) -> list[tuple[str, int, int]]:
        """Names, sizes and times of modification of all shots."""
        return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self._files()]

    def _files(self) -> list[Path]:
        return sorted(
            path
            for path in self.folder.iterdir()
            if (is_raw(path) or path.suffix.lower() in _JPEGS) and not path.name.startswith(".") and path.is_file()
        )


def find_scenes(folder: AnyPath) -> list[Scene]:
    """The scenes of ``train`` or ``test``, sorted: every folder but hidden ones.

    Raises:
        DataError: If there is none.
    """
    folder = Path(folder)
    scenes = [Scene(path) for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    if not scenes:
        raise DataError(
            f"{folder}: has no scenes; expected is a folder for each, with a JPEG and a RAW file of every focal length"
        )
    return scenes


def number_shots(shots: Mapping[str, Shot], focals: Mapping[str, float]) -> dict[int, str]:
    """The stems of shots by number: that of the name as published, else by focal length, the longest first.

    Args:
        shots: By stem.
        focals: Focal lengths by stem; shots that have none get no number, unless they are named as published.

    Example:
        >>> number_shots({"DSC1": Shot(), "DSC2": Shot(), "DSC3": Shot()}, {"DSC1": 35.0, "DSC3": 200.0})
        {1: 'DSC3', 2: 'DSC1'}
        >>> number_shots({"00002": Shot(), "00005": Shot()}, {"00002": 35.0, "00005": 200.0})
        {2: '00002', 5: '00005'}
    """
    if shots.keys() <= _NUMBERS.keys():
        return {_NUMBERS[stem]: stem for stem in shots}
    ordered = sorted(focals, key=lambda stem: (-focals[stem], stem))
    return dict(enumerate(ordered, 1))


def read_exif(path: AnyPath) -> tuple[float, int]:
    """Focal length in millimetres and orientation of a JPEG.

    Raises:
        PictureError: If the file cannot be read or has no focal length.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            exif.get_ifd(_DETAILS)
    except Exception as error:  # decoders raise whatever they trip over
        raise PictureError(f"{path}: cannot be read ({error})") from None
    return _focal_length(path, exif), int(exif.get(_ORIENTATION, 1))


def _focal_length(path: Path, exif: Image.Exif) -> float:
    focal = exif.get_ifd(_DETAILS).get(_FOCAL_LENGTH)
    if focal is None or not float(focal) > 0:
        raise PictureError(f"{path}: its EXIF tells no focal length")
    return float(focal)
