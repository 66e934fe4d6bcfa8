"""Reads camera RAW files as linear mosaics."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
import torch

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.raw.colours import balance_of, matrix_of
from sr_lightning.data.files.raw.opening import opened
from sr_lightning.data.files.raw.picture import IDENTITY, RawPicture
from sr_lightning.errors import PictureError
from sr_lightning.functional.bayer import PATTERNS


def read_raw(
    path: AnyPath, levels: tuple[float, float] | None = None, white_balance: str | Sequence[float] = "camera"
) -> RawPicture:
    """Reads the mosaic of a file that LibRaw knows, in any of the four Bayer phases.


    Args:
        path: The file.
        levels: Its samples of black and white, if the file's own are not to be used.
        white_balance: See ``Development``.

    Raises:
        PictureError: If the file is missing, damaged, without header, or holds no Bayer mosaic of red, green and blue.
    """
    path = Path(path)
    with opened(path) as raw:
        pattern = _pattern(path, raw)
        samples = raw.raw_image_visible.astype(np.float32)
        colours = raw.raw_colors_visible
        black = np.asarray(raw.black_level_per_channel, dtype=np.float32)
        white = float(raw.white_level)
        if levels is not None:
            black, white = np.full_like(black, levels[0]), float(levels[1])
        if white <= black.max():
            raise PictureError(f"{path}: its white level {white:.0f} is not above its black level {black.max():.0f}")
        samples = (samples - black[colours]) / (white - black[colours])
        return RawPicture(
            torch.from_numpy(samples)[None],
            pattern,
            balance_of(raw, white_balance),
            matrix_of(raw),
            int(raw.sizes.flip),
        )


def has_bayer_mosaic(path: AnyPath) -> bool:
    """Whether a file holds a Bayer mosaic of red, green and blue; False for one that cannot be read, too."""
    path = Path(path)
    try:
        with opened(path) as raw:
            _pattern(path, raw)
    except PictureError:
        return False
    return True


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


def _pattern(path: Path, raw: Any) -> str:
    """Colours of the first 2x2 visible pixels; anything but a Bayer mosaic is refused by name."""
    if raw.raw_type != rawpy.RawType.Flat:
        raise PictureError(f"{path}: holds {raw.raw_image.shape[-1]} channels at each pixel and no Bayer mosaic")
    layout = None if raw.raw_pattern is None else raw.raw_pattern.shape
    if layout != (2, 2):
        what = "no colour filter array" if layout is None else f"a {layout[0]}x{layout[1]} colour filter array"
        raise PictureError(f"{path}: has {what} instead of a 2x2 Bayer pattern")
    names = raw.color_desc.decode()
    pattern = "".join(names[colour] for colour in raw.raw_colors_visible[:2, :2].ravel())
    if pattern not in PATTERNS:
        raise PictureError(f"{path}: has the filters {pattern}, which are no Bayer pattern of red, green and blue")
    return pattern
