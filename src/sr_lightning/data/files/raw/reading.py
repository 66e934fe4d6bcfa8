"""Reads camera RAW files as linear mosaics."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rawpy
import torch

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.raw.colours import balance_of, matrix_of
from sr_lightning.data.files.raw.corrections import black_levels
from sr_lightning.data.files.raw.linear import has_red_green_blue, sampled_again
from sr_lightning.data.files.raw.opening import opened
from sr_lightning.data.files.raw.picture import IDENTITY, RawPicture
from sr_lightning.data.files.raw.raw_file import RawFile
from sr_lightning.errors import PictureError
from sr_lightning.functional.bayer import PATTERNS


def read_raw(
    path: AnyPath, levels: tuple[float, float] | None = None, white_balance: str | Sequence[float] = "camera"
) -> RawPicture:
    """Reads the mosaic of a file that LibRaw knows, in any of the four Bayer phases.

    Files of other sensors, of linear colours, or of pixels that are not square, are demosaiced by LibRaw and sampled
    again as RGGB, with a warning. A monochrome sensor's samples stand for all colours. A DNG's gains and black levels
    are applied, and its default crop; its lens's distortion stays, with a warning.

    Args:
        path: The file.
        levels: Its samples of black and white, if the file's own are not to be used.
        white_balance: See ``Development``.

    Raises:
        PictureError: If the file is missing, damaged, without header, or has colour filters that nobody here knows.
    """
    path = Path(path)
    with opened(path) as raw:
        if raw.warps:
            warnings.warn(f"{path}: WarpRectilinear is for pictures, and is not applied to the mosaic", stacklevel=2)
        what = _unlike_bayer(raw)
        if what is not None:
            return sampled_again(raw, what, levels, white_balance)
        crop = raw.crop(*raw.raw_image_visible.shape)
        black, white = np.atleast_2d(black_levels(raw, raw.tags)), float(raw.white_level)
        black = black[crop] if black.shape[0] > 1 else black
        if levels is not None:
            black, white = np.array([[levels[0]]], np.float32), float(levels[1])
        if white <= black.max():
            raise PictureError(f"{path}: its white level {white:.0f} is not above its black level {black.max():.0f}")
        samples = (raw.raw_image_visible[crop].astype(np.float32) - black) / (white - black)
        grey = raw.num_colors == 1
        return RawPicture(
            torch.from_numpy(samples)[None],
            "RGGB" if grey else _pattern(raw, crop),
            (1.0, 1.0, 1.0) if grey else balance_of(raw, white_balance),
            IDENTITY if grey else matrix_of(raw),
            raw.flip,
            raw.baseline_exposure,
        )


def has_bayer_mosaic(path: AnyPath) -> bool:
    """Whether a file holds a Bayer mosaic of red, green and blue, and no distortion that only renderings can lose.

    False for a file that cannot be read, too.
    """
    path = Path(path)
    try:
        with opened(path, aloud=False) as raw:
            return _unlike_bayer(raw) is None and raw.num_colors == 3 and not raw.warps
    except PictureError:
        return False


def read_headerless(
    path: AnyPath,
    height: int,
    width: int,
    *,
    pattern: str = "RGGB",
    black: float = 0,
    white: float = 65535,
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0),
    matrix: tuple[tuple[float, float, float], ...] = IDENTITY,
) -> RawPicture:
    """Reads 16-bit little-endian samples from a file without a header. Arguments replace the header.

    Raises:
        PictureError: If the file has another number of samples, or cannot be read.
        ValueError: If the pattern is none.
    """
    path = Path(path)
    if pattern not in PATTERNS:
        raise ValueError(f"{pattern!r} is not a Bayer pattern; choose one of {', '.join(PATTERNS)}")
    if white <= black:
        raise ValueError(f"white={white} must be above black={black}")
    try:
        samples = np.fromfile(path, dtype="<u2")
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror})") from None
    if samples.size != height * width:
        raise PictureError(f"{path}: has {samples.size} samples, not {height}x{width}")
    linear = (samples.reshape(1, height, width).astype(np.float32) - black) / (white - black)
    return RawPicture(torch.from_numpy(linear), pattern, gains, matrix)


def _unlike_bayer(raw: RawFile) -> str | None:
    """What a file has in place of a Bayer mosaic of square pixels; None if it has one, or samples without colour."""
    if raw.raw_type != rawpy.RawType.Flat:
        return "red, green and blue at each pixel"
    if raw.sizes.pixel_aspect != 1:
        return "pixels that are not square"
    if raw.num_colors == 1:
        return None
    if raw.raw_pattern.shape != (2, 2):
        return "a {}x{} colour filter array".format(*raw.raw_pattern.shape)
    if not has_red_green_blue(raw) or _pattern(raw) not in PATTERNS:
        return "filters of other colours than red, green and blue"
    return None


def _pattern(raw: RawFile, crop: tuple[slice, slice] = (slice(None), slice(None))) -> str:
    """Colours of the first 2x2 samples."""
    names = raw.color_desc.decode()
    return "".join(names[colour] for colour in raw.raw_colors_visible[crop][:2, :2].ravel())
