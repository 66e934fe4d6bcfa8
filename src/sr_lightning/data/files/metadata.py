"""Reads the metadata of picture files of every format: EXIF, XMP, IPTC, colour profile and more."""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageFile

from sr_lightning.data.files import png_chunks
from sr_lightning.data.files.exif import exif_bytes, exif_of_tiff
from sr_lightning.data.files.jpeg_quality import jpeg_quality
from sr_lightning.data.files.png_chunks import Chunk
from sr_lightning.data.files.unread_metadata import (
    colours_by_number,
    comment_in,
    extra_pictures,
    is_lossless,
    profile_in,
    unsupported_extras,
    xmp_of_gif,
)

_ORIENTATION, _IPTC_OF_TIFF, _PHOTOSHOP_OF_TIFF, _IPTC_OF_PHOTOSHOP = 0x0112, 33723, 34377, 0x0404

_XMP_OF_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
#: Keywords of PNG text chunks that hold a profile.
_PROFILES = {b"raw profile type " + name for name in (b"exif", b"app1", b"iptc", b"8bim", b"xmp", b"icc", b"icm")}
_PROFILES |= {b"xml:com.adobe.xmp"}


class CameraColours(NamedTuple):
    """What takes a camera's colours to linear sRGB: white balance, then a matrix."""

    gains: Sequence[float]
    matrix: Sequence[Sequence[float]]


@dataclass(frozen=True)
class Metadata:
    """The metadata of a picture.

    Attributes:
        icc: Colour profile, as the file holds it.
        exif: EXIF without the orientation, which has been applied.
        xmp: An XML packet with keywords, rating, edits and rights.
        iptc: IPTC-IIM records with caption, keywords and rights, which press agencies write.
        dpi: Pixels per inch, across and down.
        comment: The comment, as the bytes of the file.
        chunks: Chunks of a PNG, byte for byte: colour space, size of a pixel, texts, date. The colour code points of
            an AVIF are a chunk too.
        camera: Of a developed RAW file, for results that hold the camera's own colours.
        lossless: Whether the file is a WebP that is compressed without loss.
        jpeg_quality: Of a JPEG file, 1 to 100; None of others.
        lost: Contents that could not be read, or that a larger picture cannot keep, in words.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dpi: tuple[float, float] | None = None
    comment: bytes | None = None
    chunks: tuple[Chunk, ...] = ()
    camera: CameraColours | None = None
    lossless: bool = False
    jpeg_quality: int | None = None
    lost: tuple[str, ...] = ()


NO_METADATA = Metadata()
SHAPE = "the shape of its pixels, which are not square"


def read_exif(image: Image.Image) -> tuple[Image.Exif, int, bool]:
    """Reads EXIF without the orientation, the orientation, and whether EXIF was readable. Else it is empty.

    Raises:
        Exception: Whatever Pillow raises for a PNG that has to be decoded, because metadata may follow the pixels.
    """
    if image.format == "PNG" and "exif" not in image.info:
        image.load()
    try:
        for name in ("exif", "APP1"):  # which Pillow reads of one layout alone
            text = image.info.pop(f"Raw profile type {name}", None)
            data = b"" if text is None else png_chunks.raw_profile(text.encode("latin-1", "replace"))
            if data and not data.startswith(_XMP_OF_JPEG):
                image.info.setdefault("exif", data)
        exif = image.getexif()
        if image.format == "TIFF":  # which Pillow turns itself
            return exif_of_tiff(exif), 1, True
        orientation = exif.pop(_ORIENTATION, 1)
        if image.format == "JXL" and not getattr(image, "jpeg", False):  # which its decoder turns itself
            orientation = 1
        return exif, orientation if isinstance(orientation, int) else 1, True
    except MemoryError:
        raise
    # Pillow has an exception of its own for every kind of damage.
    except Exception:
        return Image.Exif(), 1, False


def read_metadata(path: Path | str, image: ImageFile.ImageFile, exif: Image.Exif, readable: bool = True) -> Metadata:
    """Reads the metadata of an opened picture.

    A part that cannot be read is named in ``lost``. It never costs the picture.

    Args:
        path: The file.
        image: The opened picture.
        exif: The EXIF that ``read_exif`` returned.
        readable: Whether EXIF was readable, as ``read_exif`` returned.
    """
    lost = [] if readable else ["EXIF, which cannot be read"]

    def part(name: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except MemoryError:
            raise
        except Exception:
            lost.append(f"{name}, which cannot be read")
            return None

    info, kind, encoded = image.info, image.format, exif_bytes(exif)
    if len(exif) and encoded is None and readable:
        lost.append("EXIF, which cannot be read")
    chunks = part("PNG chunks", lambda: tuple(png_chunks.read_chunks(path))) or () if kind == "PNG" else ()
    named = dict(_named(chunks, lost))
    icc = info.get("icc_profile") or named.get(b"icc") or named.get(b"icm") or profile_in(path, kind)
    if icc is None and _says_profile(path, image):
        lost.append("its colour profile, which cannot be read")
    chunks = tuple(chunk for chunk in chunks if not _is_profile(chunk))
    if kind in ("AVIF", "HEIF"):
        lost += part("its further pictures", lambda: unsupported_extras(path, image)) or []
        chunks = part("its colours", lambda: colours_by_number(path)) or ()
    if kind in ("JPEG", "MPO"):
        lost += part("its further pictures", lambda: extra_pictures(image)) or []
        across, down = info.get("jfif_density", (1, 1))
        lost += [SHAPE] if info.get("jfif_unit") == 0 and across != down else []
    return Metadata(
        icc=icc,
        exif=encoded,
        xmp=part("XMP", lambda: _xmp(info.get("xmp") or named.get(b"xmp") or xmp_of_gif(path, info.get("extension")))),
        iptc=part("IPTC", lambda: _iptc(image, named)),
        dpi=part("its resolution", lambda: _dpi(info.get("dpi"))),
        comment=part("its comment", lambda: comment_in(path, image)),
        chunks=chunks,
        lossless=kind == "WEBP" and is_lossless(path),
        jpeg_quality=part("its quality", lambda: jpeg_quality(image)),
        lost=tuple(dict.fromkeys(lost)),
    )


def photoshop_block(iptc: bytes) -> bytes:
    """IPTC as Photoshop packs it."""
    return b"8BIM" + struct.pack(">HHI", _IPTC_OF_PHOTOSHOP, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)


def _is_profile(chunk: Chunk) -> bool:
    return chunk[1].partition(b"\0")[0].lower() in _PROFILES


def _says_profile(path: Path | str, image: ImageFile.ImageFile) -> bool:
    if image.format == "PNG":
        return any(png_chunks.read_chunks(path, frozenset({b"iCCP"})))
    return any(content.startswith(b"ICC_PROFILE\0") for _, content in getattr(image, "applist", []))


def _named(chunks: tuple[Chunk, ...], lost: list[str]) -> Any:
    """Names and bytes of the profiles in the text chunks of a PNG."""
    for chunk in filter(_is_profile, chunks):
        keyword = chunk[1].partition(b"\0")[0]
        name = keyword.removeprefix(b"Raw profile type ").lower()
        try:
            text = png_chunks.words(chunk)[1]
            data = text if keyword == b"XML:com.adobe.xmp" else png_chunks.raw_profile(text)
            is_xmp = data is text or data.startswith(_XMP_OF_JPEG)
            yield (b"xmp", data.removeprefix(_XMP_OF_JPEG)) if is_xmp else (name, data)
        except ValueError:
            kind = {b"app1": "EXIF", b"xml:com.adobe.xmp": "XMP"}.get(name, name.decode("latin-1").upper())
            lost.append(f"{kind}, which cannot be read")


def _xmp(xmp: Any) -> bytes | None:
    packet = _bytes(xmp)
    return packet.rstrip(b"\0") or None if packet else None


def _iptc(image: ImageFile.ImageFile, named: dict[bytes, bytes]) -> bytes | None:
    if image.format == "TIFF":
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        # The bytes, because files often say that they are 32-bit numbers.
        return _bytes(tags._tagdata.get(_IPTC_OF_TIFF)) or _of_photoshop(tags.get(_PHOTOSHOP_OF_TIFF) or b"")
    block = named.get(b"iptc") or named.get(b"8bim")
    if block and block.startswith(b"8BIM"):
        return _of_photoshop(block)
    return _bytes(block or (image.info.get("photoshop") or {}).get(_IPTC_OF_PHOTOSHOP))


def _of_photoshop(block: bytes) -> bytes | None:
    while block.startswith(b"8BIM"):
        (kind,), name = struct.unpack(">H", block[4:6]), block[6] + 1
        begin = 6 + name + name % 2
        (length,) = struct.unpack(">I", block[begin : begin + 4])
        data = block[begin + 4 : begin + 4 + length]
        if kind == _IPTC_OF_PHOTOSHOP:
            return data
        block = block[begin + 4 + length + length % 2 :]
    return None


def _bytes(value: Any) -> bytes | None:
    if isinstance(value, str):
        return value.encode()
    return bytes(value) or None if isinstance(value, bytes | bytearray) else None


def _dpi(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    across, down = float(value[0]), float(value[1])
    return (across, down) if 0 < across < 2**31 and 0 < down < 2**31 and (across, down) != (1, 1) else None


def xmp_with_size(xmp: bytes, height: int, width: int) -> bytes:
    """XMP with the new size and upright orientation, without references to a gain map.

    Example:
        >>> xmp_with_size(b'<a tiff:Orientation="6" exif:PixelXDimension="9"/>', 20, 30)
        b'<a tiff:Orientation="1" exif:PixelXDimension="30"/>'
    """
    for names, value in (
        (b"tiff:Orientation", 1),
        (b"exif:PixelXDimension|tiff:ImageWidth", width),
        (b"exif:PixelYDimension|tiff:ImageLength", height),
    ):
        xmp = re.sub(rb"\b(" + names + rb")(\s*=\s*[\"']|\s*>\s*)\d+", rb"\g<1>\g<2>%d" % value, xmp)
    xmp = re.sub(rb"\s+hdrgm:\w+\s*=\s*(\"[^\"]*\"|'[^']*')", b"", xmp)
    xmp = re.sub(rb"<hdrgm:(\w+)>.*?</hdrgm:\1>", b"", xmp, flags=re.DOTALL)
    return re.sub(rb"<(\w*Container:Directory)>.*?</\1>", b"", xmp, flags=re.DOTALL)
