"""Reads camera RAW files as linear mosaics. No other module opens RAW files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.atomic import AnyPath
from sr_lightning.errors import PictureError
from sr_lightning.functional.bayer import PATTERNS
from sr_lightning.functional.isp import SRGB_TO_XYZ

_ENDINGS = "3fr arw cr2 cr3 crw dcr dng erf iiq kdc mef mos mrw nef nrw orf pef qtk raf raw rw2 rwl sr2 srf srw x3f"
EXTENSIONS = frozenset(f".{ending}" for ending in _ENDINGS.split())
#: The sRGB curve as parameters of LibRaw, whose default is the curve of BT.709, which is darker.
SRGB_CURVE = (2.4, 12.92)
IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

# Beginnings of what cameras write as .raw; a file of bare samples has none, and LibRaw then guesses by its size.
_TIFF_LIKE = (b"II*\0", b"MM\0*", b"IIU\0", b"IIRO", b"IIRS")


@dataclass(frozen=True)
class RawPicture:
    """A sensor's picture.

    Attributes:
        mosaic: ``(1, H, W)`` float32, linear: black is 0 and white 1; noise may lie below, nothing is clipped.
        pattern: Colours of the first four pixels, such as ``"RGGB"``.
        gains: White balance of R, G, B as shot, green 1.
        matrix: Balanced camera RGB to linear sRGB ``(3, 3)``, rows summing to one; identity where unknown.
        flip: Turn for display, as LibRaw counts: 0 none, 3 by 180 degrees, 5 left, 6 right.
    """

    mosaic: Tensor
    pattern: str
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    matrix: tuple[tuple[float, float, float], ...] = IDENTITY
    flip: int = 0


def is_raw(path: AnyPath) -> bool:
    """Whether a file's name ends as RAW files do.

    Example:
        >>> is_raw(Path("DSC_0001.NEF")), is_raw(Path("DSC_0001.JPG"))
        (True, False)
    """
    path = Path(path)
    return path.suffix.lower() in EXTENSIONS


def read_raw(path: AnyPath, levels: tuple[float, float] | None = None) -> RawPicture:
    """Reads the mosaic of a file that LibRaw knows, in any of the four Bayer phases.

    Where the camera noted no white balance, the one for daylight stands in, else none.

    Args:
        path: The file.
        levels: Its samples of black and white, if the file's own are not to be used.

    Raises:
        PictureError: If the file is missing, damaged, without header, or holds no Bayer mosaic of red, green and blue.
    """
    path = Path(path)
    with _opened(path) as raw:
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
        return RawPicture(torch.from_numpy(samples)[None], pattern, _gains(raw), _matrix(raw), int(raw.sizes.flip))


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


def camera_rendering(path: AnyPath, *, bits: int = 8, **options: Any) -> NDArray[Any]:
    """Renders a RAW file with LibRaw as the camera would: ``(H, W, 3)`` sRGB, uint8 or uint16.

    Args:
        path: Any file that LibRaw opens.
        bits: 8 or 16.
        options: Further ones of ``rawpy``'s ``postprocess``.

    Raises:
        PictureError: If the file cannot be read.
    """
    path = Path(path)
    with _opened(path) as raw:
        if _missing(raw.camera_whitebalance):  # as read_raw: daylight, else none
            red, green, blue = _gains(raw)
            options = {"use_camera_wb": False, "user_wb": [red, green, blue, green]} | options
        usual = {"use_camera_wb": True, "output_bps": bits, "gamma": SRGB_CURVE}
        return raw.postprocess(**(usual | options))  # type: ignore[no-any-return]


def raw_size(path: AnyPath) -> tuple[int, int]:
    """Height and width of the result of ``camera_rendering``, from the file's header alone.

    Raises:
        PictureError: If the file cannot be read.
    """
    path = Path(path)
    with _opened(path, unpack=False) as raw:
        sizes = raw.sizes
        return (sizes.iwidth, sizes.iheight) if sizes.flip & 4 else (sizes.iheight, sizes.iwidth)


@contextmanager
def _opened(path: Path, unpack: bool = True) -> Iterator[Any]:
    """A file with its samples unpacked; every failure of LibRaw, also later, is a ``PictureError``."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if path.suffix.lower() == ".raw" and start not in _TIFF_LIKE:
            raise PictureError(
                f"{path}: bare samples without a header; "
                "say what they are with sr_lightning.data.files.raw.read_headerless"
            )
        with rawpy.imread(str(path)) as raw:
            if unpack:
                raw.unpack()
            yield raw
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (rawpy.LibRawError, RuntimeError) as error:  # rawpy's own are plain RuntimeErrors
        raise PictureError(f"{path}: no RAW file that LibRaw can read ({_text(error)})") from None


def _text(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


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


def _missing(gains: Sequence[float]) -> bool:
    return not all(gain > 0 and np.isfinite(gain) for gain in gains[:3])


def _gains(raw: Any) -> tuple[float, float, float]:
    for gains in (raw.camera_whitebalance, raw.daylight_whitebalance):
        if not _missing(gains):
            red, green, blue, green_2 = gains
            green = (green + green_2) / 2 if green_2 > 0 else green
            return red / green, 1.0, blue / green
    return 1.0, 1.0, 1.0


def _matrix(raw: Any) -> tuple[tuple[float, float, float], ...]:
    """The file's camera-to-sRGB matrix, or the one that its XYZ-to-camera matrix implies."""
    matrix = np.asarray(raw.color_matrix, dtype=np.float64)[:, :3]
    if not matrix.any():
        from_xyz = np.asarray(raw.rgb_xyz_matrix, dtype=np.float64)[:3]
        if not from_xyz.any():
            return IDENTITY
        from_srgb = from_xyz @ np.asarray(SRGB_TO_XYZ)
        matrix = np.linalg.inv(from_srgb / from_srgb.sum(axis=1, keepdims=True))
    return tuple((float(r), float(g), float(b)) for r, g, b in matrix / matrix.sum(axis=1, keepdims=True))
