"""Writes DNG files, which RAW converters open: linear pictures, and mosaics."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.data.files.exif import append_folders, exif_with_size, tiff_options
from sr_lightning.data.files.raw.dng_tags import LINEAR, MOSAIC
from sr_lightning.data.files.raw.picture import IDENTITY, RawPicture
from sr_lightning.errors import PictureError
from sr_lightning.functional import to_levels
from sr_lightning.functional.bayer import PATTERNS
from sr_lightning.functional.isp import SRGB_TO_XYZ, undevelop

_CAMERA = (0x010F, 0x0110)  # maker and model
_D65 = 21
#: What black is in mosaics: noise lies below it too.
_PEDESTAL = 1024
_DENOMINATOR = 1_000_000
_ROWS = 256
#: EXIF's number of LibRaw's code of a turn.
_ORIENTATION = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}


def write_linear_dng(
    path: AnyPath,
    pixels: NDArray[Any],
    *,
    gains: Sequence[float] = (1.0, 1.0, 1.0),
    matrix: Sequence[Sequence[float]] = IDENTITY,
    exif: bytes | None = None,
    overwrite: bool = True,
) -> None:
    """Writes an sRGB picture as linear light in a camera's own colours, so that its white balance can be changed.

    A RAW converter that takes the file's white balance and matrix gives the same sRGB picture again, to the rounding
    of 16 bit in linear light.

    Args:
        path: The file.
        pixels: ``(H, W, 3)`` sRGB, uint8 or uint16.
        gains: White balance of R, G and B, in the camera's colours.
        matrix: Balanced camera RGB to linear sRGB.
        exif: EXIF of the picture.
        overwrite: Whether it may be there already.

    Raises:
        PictureError: If it cannot be written, or is there and not to be overwritten.
    """
    with _one_sentence(path), atomic_write(Path(path), overwrite) as temporary:
        put_linear_dng(temporary, pixels, gains=gains, matrix=matrix, exif=exif)


def put_linear_dng(
    path: Path,
    pixels: NDArray[Any],
    *,
    gains: Sequence[float] = (1.0, 1.0, 1.0),
    matrix: Sequence[Sequence[float]] = IDENTITY,
    exif: bytes | None = None,
) -> None:
    """What ``write_linear_dng`` writes; the file may stay half written."""
    # Some rows at a time: in floating point, the whole picture would be four times as large.
    linear = np.empty(pixels.shape, np.uint16)
    for row in range(0, len(pixels), _ROWS):
        part = torch.from_numpy(pixels[row : row + _ROWS].astype(np.float32) / np.iinfo(pixels.dtype).max)
        camera = undevelop(part.movedim(-1, 0), gains, matrix).clamp(0, 1)
        linear[row : row + _ROWS] = to_levels(camera.movedim(0, -1), 16).numpy()
    _put(path, linear, LINEAR, 0, gains, matrix, exif)


def write_mosaic_dng(
    path: AnyPath,
    mosaic: Tensor,
    *,
    pattern: str = "RGGB",
    like: RawPicture | None = None,
    exif: bytes | None = None,
    overwrite: bool = True,
) -> None:
    """Writes a Bayer mosaic, which ``read_raw`` reads again to the rounding of 16 bit.

    Args:
        path: The file.
        mosaic: ``(1, H, W)``, linear: black is 0 and white 1.
        pattern: Colours of its first four pixels.
        like: The picture whose white balance, matrix and turn the file is to name.
        exif: EXIF of the picture.
        overwrite: Whether it may be there already.

    Raises:
        PictureError: If it cannot be written, or is there and not to be overwritten.
        ValueError: If the pattern is none.
    """
    if pattern not in PATTERNS:
        raise ValueError(f"{pattern!r} is not a Bayer pattern; choose one of {', '.join(PATTERNS)}")
    like = like or RawPicture(mosaic, pattern)
    share = _PEDESTAL / 65535
    samples = to_levels((share + (1 - share) * mosaic[0]).clamp(0, 1), 16).numpy()
    tags = [
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, tuple("RGB".index(colour) for colour in pattern), True),
        (50730, "2i", 1, _ratios([like.baseline_exposure]), True),
    ]
    with _one_sentence(path), atomic_write(Path(path), overwrite) as temporary:
        _put(temporary, samples, MOSAIC, _PEDESTAL, like.gains, like.matrix, exif, like.flip, tags)


def _put(
    path: Path,
    samples: NDArray[np.uint16],
    kind: int,
    black: int,
    gains: Sequence[float],
    matrix: Sequence[Sequence[float]],
    exif: bytes | None,
    flip: int = 0,
    more: Sequence[tuple[Any, ...]] = (),
) -> None:
    import tifffile

    described = exif_with_size(exif or b"", *samples.shape[:2])
    planes = samples.shape[2] if samples.ndim == 3 else 1
    neutral = 1 / np.asarray(gains, dtype=np.float64)
    neutral /= neutral.max()
    # The matrix takes D65, the white of screens, to the camera's neutral.
    from_srgb = neutral[:, None] * np.linalg.inv(np.asarray(matrix, dtype=np.float64))
    from_xyz = from_srgb @ np.linalg.inv(np.asarray(SRGB_TO_XYZ))
    tags = [
        (50706, "B", 4, (1, 4, 0, 0), True),  # version
        (50707, "B", 4, (1, 1, 0, 0), True),  # oldest version that reads it
        (50708, "s", 0, " ".join(str(described[tag]) for tag in _CAMERA if tag in described) or "sr_lightning", True),
        (50714, "H", planes, (black,) * planes, True),
        (50717, "H", planes, (65535,) * planes, True),
        (50721, "2i", 9, _ratios(from_xyz.ravel()), True),
        (50728, "2I", 3, _ratios(neutral), True),
        (50778, "H", 1, _D65, True),
        (274, "H", 1, _ORIENTATION[flip], True),
        *more,
    ]
    options = tiff_options(described)
    options["extratags"] = [*tags, *(tag for tag in options["extratags"] if tag[0] != 274)]
    tifffile.imwrite(path, samples, photometric=kind, planarconfig="contig", byteorder="<", metadata=None, **options)
    append_folders(path, described)


@contextmanager
def _one_sentence(path: AnyPath) -> Iterator[None]:
    """Turns every error of writing into a ``PictureError``."""
    try:
        yield
    except (OSError, ValueError, struct.error) as error:
        raise PictureError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from None


def _ratios(values: Sequence[float] | NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(number for value in values for number in (round(float(value) * _DENOMINATOR), _DENOMINATOR))
