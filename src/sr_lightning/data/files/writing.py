"""Writes photos with their metadata, as far as the format holds it. A file is written whole or not at all."""

import io
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.atomic import AnyPath, atomic_write, temporary_beside
from sr_lightning.data.files.exif import append_folders, exif_with_size, tiff_options
from sr_lightning.data.files.formats import APNG, FORMATS_16_BIT, JPEG, NETPBM, TIFF
from sr_lightning.data.files.io import Photo, is_opaque, to_uint8
from sr_lightning.data.files.metadata import SHAPE, photoshop_block, xmp_with_size
from sr_lightning.data.files.png_chunks import (
    COLOURS,
    HEADER,
    SIGNATURE,
    WithChunks,
    as_raw_profile,
    is_ratio,
    is_srgb,
    packed,
    with_words,
)
from sr_lightning.errors import PictureError
from sr_lightning.functional import to_levels

_ALPHA = (*APNG, *TIFF, ".webp", ".avif", ".gif")
#: The fields of ``Metadata`` that some formats cannot hold, and the users' words for them.
_WORDS = {
    "icc": "its colour profile",
    "exif": "EXIF",
    "xmp": "XMP",
    "iptc": "IPTC",
    "comment": "its comment",
    "chunks": "its words",
}
_NO_PLACE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(APNG, ()),
    ".gif": ("exif", "iptc", "chunks"),  # whose words are one comment
    **dict.fromkeys(JPEG, ("chunks",)),
    **dict.fromkeys(TIFF, ("comment", "chunks")),
    **dict.fromkeys((".webp", ".avif"), ("iptc", "comment", "chunks")),
    **dict.fromkeys((".bmp", *NETPBM), tuple(_WORDS)),
    ".dng": ("iptc", "comment", "chunks"),  # and its colours are the camera's
}
_SEGMENT = 65533  # bytes of a part of a JPEG
_QUALITY = 95
#: Bytes of 16-bit pixels up to which a PNG is encoded in memory.
_IN_MEMORY = 256 * 2**20
#: Pixels of a PNG from which on its encoder is chosen by a sample of so many parts of so many rows.
_LARGE, _SAMPLES, _ROWS = 250_000, 6, 6


def fit_to_format(path: AnyPath, photo: Photo) -> tuple[Photo, tuple[str, ...]]:
    """Reduces a photo to what a file format can hold, and lists in words what is lost.

    Raises:
        PictureError: If the format would show another picture: without opacity, or in other colours.
    """
    ending = Path(path).suffix.lower()
    if photo.alpha is not None and ending not in _ALPHA:
        if not is_opaque(photo):
            raise PictureError(f"{path}: this format holds no transparency; choose format=png, tif or webp")
        photo = replace(photo, alpha=None)
    metadata: Any = photo.metadata
    if ending == ".dng" and metadata.camera is None and metadata.icc:
        raise PictureError(
            f"{path}: a DNG holds a camera's colours, and this picture has those of its own profile; choose format=tif"
        )
    if ending not in APNG and metadata.icc is None and not is_srgb(metadata.chunks):
        kinds = " ".join(sorted(kind.decode() for kind, _ in metadata.chunks if kind in COLOURS))
        raise PictureError(f"{path}: what its colours mean ({kinds}) has no place in this format; choose format=png")
    lost = []
    for name in _NO_PLACE.get(ending, ()):
        value = getattr(metadata, name)
        if name == "chunks":
            value = [kind for kind, _ in value if kind.endswith(b"Xt")]
        if value:
            lost.append(_WORDS[name])
        metadata = replace(metadata, **{name: () if name == "chunks" else None})
    if ending not in APNG and any(kind == b"pHYs" and is_ratio(data) for kind, data in photo.metadata.chunks):
        lost.append(SHAPE)
    for name in ("exif", "xmp", "iptc", "comment") if ending in JPEG else ():
        if len(getattr(metadata, name) or b"") > _SEGMENT - 40:
            lost.append(f"{_WORDS[name]}, which is too long for a JPEG")
            metadata = replace(metadata, **{name: None})
    return replace(photo, metadata=metadata), tuple(lost)


def write_photo(path: AnyPath, photo: Photo, overwrite: bool = True, quality: int | None = None) -> None:
    """Writes a photo in the format of the file's ending: PNG, TIFF, DNG and PPM in 8 or 16 bit, others in 8 bit.

    What the format has no place for is left out; ``fit_to_format`` tells what that is.

    Args:
        path: The file.
        photo: What to write.
        overwrite: Whether it may be there already.
        quality: 1 to 100, of JPEG, WebP and AVIF; by default 95, and lossless for what was a lossless WebP.

    Raises:
        PictureError: If the format cannot show the picture, or the file cannot be written, or is there and not to be
            overwritten.
    """
    path = Path(path)
    photo, _ = fit_to_format(path, photo)
    ending = path.suffix.lower()
    if ending not in FORMATS_16_BIT:
        photo = replace(photo, pixels=to_uint8(photo.pixels))
    try:
        with atomic_write(path, overwrite) as temporary:
            if ending == ".png":
                write_png(temporary, photo)
            elif ending in TIFF:
                _write_tiff(temporary, photo)
            elif ending == ".dng":
                _write_dng(temporary, photo)
            elif photo.pixels.dtype == np.uint16:
                temporary.write_bytes(_encoded(".pgm" if photo.pixels.shape[-1] == 1 else ".ppm", photo.pixels).data)
            else:
                image_of(photo).save(temporary, **options_of(ending, photo, quality))
    except (OSError, ValueError, KeyError, cv2.error, struct.error) as error:
        raise PictureError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from None


def together(photo: Photo) -> NDArray[Any]:
    """Pixels and opacity ``(H, W, C)``."""
    if photo.alpha is None:
        return photo.pixels
    alpha = to_uint8(photo.alpha) if photo.pixels.dtype == np.uint8 else photo.alpha
    return np.concatenate([photo.pixels, alpha], axis=-1)


def image_of(photo: Photo) -> Image.Image:
    """The picture as Pillow's."""
    pixels = together(photo)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def exif_of(photo: Photo, with_dpi: bool = False) -> Image.Exif:
    """EXIF with the new size; ``with_dpi`` adds the resolution, for formats that have no other place for it."""
    exif = exif_with_size(photo.metadata.exif or b"", *photo.pixels.shape[:2])
    if with_dpi and photo.metadata.dpi and 0x011A not in exif:
        exif.update({0x011A: photo.metadata.dpi[0], 0x011B: photo.metadata.dpi[1], 0x0128: 2})
    return exif


def xmp_of(photo: Photo) -> bytes | None:
    """XMP with the new size."""
    return xmp_with_size(photo.metadata.xmp, *photo.pixels.shape[:2]) if photo.metadata.xmp else None


def options_of(ending: str, photo: Photo, quality: int | None) -> dict[str, Any]:
    """Arguments of Pillow."""
    metadata = photo.metadata
    if ending in (".bmp", *NETPBM):
        return {"dpi": metadata.dpi} if metadata.dpi and ending == ".bmp" else {}
    options: dict[str, Any] = {"quality": quality or _QUALITY}
    if ending == ".webp":
        options |= {"exact": True, "lossless": metadata.lossless and quality is None}
    elif ending == ".avif":
        options |= {} if photo.pixels.shape[-1] == 1 else {"subsampling": "4:4:4"}
    else:
        options |= {"subsampling": 0, "dpi": metadata.dpi or (0, 0)}
        options |= {"comment": metadata.comment} if metadata.comment else {}
        options |= {"extra": _photoshop_segment(metadata.iptc)} if metadata.iptc else {}
    exif = exif_of(photo, with_dpi=ending not in JPEG)
    options |= {"exif": exif} if len(exif) else {}
    options |= {"xmp": xmp} if (xmp := xmp_of(photo)) else {}
    return options | ({"icc_profile": metadata.icc} if metadata.icc else {})


def _photoshop_segment(iptc: bytes) -> bytes:
    content = b"Photoshop 3.0\0" + photoshop_block(iptc)
    return b"\xff\xed" + struct.pack(">H", 2 + len(content)) + content


def write_png(path: Path, photo: Photo) -> None:
    """Writes a PNG of 8 or 16 bit with its metadata; the file may stay half written."""
    chunks = png_chunks_of(photo)
    if photo.pixels.dtype == np.uint8:
        with WithChunks(path.open("wb", buffering=0)) as whole_file:
            whole_file.chunks = chunks
            image = image_of(photo)
            # 2 % larger than by zlib's usual 6, in a third of the time.
            image.save(whole_file, "PNG", compress_level=4, compress_type=_png_strategy(image))
        return
    pixels = together(photo)
    if pixels.nbytes > _IN_MEMORY and pixels.shape[-1] != 2:
        _write_large_png(path, pixels, chunks)
        return
    encoded = _encoded_grey_alpha(pixels) if pixels.shape[-1] == 2 else _encoded(".png", pixels)
    with path.open("wb") as file:  # in parts: joined, they would be there twice
        for part in (encoded[:HEADER].data, chunks, encoded[HEADER:].data):
            file.write(part)


def _write_large_png(path: Path, pixels: NDArray[np.uint16], chunks: bytes) -> None:
    """Encodes into a file, because encoded in memory, the picture would be there three times."""
    with temporary_beside(path) as encoded:
        if not cv2.imwrite(str(encoded), pixels[..., _for_opencv(pixels)]):
            raise ValueError("the encoder failed; is the disk full?")
        with encoded.open("rb") as source, path.open("wb") as file:
            file.write(source.read(HEADER))
            file.write(chunks)
            shutil.copyfileobj(source, file)


def _png_strategy(image: Image.Image) -> int:
    """What zlib looks for: runs alone where more does not pay, as in photographs, and takes twice as long.

    A few rows of a large picture tell: drawings and pages of text would become far larger.
    """
    if image.height * image.width < _LARGE:
        return zlib.Z_FILTERED
    tops = range(0, max(1, image.height - _ROWS), max(1, image.height // _SAMPLES))
    sample = Image.new(image.mode, (image.width, _ROWS * len(tops)))
    for number, top in enumerate(tops):
        sample.paste(image.crop((0, top, image.width, top + _ROWS)), (0, _ROWS * number))
    sizes = {}
    for strategy in (zlib.Z_FILTERED, zlib.Z_RLE):
        with io.BytesIO() as file:
            sample.save(file, "PNG", compress_level=4, compress_type=strategy)
            sizes[strategy] = file.tell()
    return zlib.Z_RLE if sizes[zlib.Z_RLE] <= 1.02 * sizes[zlib.Z_FILTERED] else zlib.Z_FILTERED


def _for_opencv(pixels: NDArray[Any]) -> list[int]:
    """The order of its channels."""
    return [0] if pixels.shape[-1] == 1 else [2, 1, 0, 3][: pixels.shape[-1]]


def _encoded(ending: str, pixels: NDArray[Any]) -> NDArray[np.uint8]:
    done, encoded = cv2.imencode(ending, pixels[..., _for_opencv(pixels)])
    if not done:
        raise ValueError("the encoder failed")
    return encoded


def _encoded_grey_alpha(pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """A PNG of 16-bit grey with opacity, which neither OpenCV nor Pillow writes."""
    height, width = pixels.shape[:2]
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    above = np.zeros_like(rows)
    above[1:] = rows[:-1]
    lines = np.insert(rows - above, 0, 2, axis=1)  # filter 2: what differs from the row above
    header = packed(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0))
    body = packed(b"IDAT", zlib.compress(lines.data, 4)) + packed(b"IEND", b"")
    return np.frombuffer(SIGNATURE + header + body, np.uint8)


def png_chunks_of(photo: Photo) -> bytes:
    """The metadata of a picture as PNG chunks, which follow the header."""
    metadata = photo.metadata
    chunks = [chunk for chunk in metadata.chunks if not (metadata.icc and chunk[0] == b"sRGB")]
    if metadata.icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    kinds = {kind for kind, _ in chunks}
    if metadata.dpi and b"pHYs" not in kinds:
        across, down = (round(value / 0.0254) for value in metadata.dpi)
        chunks.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif:
        chunks.append((b"eXIf", exif_of(photo).tobytes().removeprefix(b"Exif\0\0")))
    if xmp := xmp_of(photo):
        chunks.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    if metadata.iptc:
        chunks.append(as_raw_profile(b"iptc", photoshop_block(metadata.iptc)))
    if metadata.comment:
        chunks.append(with_words(b"Comment", metadata.comment))
    return b"".join(packed(kind, data) for kind, data in chunks)


def _write_tiff(path: Path, photo: Photo) -> None:
    import tifffile

    exif = exif_of(photo, with_dpi=True)
    write_tiff_page(partial(tifffile.imwrite, path, byteorder="<"), photo, exif)
    append_folders(path, exif)


def _write_dng(path: Path, photo: Photo) -> None:
    from sr_lightning.data.files.raw.write_dng import put_linear_dng

    metadata = photo.metadata
    camera = {} if metadata.camera is None else metadata.camera._asdict()
    pixels = photo.pixels if photo.pixels.shape[-1] == 3 else photo.pixels.repeat(3, axis=-1)
    put_linear_dng(path, pixels, exif=metadata.exif, **camera)


def write_tiff_page(write: Callable[..., object], photo: Photo, exif: Image.Exif, **more: Any) -> None:
    """Writes a page of a TIFF, but for the sub-directories of its EXIF.

    Args:
        write: Of tifffile: what takes the pixels.
        photo: What to write.
        exif: The EXIF for its size.
        more: Further arguments of ``write``.
    """
    metadata, pixels = photo.metadata, together(photo)
    options = tiff_options(exif)
    for tag, data in ((700, xmp_of(photo)), (33723, metadata.iptc)):
        if data:
            options["extratags"].append((tag, "B", len(data), data, True))
    write(
        pixels[..., 0] if pixels.shape[-1] == 1 else pixels,
        photometric="rgb" if photo.pixels.shape[-1] == 3 else "minisblack",
        planarconfig="contig",
        extrasamples=None if photo.alpha is None else ["unassalpha"],
        iccprofile=metadata.icc,
        compression="zlib",
        metadata=None,
        **options,
        **more,
    )


def quantize(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Floating point in [0, 1] to the nearest of 256 or 65536 levels.

    Example:
        >>> quantize(np.array([-0.1, 0.5, 1.2]), 8)
        array([  0, 128, 255], dtype=uint8)
    """
    return to_levels(torch.from_numpy(np.ascontiguousarray(values)), bits).numpy()
