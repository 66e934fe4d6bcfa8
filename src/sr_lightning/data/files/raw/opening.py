"""Opens RAW files with LibRaw. No other module does."""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from sr_lightning.data.files.damage import lines_of_decoder
from sr_lightning.data.files.raw.binning import binned, phase_of
from sr_lightning.data.files.raw.corrections import black_levels, correct
from sr_lightning.data.files.raw.dng_tags import LOSSY_JPEG, DngTags, read_dng_tags
from sr_lightning.data.files.raw.raw_file import RawFile
from sr_lightning.errors import PictureError

# Beginnings of what cameras write as .raw; a file of bare samples has none, and LibRaw then guesses by its size.
_TIFF_LIKE = (b"II*\0", b"MM\0*", b"IIU\0", b"IIRO", b"IIRS")
_BITS_OF_BARE_SAMPLES = (8, 10, 12, 16)
_COMPRESSIONS = {LOSSY_JPEG: "lossy JPEG", 52546: "JPEG XL"}  # which LibRaw may be built without
_READ_BY_LIBRAW = ((2, 2), (4, 2), (8, 2))
_LEAST_CROP = 8  # pixels a side
_LARGEST_BLOCK = 3  # samples a side under one filter; LibRaw opens no file of more
_SMALLEST_SHARE = 0.125  # of the first colour in red, below which LibRaw takes a matrix for none
_X_TRANS = [8, 20, 8]  # samples of red, green and blue in 6x6


@contextmanager
def opened(path: Path, unpack: bool = True, aloud: bool = True) -> Iterator[RawFile]:
    """A file with its samples unpacked and corrected; every failure of LibRaw, also later, is a ``PictureError``.

    What LibRaw says of damage is the reason of the error, or else a warning. What a DNG asks for and does not get is a
    warning too. Without ``unpack`` or ``aloud``, nothing is warned of.
    """
    bare, tags, said, notes = False, None, list[bytes](), list[str]()
    source: Any = str(path)
    try:
        with path.open("rb") as file:
            bare = path.suffix.lower() == ".raw" and file.read(4) not in _TIFF_LIKE
        tags = read_dng_tags(path)
        if tags and tags.filters is not None and _share_filters(path, tags.filters):
            with _libraw(path, source, said) as raw:
                tags = _corrected(raw, tags, notes)
                try:
                    source, tags, sentence = binned(raw, tags)
                except ValueError as error:
                    raise PictureError(f"{path}: its tags are damaged ({error})") from None
            notes.append(sentence)
        with _libraw(path, source, said, unpack or bare) as raw:
            if bare and _may_be_anything(path, raw):
                raise _bare_samples(path)
            if tags:
                _refuse_unused_matrix(path, raw)
                tags = _corrected(raw, tags, notes, unpack)
            if unpack:
                _refuse_levels(path, raw, tags)
            for note in (*(f"LibRaw says {words}" for words in _words(said)), *notes) if unpack and aloud else ():
                warnings.warn(f"{path}: {note}", stacklevel=2)  # one place for all callers: said once
            yield RawFile(path, raw, tags)
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (rawpy.LibRawError, RuntimeError) as error:  # rawpy's own are plain RuntimeErrors
        if bare:
            raise _bare_samples(path) from None
        reason = ": ".join([_text(error), *_words(said)])
        way = _COMPRESSIONS.get(tags.compression) if tags else None
        raise PictureError(
            f"{path}: no RAW file that LibRaw can read ({reason}{f'; its samples are in {way}' if way else ''})"
        ) from None


@contextmanager
def _libraw(path: Path, source: Any, said: list[bytes], unpack: bool = True) -> Iterator[Any]:
    """LibRaw's file, of a path or of a stream; what LibRaw prints on the standard error goes into ``said``."""
    names = re.escape(os.fsencode(path)) + b"|unknown file"
    printed = re.compile(rb"(%b): (Unexpected end of file|data corrupted at -?\d+)" % names)
    with lines_of_decoder(printed, said):
        raw = rawpy.imread(source)
        if unpack:
            raw.unpack()
    with raw:
        yield raw


def _share_filters(path: Path, filters: NDArray[np.uint8]) -> bool:
    """Whether several samples side by side share a filter; arrays that nobody here knows are refused."""
    if filters.shape in _READ_BY_LIBRAW:
        return False
    if filters.shape == (6, 6) and np.bincount(filters.ravel(), minlength=3).tolist() == _X_TRANS:
        return False
    if 0 < phase_of(filters)[0] <= _LARGEST_BLOCK:
        return True
    size = "x".join(map(str, filters.shape))
    raise PictureError(
        f"{path}: has a {size} colour filter array that LibRaw does not know; "
        "enlarge a picture that the camera made of it"
    )


def _refuse_unused_matrix(path: Path, raw: Any) -> None:
    """Refuses colours that LibRaw would show as if they were red, green and blue: its test for a matrix fails them."""
    if raw.num_colors == 4 and raw.color_matrix[0][0] <= _SMALLEST_SHARE:
        raise PictureError(
            f"{path}: has four colours, of which the first is not red, and LibRaw does not make red, green and blue of "
            "them; enlarge a picture that the camera made of it"
        )


def _corrected(raw: Any, tags: DngTags, notes: list[str], unpacked: bool = True) -> DngTags:
    """Corrects the samples, and gives the tags without a crop that lies outside."""
    if tags.crop is not None:
        top, left, height, width = tags.crop
        sizes = raw.sizes
        fits = top + height <= sizes.height + 0.5 and left + width <= sizes.width + 0.5
        if not (fits and min(top, left) >= 0 and min(height, width) > 0):
            notes.append("its DefaultCrop lies outside its samples, and is not applied")
            tags = replace(tags, crop=None)
        elif 0 < min(height, width) < _LEAST_CROP:
            notes.append(f"its DefaultCrop leaves {width:g}x{height:g} pixels, and is not applied")
            tags = replace(tags, crop=None)
    if unpacked and (left_out := correct(raw, tags)):
        notes.append(f"the DNG asks for {', '.join(left_out)}: not applied")
    return tags


def _refuse_levels(path: Path, raw: Any, tags: DngTags | None) -> None:
    """Else LibRaw shows black, or noise."""
    black = float(np.max(black_levels(raw, tags)))
    if raw.white_level <= black:
        raise PictureError(f"{path}: its white level {raw.white_level} is not above its black level {black:.0f}")


def _may_be_anything(path: Path, raw: Any) -> bool:
    """Whether a file has as many bytes as its samples alone: then its size tells no camera."""
    pixels = raw.sizes.raw_height * raw.sizes.raw_width
    return path.stat().st_size in [pixels * bits // 8 for bits in _BITS_OF_BARE_SAMPLES]


def _bare_samples(path: Path) -> PictureError:
    return PictureError(
        f"{path}: bare samples without a header; leave it out, or in Python say what they are with "
        "sr_lightning.data.files.raw.read_headerless"
    )


def _words(said: list[bytes]) -> list[str]:
    """What LibRaw printed, without the file's name and its full stop."""
    return list(dict.fromkeys(line.decode(errors="replace").rpartition(": ")[2].strip() for line in said))


def _text(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
