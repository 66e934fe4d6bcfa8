"""Finds the frames of an animated PNG, and makes a file of its own of each."""

import os
import struct
from fractions import Fraction
from pathlib import Path
from typing import IO, NamedTuple

from sr_lightning.data.files.pages.layout import After, Frame, Pages
from sr_lightning.data.files.png_chunks import SIGNATURE, packed
from sr_lightning.errors import PictureError

_AFTER: tuple[After, ...] = ("keep", "clear", "restore")
_GREY, _TRANSPARENT = (0, 4), (4, 6)  # kinds of colour
_OF_ALL = (b"PLTE", b"tRNS")


class _Source(NamedTuple):
    """Where the compressed pixels lie, and the chunks that all frames share."""

    places: list[tuple[int, int]]
    header: bytes
    shared: list[tuple[bytes, bytes]]


def scan_apng(path: Path) -> Pages | None:
    """The frames of an animated PNG; None if a PNG is not animated.

    Raises:
        PictureError: If the file is damaged.
    """
    header, shared = b"", list[tuple[bytes, bytes]]()
    declared = plays = 0
    controls, places = list[bytes](), [list[tuple[int, int]]()]  # the first places are those before any control
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(len(SIGNATURE))
        while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
            length, kind, begin = int.from_bytes(head[:4], "big"), head[4:], file.tell()
            if begin + length + 4 > size:
                _refuse_if_animated(path, declared, len(controls))
                return None
            if kind == b"IHDR":
                header = file.read(length)
            elif kind in _OF_ALL:
                shared.append((kind, file.read(length)))
            elif kind == b"acTL" and not any(places):
                declared, plays = struct.unpack(">II", file.read(8))
            elif kind == b"fcTL":
                controls.append(file.read(26))
                places.append([])
            elif kind in (b"IDAT", b"fdAT"):
                number = 4 * (kind == b"fdAT")
                places[-1].append((begin + number, length - number))
            file.seek(begin + length + 4)
    if not declared or len(header) != 13:
        return None
    if len(controls) != declared or not all(places[1:]) or any(len(each) < 26 for each in controls):
        _refuse_if_animated(path, declared, len(controls))
    if declared == 1 and not places[0]:
        return None
    frames = tuple(_frame(control, place, header, shared) for control, place in zip(controls, places[1:], strict=True))
    width, height, _, colours = struct.unpack(">IIBB", header[:10])
    if any(f.left + f.width > width or f.top + f.height > height or 0 in (f.height, f.width) for f in frames):
        raise PictureError(f"{path}: is damaged (a frame lies outside the picture); get an intact copy")
    first = frames[0]
    covers = (first.height, first.width) == (height, width) and first.after != "restore"
    solid = colours not in _TRANSPARENT and not any(kind == b"tRNS" for kind, _ in shared)
    return Pages(
        path,
        "PNG",
        ((height, width),) * declared,
        plays=plays,
        opaque=covers and solid and all(frame.after != "clear" for frame in frames),
        cover=Frame(0, 0, height, width, Fraction(0), False, "keep", _Source(places[0], header, shared))
        if places[0]
        else None,
        parts=frames,
    )


def _refuse_if_animated(path: Path, declared: int, found: int) -> None:
    """Raises a ``PictureError`` if a damaged PNG declares frames; that of one without is told by its reader."""
    if declared:
        raise PictureError(
            f"{path}: is damaged (it declares {declared} frames, and {found} are whole); get an intact copy"
        )


def _frame(control: bytes, places: list[tuple[int, int]], header: bytes, shared: list[tuple[bytes, bytes]]) -> Frame:
    width, height, left, top, count, parts, after, blend = struct.unpack(">4xIIIIHHBB", control)
    time = Fraction(count, parts or 100)
    return Frame(left, top, height, width, time, blend == 1, _AFTER[after % 3], _Source(places, header, shared))


def channels_and_bits(frame: Frame) -> tuple[int, int]:
    """Channels without opacity, and bits of a sample: 8 or 16."""
    bits, colours = frame.source.header[8:10]
    return 1 if colours in _GREY else 3, max(8, bits)


def png_of(file: IO[bytes], frame: Frame) -> bytes:
    """A PNG of one frame alone."""
    source: _Source = frame.source
    chunks = [(b"IHDR", struct.pack(">II", frame.width, frame.height) + source.header[8:]), *source.shared]
    for begin, length in source.places:
        file.seek(begin)
        chunks.append((b"IDAT", file.read(length)))
    return SIGNATURE + b"".join(packed(*chunk) for chunk in [*chunks, (b"IEND", b"")])
