"""The shots of an SR-RAW scene: their files, EXIF and pictures."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.io import read_picture, to_uint8
from sr_lightning.data.srraw.align import Grey
from sr_lightning.data.srraw.files import frame_name
from sr_lightning.errors import DataError, PictureError

#: Numbers of the shots of a scene.
FRAMES = range(1, 8)

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
# What read_picture has turned a picture by, in quarter turns that undo it.
_UNDO = {3: 2, 6: 1, 8: -1}


@dataclass(frozen=True)
class Scene:
    """A folder of shots ``00001.JPG``, ``00001.ARW`` and so on, the longest focal length first."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def file(self, frame: int, ending: str) -> Path | None:
        """The shot's file, whatever the case of its ending."""
        candidates = (self.folder / f"{frame_name(frame)}.{e}" for e in (ending, ending.lower(), ending.upper()))
        return next((path for path in candidates if path.is_file()), None)

    def jpeg(self, frame: int) -> Path:
        """The camera's picture.

        Raises:
            PictureError: If there is none.
        """
        path = self.file(frame, "JPG") or self.file(frame, "JPEG")
        if path is None:
            raise PictureError(f"{self.folder / frame_name(frame)}.JPG: no such file")
        return path

    def frames(self) -> list[int]:
        """Numbers of the shots that have a JPEG."""
        stems = {path.stem for path in self.folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg")}
        return sorted(int(stem) for stem in stems if re.fullmatch(r"\d{5}", stem))

    def stats(self) -> list[tuple[str, int, int]]:
        """Names, sizes and times of modification of all shots."""
        shots = (path for path in self.folder.iterdir() if path.suffix.lower() in (".arw", ".jpg", ".jpeg"))
        return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(shots)]

    def read(self, frame: int, upside_down: bool) -> NDArray[np.uint8]:
        """The camera's picture ``(H, W, 3)`` as its sensor lay, or turned by 180 degrees; its own tag says nothing."""
        path = self.jpeg(frame)
        pixels = np.rot90(to_uint8(read_picture(path)), _UNDO.get(read_exif(path)[1], 0) + 2 * upside_down)
        return np.ascontiguousarray(pixels if pixels.shape[-1] == 3 else pixels.repeat(3, axis=-1))


def find_scenes(folder: AnyPath) -> list[Scene]:
    """The scenes of ``train`` or ``test``, sorted.

    Raises:
        DataError: If there is none.
    """
    folder = Path(folder)
    numbered = (path for path in folder.iterdir() if path.is_dir() and re.fullmatch(r"\d{5}", path.name))
    scenes = [Scene(path) for path in sorted(numbered)]
    if not scenes:
        raise DataError(f"{folder}: has no scenes; expected are folders 00001, 00002, … with 00001.ARW and 00001.JPG")
    return scenes


def read_exif(path: AnyPath) -> tuple[float, int]:
    """Focal length in millimetres and orientation of a JPEG.

    Raises:
        PictureError: If the file cannot be read or has no focal length.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            focal = exif.get_ifd(0x8769).get(0x920A)
            orientation = int(exif.get(0x0112, 1))
    except Exception as error:  # decoders raise whatever they trip over
        raise PictureError(f"{path}: cannot be read ({error})") from None
    if focal is None or not float(focal) > 0:
        raise PictureError(f"{path}: its EXIF tells no focal length")
    return float(focal), orientation


class Shots:
    """The pictures of a scene, all turned as the first shot's orientation says: the camera stood still.

    Attributes:
        frames: Numbers of the shots that have a JPEG.
        ratios: Focal length of the first / that of each shot.
        upside_down: Whether the camera was.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.frames = [frame for frame in scene.frames() if frame in FRAMES]
        focal, orientation = read_exif(scene.jpeg(1))
        self.ratios = {frame: focal / read_exif(scene.jpeg(frame))[0] for frame in self.frames}
        self.upside_down = orientation == 3
        longer = next((frame for frame, ratio in self.ratios.items() if ratio < 1), None)
        if longer is not None:
            raise PictureError(f"{scene.jpeg(longer)}: has a longer focal length than 00001, which must be the longest")

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the first shot."""
        height, width = self.read(1).shape[:2]
        return height, width

    def read(self, frame: int) -> NDArray[np.uint8]:
        """A shot's picture ``(H, W, 3)``."""
        return self.scene.read(frame, self.upside_down)

    def grey_pictures(self) -> Iterator[tuple[int, Grey]]:
        """Number and luma in [0, 1] of each shot.

        Raises:
            PictureError: If one has another size than the first.
        """
        for frame in self.frames:
            pixels = self.read(frame)
            if pixels.shape[:2] != self.size:
                raise PictureError(
                    f"{self.scene.jpeg(frame)}: has {pixels.shape[0]}x{pixels.shape[1]} pixels, 00001 {self.size[0]}x"
                    f"{self.size[1]}"
                )
            yield frame, (pixels @ _LUMA) / np.float32(255)
