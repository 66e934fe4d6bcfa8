"""What a RAW file says of its photograph, as EXIF."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from PIL import Image

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.exif import DETAILS, exif_bytes, exif_of_tiff
from sr_lightning.data.files.raw.opening import opened
from sr_lightning.errors import PictureError

_DATE, _TIME, _APERTURE, _ISO, _TAKEN, _FOCAL, _LENS = 0x0132, 0x829A, 0x829D, 0x8827, 0x9003, 0x920A, 0xA434


def exif_of_raw(path: AnyPath) -> bytes | None:
    """EXIF of a RAW file: that of files with the structure of a TIFF (DNG, NEF, ARW, CR2), and what LibRaw knows.

    Words end where a NUL stands, with which cameras fill up.
    """
    path = Path(path)
    exif = _of_tiff(path)
    details = exif.get_ifd(DETAILS)
    with suppress(PictureError), opened(path, unpack=False) as raw:
        other, lens = raw.other, raw.lens
        known = {_TIME: other.shutter_speed, _APERTURE: other.aperture, _ISO: int(other.iso_speed)}
        known |= {_FOCAL: other.focal_length, _LENS: f"{lens.make} {lens.model}".strip()}
        if other.timestamp > datetime(1970, 1, 2, tzinfo=other.timestamp.tzinfo):
            known[_TAKEN] = f"{other.timestamp:%Y:%m:%d %H:%M:%S}"
            exif.setdefault(_DATE, known[_TAKEN])
        details.update({tag: value for tag, value in known.items() if value and tag not in details})
    return exif_bytes(exif) if len(exif) > 1 or details else None


def _of_tiff(path: Path) -> Image.Exif:
    tags = Image.Exif()
    try:
        with path.open("rb") as file:
            tags.load_from_fp(file)
            exif = exif_of_tiff(tags)
            for folder in (exif, exif.get_ifd(DETAILS)):
                words = {
                    tag: value.partition("\0")[0].strip() for tag, value in folder.items() if isinstance(value, str)
                }
                for tag, value in words.items():
                    if value:
                        folder[tag] = value
                    else:
                        del folder[tag]
    except Exception:  # Pillow raises another one for every kind of damage
        return Image.Exif()
    return exif
