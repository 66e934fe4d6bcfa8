"""Writes DNG files of all kinds of sensors, with whatever tags a test needs."""

import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

BAYER = ((0, 1), (1, 2))
X_TRANS = ((1, 1, 0, 1, 1, 2), (1, 1, 2, 1, 1, 0), (2, 0, 1, 0, 2, 1), (1, 1, 2, 1, 1, 0), (1, 1, 0, 1, 1, 2),
           (0, 2, 1, 2, 0, 1))  # fmt: skip
BLACK, WHITE = 600, 15520
#: XYZ to the camera of ``shared/cases``, and what it sees of white.
MATRIX = (0.902, -0.289, -0.0715, -0.4535, 1.2436, 0.2348, -0.0934, 0.1919, 0.7086)
NEUTRAL = (0.513, 1.0, 0.7442)
_MOSAIC, _LINEAR, _GREY = 32803, 34892, 1


def write_dng(
    path: Path,
    samples: NDArray[Any],
    filters: Sequence[Sequence[int]] | None = BAYER,
    *,
    tags: Iterable[tuple[Any, ...]] = (),
    opcodes: dict[int, list[bytes]] | None = None,
    black: int | None = BLACK,
    matrix: Sequence[float] = MATRIX,
    neutral: Sequence[float] = NEUTRAL,
    **options: Any,
) -> Path:
    """A DNG of samples ``(H, W)``, or ``(H, W, 3)`` of linear colours.

    Args:
        path: The file.
        samples: Of 16 bit, or floating point.
        filters: Codes of the colour filter array; None for a sensor without.
        tags: More ones: ``(number, type, count, value)``.
        opcodes: What ``gain_map`` and its like give, by the number of their list.
        black: The level of all samples; None to leave the tag out.
        matrix: XYZ to camera.
        neutral: What the camera sees of white.
        options: Further ones of ``tifffile.imwrite``.
    """
    planes = samples.shape[2] if samples.ndim == 3 else 1
    all_tags = [
        (50706, "B", 4, (1, 4, 0, 0)),
        (50708, "s", 0, "a camera"),
        (50721, "2i", len(matrix), fractions(matrix)),
        (50728, "2I", len(neutral), fractions(neutral)),
        (50778, "H", 1, 21),
        *tags,
    ]
    if black is not None:
        all_tags.append((50714, "I", planes, black if planes == 1 else (black,) * planes))
    if samples.dtype == np.uint16 and not any(tag[0] == 50717 for tag in all_tags):
        all_tags.append((50717, "I", planes, WHITE if planes == 1 else (WHITE,) * planes))
    if filters is not None:
        array = np.asarray(filters)
        all_tags += [(33421, "H", 2, array.shape), (33422, "B", array.size, tuple(array.ravel().tolist()))]
    for stage, steps in (opcodes or {}).items():
        content = struct.pack(">I", len(steps)) + b"".join(steps)
        all_tags.append(({1: 51008, 2: 51009, 3: 51022}[stage], 7, len(content), content))
    grey = filters is None and planes == 1
    content = io.BytesIO()
    tifffile.imwrite(
        content,
        samples,
        photometric=_GREY if grey else _LINEAR if filters is None else _MOSAIC,
        extratags=[(*tag, True) for tag in sorted(all_tags, key=lambda tag: tag[0])],
        metadata=None,
        **{"byteorder": "<", **options},
    )
    data = content.getvalue()
    if grey:  # tifffile writes no linear samples of one plane
        data = data.replace(struct.pack("<HHII", 262, 3, 1, _GREY), struct.pack("<HHII", 262, 3, 1, _LINEAR))
    path.write_bytes(data)
    return path


def fractions(values: Iterable[float]) -> tuple[int, ...]:
    return tuple(number for value in values for number in (round(value * 10000), 10000))


def opcode(number: int, data: bytes = b"") -> bytes:
    return struct.pack(">4I", number, 0x01030000, 0, len(data)) + data


def gain_map(
    values: NDArray[Any], area: tuple[int, int, int, int], *, first: tuple[int, int] = (0, 1), pitch: int = 1
) -> bytes:
    """Gains between the picture's sides: ``values`` is ``(V, H, planes)``, ``area`` is top, left, bottom, right."""
    down, across, planes = values.shape
    head = struct.pack(">10I", *area, *first, pitch, pitch, down, across)
    steps = struct.pack(">4d", 1 / max(down - 1, 1), 1 / max(across - 1, 1), 0, 0)
    return opcode(9, head + steps + struct.pack(">I", planes) + values.astype(">f4").tobytes())


def vignette(terms: Sequence[float], centre: tuple[float, float] = (0.5, 0.5)) -> bytes:
    return opcode(3, struct.pack(">7d", *terms, *centre))


def warp(planes: Sequence[Sequence[float]], centre: tuple[float, float] = (0.5, 0.5)) -> bytes:
    values = [value for plane in planes for value in plane]
    return opcode(1, struct.pack(f">I{len(values) + 2}d", len(planes), *values, *centre))


def lossless_jpeg(samples: NDArray[Any]) -> bytes:
    """Samples of 16 bit as a lossless JPEG of one component, each predicted by its left neighbour."""
    height, width = samples.shape
    codes = 17  # how many bits a difference has: 0 to 16, as codes of five bits
    head = (
        b"\xff\xd8\xff\xc4" + struct.pack(">HB16B", 19 + codes, 0, *([0] * 4), codes, *([0] * 11)) + bytes(range(codes))
    )
    head += b"\xff\xc3" + struct.pack(">HBHHB3B", 11, 16, height, width, 1, 1, 0x11, 0)
    head += b"\xff\xda" + struct.pack(">HB2B3B", 8, 1, 1, 0, 1, 0, 0)
    values = samples.astype(int)
    before = np.column_stack([np.concatenate([[1 << 15], values[:-1, 0]]), values[:, :-1]])
    bits = ""
    for difference in (values - before).ravel().tolist():
        length = abs(difference).bit_length()
        coded = difference if difference > 0 else difference + (1 << length) - 1
        bits += f"{length:05b}" + (f"{coded:0{length}b}" if length else "")
    bits += "1" * (-len(bits) % 8)
    body = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    return head + body + b"\xff\xd9"


def deflated(samples: NDArray[np.float32]) -> bytes:
    """Floating point as DNG compresses it: the bytes of a row by their weight, as differences, by Deflate."""
    height, width = samples.shape
    planes = samples.astype(">f4").view(np.uint8).reshape(height, width, 4).transpose(0, 2, 1).reshape(height, -1)
    return zlib.compress(np.diff(planes, axis=1, prepend=np.zeros((height, 1), np.uint8)).tobytes())


def in_place_of_strip(path: Path, compression: int, strip: bytes) -> None:
    """Gives a file of one strip another one, which is compressed."""
    content = path.read_bytes()
    for tag, kind, value in ((259, 3, compression), (273, 4, len(content)), (279, 4, len(strip))):
        place = next(i for k in (3, 4, 16) if (i := content.find(struct.pack("<HHI", tag, k, 1))) >= 0)
        content = content[:place] + struct.pack("<HHII", tag, kind, 1, value) + content[place + 12 :]
    path.write_bytes(content + strip)
