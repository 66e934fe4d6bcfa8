"""Photos to files, with transparency, colour profile and EXIF; whole or not at all."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.data.exif import append_folders, sized_exif, tiff_options
from sr_lightning.data.io import Photo, to_uint8
from sr_lightning.errors import PictureError
from sr_lightning.files import AnyPath, whole

_ALPHA = (".png", ".tif", ".tiff", ".webp")
DEEP = (".png", ".tif", ".tiff", ".ppm", ".pgm")  # hold 16 bit
WRITABLE = frozenset({*DEEP, ".jpg", ".jpeg", ".webp", ".bmp"})
LARGEST = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}  # pixels of a side
_OPTIONS: dict[str, dict[str, Any]] = {
    ".png": {"compress_level": 4},  # 2 % larger than by zlib's usual 6, in a third of the time
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"quality": 95, "exact": True},
}


def write_photo(path: AnyPath, photo: Photo, overwrite: bool = True) -> None:
    """Writes a photo in the format of the file's ending: PNG and TIFF in 8 or 16 bit, others in 8 bit.

    Raises:
        PictureError: If the format holds no transparency and the photo has some, or the file cannot be written, or is
            there and not to be overwritten.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if photo.alpha is not None and ending not in _ALPHA:
        raise PictureError(f"{path}: this format holds no transparency; write a PNG, TIFF or WebP")
    write = _write_16bit if photo.pixels.dtype == np.uint16 and ending in DEEP else _write_8bit
    try:
        with whole(path, overwrite) as temporary:
            write(temporary, photo)
    except (OSError, ValueError, KeyError, cv2.error) as error:
        raise PictureError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from None


def _write_8bit(path: Path, photo: Photo) -> None:
    pixels = to_uint8(photo.pixels)
    if photo.alpha is not None:
        pixels = np.concatenate([pixels, to_uint8(photo.alpha)], axis=-1)
    extra: dict[str, Any] = {"icc_profile": photo.icc} if photo.icc else {}
    if photo.exif:
        extra["exif"] = _notes(photo)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.save(path, **_OPTIONS.get(path.suffix.lower(), {}), **extra)


def _write_16bit(path: Path, photo: Photo) -> None:
    pixels = photo.pixels if photo.alpha is None else np.concatenate([photo.pixels, photo.alpha], axis=-1)
    if path.suffix.lower() in (".tif", ".tiff"):
        _write_16bit_tiff(path, photo, pixels)
        return
    if pixels.shape[-1] == 2 and photo.icc:  # a profile of grey does not fit four channels
        photo = replace(photo, icc=None)
    if pixels.shape[-1] == 2:  # OpenCV writes no grey with alpha
        pixels = np.concatenate([pixels[..., :1].repeat(3, axis=-1), pixels[..., 1:]], axis=-1)
    order = [0] if pixels.shape[-1] == 1 else [2, 1, 0, 3][: pixels.shape[-1]]
    done, encoded = cv2.imencode(path.suffix.lower(), pixels[..., order])
    if not done:
        raise ValueError("the encoder failed")
    if path.suffix.lower() != ".png":
        path.write_bytes(encoded.data)
        return
    header = 8 + 25  # signature and IHDR
    with path.open("wb") as file:  # in parts: joined, they would be there twice
        for part in (encoded[:header].data, _chunks(photo), encoded[header:].data):
            file.write(part)


def _write_16bit_tiff(path: Path, photo: Photo, pixels: NDArray[Any]) -> None:
    import tifffile

    notes = _notes(photo)
    tifffile.imwrite(
        path,
        pixels[..., 0] if pixels.shape[-1] == 1 else pixels,
        byteorder="<",
        photometric="rgb" if photo.pixels.shape[-1] == 3 else "minisblack",
        planarconfig="contig",
        extrasamples=None if photo.alpha is None else ["unassalpha"],
        iccprofile=photo.icc,
        compression="zlib",
        metadata=None,
        **tiff_options(notes),
    )
    append_folders(path, notes)


def _notes(photo: Photo) -> Image.Exif:
    return sized_exif(photo.exif or b"", *photo.pixels.shape[:2])


def _chunks(photo: Photo) -> bytes:
    """Colour profile and EXIF, as they stand behind the header of a PNG."""
    chunks = b""
    if photo.icc:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.icc))
    if photo.exif:
        chunks += _chunk(b"eXIf", _notes(photo).tobytes().removeprefix(b"Exif\0\0"))
    return chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def quantize(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Floating point in [0, 1] to the nearest of 256 or 65536 levels.

    Example:
        >>> quantize(np.array([-0.1, 0.5, 1.2]), 8)
        array([  0, 128, 255], dtype=uint8)
    """
    top, kind = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    values = values.astype(np.promote_types(values.dtype, np.float32), copy=False)  # 65535 is no number of float16
    levels: NDArray[Any] = np.floor(np.clip(values, 0, 1) * top + 0.5).astype(kind)
    return levels
