"""Writes an animated WebP, each frame as the box that differs from the one before."""

import io
import struct
from collections.abc import Iterable, Iterator
from typing import IO

from sr_lightning.data.files.io import Photo, to_uint8
from sr_lightning.data.files.metadata import Metadata
from sr_lightning.data.files.pages.changes import Clock, changed_box, cut, with_opacity
from sr_lightning.data.files.pages.layout import Page
from sr_lightning.data.files.writing import exif_of, image_of, options_of, xmp_of

_ICC, _OPACITY, _EXIF, _XMP, _ANIMATED = 0x20, 0x10, 0x08, 0x04, 0x02
_REPLACE = 2
_PIXELS = (b"ALPH", b"VP8 ", b"VP8L")


def write_webp(file: IO[bytes], pages: Iterable[Page], plays: int, opaque: bool, quality: int | None) -> None:
    """Writes frames as they come.

    libwebp's own writer of animations joins frames that are equal, and keeps them all in memory; here each stays.

    Args:
        file: Opened for writing and reading.
        pages: The frames, of one size. The metadata of the first one are written.
        plays: How often they are played, 0 for ever.
        opaque: Whether none has a transparent pixel.
        quality: See ``write_photo``.
    """
    before: Photo | None = None
    first: Photo | None = None
    clock = Clock(ending=".webp")
    flags = _ANIMATED | (0 if opaque else _OPACITY)
    for page in pages:
        photo = _in_8_bit(page.photo if opaque else with_opacity(page.photo))
        if first is None:
            first = Photo(photo.pixels[:0, :0], metadata=photo.metadata)
            height, width = photo.pixels.shape[:2]
            flags |= _ICC * bool(photo.metadata.icc)
            file.write(b"RIFF\0\0\0\0WEBP" + _chunk(b"VP8X", struct.pack("<I", flags) + _24(width - 1, height - 1)))
            file.write(_chunk(b"ICCP", photo.metadata.icc) if photo.metadata.icc else b"")
            file.write(_chunk(b"ANIM", struct.pack("<IH", 0, min(plays, 65535))))
        box = changed_box(before, photo, step=2)
        left, top = box.columns.start // 2, box.rows.start // 2
        place = _24(left, top, box.size[1] - 1, box.size[0] - 1, clock.ticks(page.time))
        pixels = b"".join(_encoded(cut(photo, box), photo.metadata.lossless, quality))
        file.write(_chunk(b"ANMF", place + bytes([_REPLACE]) + pixels))
        before = photo
    if first is None or before is None:
        return
    whole = Photo(before.pixels, metadata=first.metadata)
    exif, xmp = exif_of(whole, with_dpi=True), xmp_of(whole)
    if len(exif):
        file.write(_chunk(b"EXIF", exif.tobytes().removeprefix(b"Exif\0\0")))
    file.write(_chunk(b"XMP ", xmp) if xmp else b"")
    size = file.tell()
    file.seek(4)
    file.write(struct.pack("<I", size - 8))
    file.seek(20)
    file.write(bytes([flags | _EXIF * bool(len(exif)) | _XMP * bool(xmp)]))


def _in_8_bit(photo: Photo) -> Photo:
    return Photo(
        to_uint8(photo.pixels), None if photo.alpha is None else to_uint8(photo.alpha), metadata=photo.metadata
    )


def _24(*values: int) -> bytes:
    """Numbers of 24 bit."""
    return b"".join(value.to_bytes(3, "little") for value in values)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _encoded(photo: Photo, lossless: bool, quality: int | None) -> Iterator[bytes]:
    """The chunks of the pixels of one picture."""
    whole = io.BytesIO()
    options = options_of(".webp", Photo(photo.pixels, photo.alpha, Metadata(lossless=lossless)), quality)
    image_of(photo).save(whole, "WEBP", **options)
    data, begin = whole.getvalue(), 12
    while begin < len(data):
        kind, length = data[begin : begin + 4], int.from_bytes(data[begin + 4 : begin + 8], "little")
        if kind in _PIXELS:
            yield _chunk(kind, data[begin + 8 : begin + 8 + length])
        begin += 8 + length + length % 2
