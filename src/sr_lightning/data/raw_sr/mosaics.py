"""The HR mosaics: of challenge files, of cameras' RAW files, or of pictures taken back to a sensor."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.io import read_picture
from sr_lightning.data.patches.levels import to_float, to_levels
from sr_lightning.data.patches.store import Store, decoded_store
from sr_lightning.data.raw_sr.npz import read_npz
from sr_lightning.data.raw_synthesis.camera import Camera
from sr_lightning.data.raw_synthesis.scenes import find_scenes, taken_back
from sr_lightning.degradations import seed_of
from sr_lightning.errors import DataError, PictureError
from sr_lightning.functional.bayer import crop_to_pattern, mosaic, unpack


def find_mosaics(folder: AnyPath) -> list[Path]:
    """The files of a folder to make mosaics of, sorted by name: all ``.npz``, all RAW files, or all pictures.

    Raises:
        DataError: If there are none, or several kinds.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    packed = sorted(path for path in folder.glob("*.npz") if not path.name.startswith("."))
    if not packed:
        return find_scenes(folder)
    try:
        others = find_scenes(folder)
    except DataError:
        return packed
    raise DataError(f"{folder}: has .npz files and others such as {others[0].name}; keep one kind in one folder")


def open_mosaics(files: Sequence[AnyPath], cache: AnyPath) -> Store:
    """Mosaics ``(1, H, W)`` in uint16, RGGB, of even sides; black is 0 and white 65535.

    Raises:
        PictureError: If a file cannot be used.
        DataError: If the disk is full.
    """
    return decoded_store(files, cache, _mosaic, kind="mosaic, 1")


def _mosaic(path: Path) -> NDArray[np.uint16]:
    from sr_lightning.data.files.raw import is_raw, read_raw

    if path.suffix.lower() == ".npz":
        samples = unpack(read_npz(path))
    elif is_raw(path):
        raw = read_raw(path)
        samples = crop_to_pattern(raw.mosaic, raw.pattern, "RGGB")
    else:
        samples = _taken_back(path)
    if 0 in samples.shape:
        raise PictureError(f"{path}: has not one whole 2x2 block of a mosaic")
    return to_levels(samples, np.uint16)


def _taken_back(path: Path) -> Tensor:
    """What a camera saw of an sRGB picture. Its white balance and matrix depend on the file's name alone."""
    isp = Camera().draw(np.random.default_rng((seed_of(path.stem), 0))).isp
    picture = to_float(read_picture(path).transpose(2, 0, 1)).expand(3, -1, -1)
    return crop_to_pattern(mosaic(taken_back(picture, isp)), "RGGB", "RGGB")
