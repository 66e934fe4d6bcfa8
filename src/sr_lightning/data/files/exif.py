"""The camera's notes on a picture that has another size now."""

import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_WIDTH, _HEIGHT = 0xA002, 0xA003
_DETAILS, _PLACE = 0x8769, 0x8825  # folders of tags: EXIF proper and GPS
_DESCRIPTION, _SOFTWARE, _DATE = 0x010E, 0x0131, 0x0132
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 0x011A, 0x011B, 0x0128
_RATINGS, _OF_WINDOWS = (0x4746, 0x4749), range(0x9C9B, 0x9CA0)
# What a camera or its owner says in a TIFF: name, maker, model, resolution, artist, computer, copyright.
_NOTES = {0x010D, _DESCRIPTION, 0x010F, 0x0110, _X_RESOLUTION, _Y_RESOLUTION, _UNIT, _SOFTWARE, _DATE, 0x013B, 0x013C}
_NOTES |= {0x8298, *_RATINGS, *_OF_WINDOWS}


def exif_with_size(exif: bytes, height: int, width: int) -> Image.Exif:
    """Notes with the size that the pixels have now, and without the thumbnail, which shows the old ones."""
    notes = Image.Exif()
    notes.load(exif)
    details = notes.get_ifd(_DETAILS)
    for tag, value in ((_WIDTH, width), (_HEIGHT, height)):
        if tag in details:
            details[tag] = value
    for tag, value in ((0x0100, width), (0x0101, height)):
        if tag in notes:
            notes[tag] = value
    return with_bytes_of_text(notes)


class _Text(str):
    """Pillow decodes text as Latin-1, whatever it is, and would encode it as ASCII."""

    def encode(self, encoding: str = "latin-1", errors: str = "replace") -> bytes:
        return super().encode("latin-1", errors)


def with_bytes_of_text(notes: Image.Exif) -> Image.Exif:
    """The same notes, with texts that are written as the bytes that they were read from, UTF-8 most often."""
    for folder in (notes, *(notes.get_ifd(tag) for tag in (_DETAILS, _PLACE) if tag in notes)):
        folder.update({tag: _Text(value) for tag, value in folder.items() if isinstance(value, str)})
    return notes


def bytes_of_notes(notes: Image.Exif) -> bytes | None:
    """None where there are none or they are damaged: a picture is more than its notes."""
    try:
        return with_bytes_of_text(notes).tobytes() if len(notes) else None
    except Exception:  # Pillow has one of its own for every kind of damage
        return None


def notes_of_tiff(tags: Image.Exif) -> Image.Exif:
    """The camera's part of a TIFF's tags, without those that say how the pixels lie in the file."""
    notes = Image.Exif()
    with_bytes_of_text(tags)
    for tag in _NOTES & tags.keys():
        notes[tag] = tags[tag]
    for folder in (_DETAILS, _PLACE):
        if details := tags.get_ifd(folder):
            notes.get_ifd(folder).update(details)
    return notes


def notes_of_raw(path: Path | str) -> bytes | None:
    """The notes in a camera's RAW file that is laid out as a TIFF, as most are (DNG, NEF, ARW, CR2); None of others."""
    tags = Image.Exif()
    try:
        with Path(path).open("rb") as file:
            tags.load_from_fp(file)
            return bytes_of_notes(notes_of_tiff(tags))
    except Exception:  # as there
        return None


def tiff_options(notes: Image.Exif) -> dict[str, Any]:
    """Arguments of ``tifffile.imwrite`` that write these notes; those in folders are left to ``append_folders``."""
    words = {tag: value for tag, value in notes.items() if tag in _NOTES and isinstance(value, str)}
    date = words.pop(_DATE, "")
    named: dict[str, Any] = {"description": words.pop(_DESCRIPTION, "").encode() or None}
    if re.fullmatch(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", date):  # no other is a date, and tifffile refuses it
        named["datetime"] = str(date)
    with suppress(TypeError, ValueError, ArithmeticError):  # damaged ones are left out
        resolution = [float(notes[tag]) for tag in (_X_RESOLUTION, _Y_RESOLUTION) if tag in notes]
        if len(resolution) == 2 and all(0 < value < 2**31 for value in resolution):
            named |= {"resolution": tuple(resolution), "resolutionunit": int(notes.get(_UNIT, 2))}
    folders = [tag for tag in (_DETAILS, _PLACE) if notes.get_ifd(tag)]
    return {
        **named,
        "software": words.pop(_SOFTWARE, "").encode() or False,
        "extratags": [(tag, "s", 0, value.encode(), True) for tag, value in words.items()]
        + [(tag, "B", len(notes[tag]), notes[tag], True) for tag in _OF_WINDOWS if isinstance(notes.get(tag), bytes)]
        + [(tag, "H", 1, notes[tag], True) for tag in _RATINGS if isinstance(notes.get(tag), int)]
        + [(tag + 1, "I", 1, 0, True) for tag in folders],  # tifffile writes none of these itself
    }


def append_folders(path: Path, notes: Image.Exif) -> None:
    """Writes the folders of tags behind a little-endian TIFF, and their addresses over the tags kept free for them."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        page: Any = tiff.pages[0]
        folders = [] if tiff.is_bigtiff else [tag for tag in (_DETAILS, _PLACE) if tag + 1 in page.tags]
        places = {tag: page.tags[tag + 1].offset for tag in folders}
    with path.open("r+b") as file:
        for folder, place in places.items():
            address = file.seek(0, 2)
            address += file.write(bytes(address % 2))
            directory = ImageFileDirectory_v2(prefix=b"II")
            directory.update(notes.get_ifd(folder))
            file.write(directory.tobytes(address))
            file.seek(place)
            file.write(struct.pack("<HHII", folder, 4, 1, address))
