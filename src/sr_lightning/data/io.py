"""Picture files to arrays; the only file that opens pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from sr_lightning.errors import DataError, PictureError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})

_GREY, _COLOUR = ("1", "L"), ("RGB", "P", "CMYK", "YCbCr")
# EXIF orientation: (transpose, flip rows, flip columns), applied in this order.
_ORIENTATION = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def find_pictures(folder: Path) -> list[Path]:
    """The picture files directly in a folder, sorted by name.

    Raises:
        DataError: If there is no such folder or no picture in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and not p.name.startswith("."))
    if not files:
        raise DataError(f"{folder}: no pictures in this folder (known endings: {' '.join(sorted(EXTENSIONS))})")
    return files


def read_picture(path: Path) -> NDArray[Any]:
    """Decodes a file to ``(H, W, C)``: C is 1 or 3, the type uint8 or uint16, by the file's own depth.

    Palettes and CMYK become RGB, EXIF rotation is applied, an opaque alpha channel is dropped.

    Raises:
        PictureError: If the file is missing, damaged, transparent, animated or of a kind without colours in 8 or 16 bit.
    """
    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                raise PictureError(f"{path}: holds {image.n_frames} pictures; extract the one you want")  # type: ignore[attr-defined]
            deep = _is_16bit(path, image)
            orientation = image.getexif().get(0x0112, 1)
            pixels = _decode_16bit(path) if deep else _decode_8bit(path, image)
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise PictureError(f"{path}: not a picture, or damaged beyond its header") from None
    # Pillow's decoders raise whatever they trip over; a damaged file must never end in a traceback.
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, Image.DecompressionBombError) as error:
        raise PictureError(f"{path}: cannot be decoded ({error})") from None
    return _turn(_without_alpha(path, pixels), orientation)


def to_uint8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """16 bit to 8 bit, rounded to the nearest level; 8 bit stays as it is.

    Example:
        >>> to_uint8(np.array([0, 128, 129, 65535], dtype=np.uint16))
        array([  0,   0,   1, 255], dtype=uint8)
    """
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Writes ``(H, W, C)`` uint8, grey or RGB, in the format of the file's ending; never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _is_16bit(path: Path, image: Image.Image) -> bool:
    """By the file's declared depth: a dark 16-bit picture is still one."""
    if image.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24:] == b"\x10"
    if image.format == "TIFF":
        return 16 in image.tag_v2.get(258, ()) and 339 not in image.tag_v2 or image.mode.startswith("I;16")  # type: ignore[attr-defined]
    return image.mode.startswith("I;16") or (image.format == "PPM" and image.mode == "I")


def _decode_8bit(path: Path, image: Image.Image) -> NDArray[Any]:
    has_alpha = "A" in image.mode or "transparency" in image.info
    if image.mode in _GREY and not has_alpha:
        return np.asarray(image.convert("L"))[..., None]
    if has_alpha:
        return np.asarray(image.convert("RGBA"))
    if image.mode in _COLOUR:
        return np.asarray(image.convert("RGB"))
    raise PictureError(f"{path}: pixels of kind {image.mode!r} are neither 8 nor 16 bit; convert the file to PNG")


def _decode_16bit(path: Path) -> NDArray[Any]:
    import cv2  # Pillow reduces 16-bit colour to 8 bit without a word

    data = np.fromfile(path, dtype=np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise PictureError(f"{path}: a 16-bit file that cannot be decoded, or is damaged")
    if pixels.ndim == 2:
        return pixels[..., None]
    order = [2, 1, 0, 3][: pixels.shape[2]]  # OpenCV has blue first
    return np.ascontiguousarray(pixels[..., order])


def _without_alpha(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.shape[2] in (1, 3):
        return pixels
    if pixels[..., -1].min() < np.iinfo(pixels.dtype).max:
        raise PictureError(f"{path}: has transparent pixels; flatten the picture onto a background first")
    return pixels[..., :-1]


def _turn(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    transpose, rows, columns = _ORIENTATION.get(orientation, (False, False, False))
    if transpose:
        pixels = pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels[:: -1 if rows else 1, :: -1 if columns else 1])
