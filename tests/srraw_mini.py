"""A miniature of SR-RAW: six focal lengths of one scene of real pictures, by known affine maps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

FOCAL_LENGTHS = (240, 150, 100, 70, 50, 35)
SIZE = (208, 352)  # of the sensor, H x W
BLACK, WHITE = 600, 15520
FINE = 8  # sub-pixels of a sensor's pixel, along each axis


@dataclass
class Truth:
    """What a scene was made of: picture by picture, sensor pixels (x, y, 1) to pixels of the world."""

    world: NDArray[np.uint8]
    views: list[NDArray[np.float64]] = field(default_factory=list)


def world(real_data: Path, first: int = 0) -> NDArray[np.uint8]:
    """Fifteen photographs side by side, as detailed as the longest focal length can see."""
    files = sorted((real_data / "McMaster18").glob("*.png"))[first : first + 15]
    rows = [np.hstack([np.array(Image.open(path).convert("RGB")) for path in files[i : i + 5]]) for i in (0, 5, 10)]
    return np.vstack(rows)


def view(scene: NDArray[np.uint8], focal: float, generator: np.random.Generator) -> NDArray[np.float64]:
    """Sensor to world: the picture's middle sees the world's, with a little turn, shear, zoom and shift."""
    h, w = SIZE
    zoom = FOCAL_LENGTHS[0] / focal * (1 + generator.uniform(-0.004, 0.004))
    linear = zoom * (np.eye(2) + generator.uniform(-0.003, 0.003, (2, 2)))
    middle = np.array([(scene.shape[1] - 1) / 2, (scene.shape[0] - 1) / 2]) + generator.uniform(-3, 3, 2)
    offset = middle - linear @ [(w - 1) / 2, (h - 1) / 2]
    return np.vstack([np.column_stack([linear, offset]), [0, 0, 1]])


def expose(
    scene: NDArray[np.uint8], to_world: NDArray[np.float64], size: tuple[int, int] = SIZE
) -> NDArray[np.float32]:
    """What a sensor sees, each pixel the mean of its area: ``(H, W, 3)`` in 0...255."""
    h, w = size
    fine = np.array([[1 / FINE, 0, (1 / FINE - 1) / 2], [0, 1 / FINE, (1 / FINE - 1) / 2], [0, 0, 1]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    matrix = (to_world @ fine)[:2]
    picture = cv2.warpAffine(scene.astype(np.float32), matrix, (w * FINE, h * FINE), flags=flags)
    return picture.reshape(h, FINE, w, FINE, 3).mean((1, 3)).clip(0, 255)


def write_jpeg(path: Path, pixels: NDArray[np.uint8], focal: float, orientation: int = 1) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x920A] = float(focal)  # a rational, as cameras write it
    Image.fromarray(pixels).save(path, quality=100, subsampling=0, exif=exif)


def write_raw(path: Path, linear: NDArray[np.float64], pattern: str = "RGGB", focal: float | None = None) -> None:
    """A mosaic in [0, 1] as a DNG, which LibRaw knows by its content."""
    samples = np.round(linear * (WHITE - BLACK) + BLACK).astype(np.uint16)
    tags = [
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes("RGB".index(colour) for colour in pattern), True),
        (50706, 1, 4, b"\x01\x04\x00\x00", True),
        (50707, 1, 4, b"\x01\x01\x00\x00", True),
        (50708, 2, 0, "miniature", True),
        (50714, 4, 1, BLACK, True),
        (50717, 4, 1, WHITE, True),
        (50721, 10, 9, (9020, 10000, -2890, 10000, -715, 10000, -4535, 10000, 12436, 10000, 2348, 10000,
                        -934, 10000, 1919, 10000, 7086, 10000), True),
        (50728, 5, 3, (5130, 10000, 10000, 10000, 7442, 10000), True),
        (50778, 3, 1, 21, True),
    ]  # fmt: skip
    if focal is not None:
        tags.append((37386, 5, 1, (round(focal), 1), True))
    tifffile.imwrite(path, samples, photometric=32803, extratags=tags, metadata=None, software=False)


def mosaic_of(picture: NDArray[np.float32]) -> NDArray[np.float64]:
    """RGGB samples of a picture in 0...255, linear by a square."""
    linear = (picture.astype(np.float64) / 255) ** 2
    out = linear[..., 1].copy()
    out[::2, ::2], out[1::2, 1::2] = linear[::2, ::2, 0], linear[1::2, 1::2, 2]
    return out


Change = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def make_scene(
    folder: Path,
    scene: NDArray[np.uint8],
    *,
    seed: int = 0,
    orientation: int = 1,
    focals: Sequence[float] = FOCAL_LENGTHS,
    stems: Sequence[str] | None = None,
    ending: str = ".ARW",
    jpegs: bool = True,
    changes: Mapping[int, Change] | None = None,
) -> Truth:
    """Writes 00001.JPG, 00001.ARW and so on; a camera held upside down turns nothing but the orientation tag.

    Args:
        folder: For the files.
        scene: The world.
        seed: Of the maps.
        orientation: Of the camera.
        focals: Of the shots.
        stems: Of the files, if they are not numbered.
        ending: Of the RAW files.
        jpegs: Whether there are any; else RAW files say the focal length.
        changes: What happened to shots, by number.
    """
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    truth = Truth(scene)
    for i, focal in enumerate(focals):
        to_world = view(scene, focal, generator)
        picture = expose(scene, to_world)
        if i + 1 in (changes or {}):
            picture = changes[i + 1](picture).clip(0, 255)
        stem = stems[i] if stems else f"{i + 1:05d}"
        if jpegs:
            write_jpeg(folder / f"{stem}.JPG", picture.round().astype(np.uint8), focal, orientation)
        write_raw(folder / f"{stem}{ending}", mosaic_of(picture), focal=None if jpegs else focal)
        truth.views.append(to_world)
    return truth
