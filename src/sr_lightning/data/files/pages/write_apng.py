"""Writes an animated PNG, each frame as the box that differs from the one before; nothing is lost."""

import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.pages.changes import changed_box, cut, with_opacity
from sr_lightning.data.files.pages.layout import Page
from sr_lightning.data.files.png_chunks import SIGNATURE, packed, read_chunks
from sr_lightning.data.files.writing import png_chunks_of, write_png

_KEEP, _REPLACE = 0, 0


def write_apng(file: IO[bytes], pages: Iterable[Page], plays: int, count: int, opaque: bool) -> None:
    """Writes frames as they come.

    Args:
        file: Opened for writing.
        pages: The frames, of one size and one number of bits; one without a time, at the beginning, is the picture for
            readers that know no animations, and no frame. The metadata of the first one are written.
        plays: How often they are played, 0 for ever.
        count: How many there are.
        opaque: Whether none has a transparent pixel.
    """
    before: Photo | None = None
    begun, sequence = False, 0
    with TemporaryDirectory() as folder:
        for page in pages:
            photo = page.photo if opaque else with_opacity(page.photo)
            box = changed_box(before, photo)
            chunks = list(_encoded(cut(photo, box), Path(folder) / "frame.png"))
            if not begun:
                file.write(SIGNATURE + packed(*chunks[0]))
                file.write(packed(b"acTL", struct.pack(">II", count, plays)) + png_chunks_of(photo))
            if page.time is not None:
                (height, width), parts = box.size, _ratio(page.time)
                left, top = box.columns.start, box.rows.start
                control = struct.pack(">5I2H2B", sequence, width, height, left, top, *parts, _KEEP, _REPLACE)
                file.write(packed(b"fcTL", control))
                sequence, before = sequence + 1, photo
            for kind, data in chunks[1:]:
                if begun:
                    kind, data, sequence = b"fdAT", struct.pack(">I", sequence) + data, sequence + 1
                file.write(packed(kind, data))
            begun = True
        file.write(packed(b"IEND", b""))


def _encoded(photo: Photo, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Header and pixels of a picture as PNG."""
    write_png(path, photo)
    return read_chunks(path, frozenset({b"IHDR", b"IDAT"}))


def _ratio(time: Fraction) -> tuple[int, int]:
    """Seconds as two whole numbers of 16 bit."""
    if max(time.numerator, time.denominator) < 2**16:
        return time.numerator, time.denominator
    return (round(time * 1000), 1000) if time < 65 else (min(round(time), 65535), 1)
