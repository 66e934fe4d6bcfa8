"""What a DNG says of its samples, as far as LibRaw does not tell or heed it.

**Specification:** Adobe, Digital Negative (DNG) Specification, version 1.7.1.0, 2023.
"""

import logging
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

MOSAIC, LINEAR = 32803, 34892  # photometric interpretations
LOSSY_JPEG = 34892  # a compression with the same number
_FLOATS = 3  # of the tag SampleFormat
_MAP_POLYNOMIAL = 8
_OF_CAMERA = (271, 272, 274, 50706, 50707, 50708, 50718, *range(50721, 50731), 50734, 50778, 50779, 50931, 50932,
              50964, 50965)  # fmt: skip
_ONE_AT_A_TIME = threading.Lock()  # else two threads could leave the log as neither found it
_FRACTIONS = (5, 10)  # types of TIFF


class Opcode(NamedTuple):
    """One step of processing: the list it stands in (1 to 3), its number, and its parameters."""

    stage: int
    number: int
    data: bytes


@dataclass(frozen=True)
class DngTags:
    """A DNG's tags, with the specification's defaults.

    Attributes:
        filters: Codes of the colour filters' smallest repeated part ``(h, w)``: 0 red, 1 green, 2 blue; None without.
        black: The repeated part of black levels ``(h, w)``; None where LibRaw's are to be used.
        black_rows: What is added to the black level of each row; may be empty.
        black_columns: The same for columns.
        crop: Top, left, height and width of the default crop within the active area; None without.
        baseline_exposure: Stops by which the picture is to be made brighter.
        compression: TIFF's number of how samples are compressed.
        opcodes: All steps of the three lists that LibRaw does not carry out.
        damaged: Opcode lists that cannot be read.
        camera: Tags of camera, turn and colours: number, type, count and value.
    """

    filters: NDArray[np.uint8] | None = None
    black: NDArray[np.float32] | None = None
    black_rows: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    black_columns: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    crop: tuple[float, float, float, float] | None = None
    baseline_exposure: float = 0.0
    compression: int = 1
    opcodes: tuple[Opcode, ...] = ()
    damaged: tuple[int, ...] = ()
    camera: tuple[tuple[Any, ...], ...] = ()


def read_dng_tags(path: Path) -> DngTags | None:
    """The tags of a DNG; None of any other file, or if they are too damaged to be read."""
    try:
        with _silent_tifffile(), tifffile.TiffFile(path) as file:
            first = file.pages[0]
            if "DNGVersion" not in first.tags:  # type: ignore[union-attr]
                return None
            pages = [page for top in file.pages for page in (top, *(top.pages or ())) if _is_of_samples(page)]  # type: ignore[union-attr]
            return _tags_of(pages[0], first) if pages else None
    # A damaged file makes tifffile raise whatever it trips over; LibRaw says what is wrong with it.
    except Exception:
        return None


def _is_of_samples(page: Any) -> bool:
    return page.photometric in (MOSAIC, LINEAR) and not page.subfiletype & 1


def _tags_of(page: Any, first: Any) -> DngTags:
    floats = _numbers(page, 339)[:1].tolist() == [_FLOATS]
    compression = int(page.compression)
    repeats = _numbers(page, 50713).astype(int)
    black, black_rows, black_columns = (_numbers(page, tag) for tag in (50714, 50716, 50715))
    tiled = len(repeats) == 2 and black.size == repeats.prod() and page.samplesperpixel == 1
    black_rows, black_columns = (
        levels if np.isfinite(levels).all() else levels[:0] for levels in (black_rows, black_columns)
    )
    if floats or compression == LOSSY_JPEG:  # LibRaw gives other levels than are stored
        tiled, black_rows, black_columns = False, black_rows[:0], black_columns[:0]
    opcodes, damaged = [], []
    for stage, tag in ((1, 51008), (2, 51009), (3, 51022)):
        try:
            steps = list(_opcodes(stage, page.tags[tag].value)) if tag in page.tags else []
        except struct.error:
            steps = []
            damaged.append(stage)
        done = _MAP_POLYNOMIAL if compression == LOSSY_JPEG and stage == 2 else None  # by LibRaw, as it decodes
        opcodes += [step for step in steps if step.number != done]
    origin, size = _numbers(page, 50719), _numbers(page, 50720)
    exposure = _numbers(first, 50730)
    return DngTags(
        filters=_filters(page),
        black=black.reshape(repeats) if tiled else None,
        black_rows=black_rows,
        black_columns=black_columns,
        crop=(*origin[::-1].tolist(), *size[::-1].tolist()) if len(origin) == len(size) == 2 else None,
        baseline_exposure=float(np.nan_to_num(exposure[0]).clip(-8, 8)) if len(exposure) else 0.0,  # else damaged
        compression=compression,
        opcodes=tuple(opcodes),
        damaged=tuple(damaged),
        camera=tuple((tag.code, tag.dtype, tag.count, tag.value) for tag in first.tags if tag.code in _OF_CAMERA),
    )


def _filters(page: Any) -> NDArray[np.uint8] | None:
    size, codes = _numbers(page, 33421).astype(int), _numbers(page, 33422).astype(np.uint8)
    return codes.reshape(size) if page.photometric == MOSAIC and len(size) == 2 else None


def _numbers(page: Any, tag: int) -> NDArray[np.float32]:
    """A tag's values, fractions divided; empty without the tag."""
    if tag not in page.tags:
        return np.zeros(0, np.float32)
    found = page.tags[tag]
    value = list(found.value) if isinstance(found.value, bytes) else found.value
    values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if found.dtype in _FRACTIONS:
        values = values[::2] / np.where(values[1::2] == 0, 1, values[1::2])
    return values.astype(np.float32)


def _opcodes(stage: int, data: bytes) -> Iterator[Opcode]:
    """The steps of one list; its numbers are big-endian in every file."""
    (count,), place = struct.unpack_from(">I", data), 4
    for _ in range(count):
        number, _, _, size = struct.unpack_from(">4I", data, place)
        place += 16
        if place + size > len(data):
            raise struct.error("the list ends within an opcode")
        yield Opcode(stage, number, data[place : place + size])
        place += size


@contextmanager
def _silent_tifffile() -> Iterator[None]:
    """Keeps what tifffile logs of unusual tags off the terminal."""
    log = logging.getLogger("tifffile")
    with _ONE_AT_A_TIME:
        before, log.disabled = log.disabled, True
        try:
            yield
        finally:
            log.disabled = before
