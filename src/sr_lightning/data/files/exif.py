"""EXIF of a picture whose size has changed."""

import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_WIDTH, _HEIGHT = 0xA002, 0xA003
DETAILS, _PLACE = 0x8769, 0x8825  # sub-directories of tags: EXIF proper and GPS
_DESCRIPTION, _SOFTWARE, _DATE = 0x010E, 0x0131, 0x0132
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 0x011A, 0x011B, 0x0128
_RATINGS, _OF_WINDOWS = (0x4746, 0x4749), range(0x9C9B, 0x9CA0)
# Tags that describe the picture: name, maker, model, resolution, artist, computer, copyright.
_KEPT_TAGS = {0x010D, _DESCRIPTION, 0x010F, 0x0110, _X_RESOLUTION, _Y_RESOLUTION, _UNIT, _SOFTWARE, _DATE}
_KEPT_TAGS |= {0x013B, 0x013C, 0x8298, *_RATINGS, *_OF_WINDOWS}


def exif_with_size(data: bytes, height: int, width: int) -> Image.Exif:
    """EXIF that states the new size. The thumbnail is left out, because it shows the old pixels."""
    exif = Image.Exif()
    exif.load(data)
    details = exif.get_ifd(DETAILS)
    for tag, value in ((_WIDTH, width), (_HEIGHT, height)):
        if tag in details:
            details[tag] = value
    for tag, value in ((0x0100, width), (0x0101, height)):
        if tag in exif:
            exif[tag] = value
    return with_bytes_of_text(exif)


class _Text(str):
    """Pillow decodes text as Latin-1, whatever it is, and would encode it as ASCII."""

    def encode(self, encoding: str = "latin-1", errors: str = "replace") -> bytes:
        return super().encode("latin-1", errors)


def with_bytes_of_text(exif: Image.Exif) -> Image.Exif:
    """The same EXIF, whose texts are written as the bytes that were read. Most files use UTF-8."""
    for folder in (exif, *(exif.get_ifd(tag) for tag in (DETAILS, _PLACE) if tag in exif)):
        folder.update({tag: _Text(value) for tag, value in folder.items() if isinstance(value, str)})
    return exif


def exif_bytes(exif: Image.Exif) -> bytes | None:
    """The encoded EXIF; None if it is empty or damaged, because damaged EXIF must not cost the picture."""
    try:
        return with_bytes_of_text(exif).tobytes() if len(exif) else None
    except Exception:  # Pillow raises another one for every kind of damage
        return None


def exif_of_tiff(tags: Image.Exif) -> Image.Exif:
    """The tags of a TIFF that describe the picture, without those that describe the layout of the file."""
    exif = Image.Exif()
    with_bytes_of_text(tags)
    for tag in _KEPT_TAGS & tags.keys():
        exif[tag] = tags[tag]
    for folder in (DETAILS, _PLACE):
        if details := tags.get_ifd(folder):
            exif.get_ifd(folder).update(details)
    return exif


def tiff_options(exif: Image.Exif) -> dict[str, Any]:
    """Arguments with which ``tifffile.imwrite`` writes the EXIF; ``append_folders`` writes the sub-directories."""
    words = {tag: value for tag, value in exif.items() if tag in _KEPT_TAGS and isinstance(value, str)}
    date = words.pop(_DATE, "")
    named: dict[str, Any] = {"description": words.pop(_DESCRIPTION, "").encode() or None}
    if re.fullmatch(r"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", date):  # tifffile refuses any other form
        named["datetime"] = str(date)
    with suppress(TypeError, ValueError, ArithmeticError):  # a damaged resolution is left out
        resolution = [float(exif[tag]) for tag in (_X_RESOLUTION, _Y_RESOLUTION) if tag in exif]
        if len(resolution) == 2 and all(0 < value < 2**31 for value in resolution):
            unit = int(exif.get(_UNIT, 2))
            named |= {"resolution": tuple(resolution), "resolutionunit": unit if unit in (1, 2, 3) else 2}
    folders = [tag for tag in (DETAILS, _PLACE) if exif.get_ifd(tag)]
    return {
        **named,
        "software": words.pop(_SOFTWARE, "").encode() or False,
        "extratags": [(tag, "s", 0, value.encode(), True) for tag, value in words.items()]
        + [(tag, "B", len(exif[tag]), exif[tag], True) for tag in _OF_WINDOWS if isinstance(exif.get(tag), bytes)]
        + [(tag, "H", 1, exif[tag], True) for tag in _RATINGS if isinstance(exif.get(tag), int)]
        + [(tag + 1, "I", 1, 0, True) for tag in folders],  # tifffile itself writes none of these
    }


def append_folders(path: Path, exif: Image.Exif, number: int = 0) -> None:
    """Appends the sub-directories of tags of a page to a little-endian TIFF, and their addresses to its directory."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        page: Any = tiff.pages[number]
        folders = [] if tiff.is_bigtiff else [tag for tag in (DETAILS, _PLACE) if tag + 1 in page.tags]
        places = {tag: page.tags[tag + 1].offset for tag in folders}
    with path.open("r+b") as file:
        for folder, place in places.items():
            address = file.seek(0, 2)
            address += file.write(bytes(address % 2))
            directory = ImageFileDirectory_v2(prefix=b"II")
            directory.update(exif.get_ifd(folder))
            file.write(directory.tobytes(address))
            file.seek(place)
            file.write(struct.pack("<HHII", folder, 4, 1, address))
