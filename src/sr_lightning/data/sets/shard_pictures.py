"""Pictures decoded from memory, to the pixels of ``read_picture``."""

import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.data.files.io import read_picture
from sr_lightning.data.patches.levels import Planar
from sr_lightning.errors import PictureError

_PNG = b"\x89PNG\r\n\x1a\n"
#: Chunks that change no pixel: colours, transparency and orientation are left to ``read_picture``.
_PLAIN_CHUNKS = {b"IHDR", b"IDAT", b"IEND", b"pHYs", b"tIME", b"sRGB"}
_GREY, _RGB = 0, 2
#: Markers of a JPEG without profile, EXIF or a second picture: JFIF, tables, restarts, comments, Huffman frames.
_PLAIN_MARKERS = {0xE0, 0xDB, 0xC0, 0xC1, 0xC2, 0xC4, 0xDD, 0xFE, 0xDA}


def decode_picture(place: str, content: bytes) -> Planar:
    """A picture of any kind that files may have, as RGB ``(3, H, W)`` in uint8 or uint16.

    Plain PNG and JPEG files are decoded directly, all others by ``read_picture``, to the same pixels.

    Args:
        place: What an error names.
        content: The file.

    Raises:
        PictureError: If it is damaged, or no picture that a set may hold.
    """
    decoded = _plain_png(content) if content.startswith(_PNG) else _plain_jpeg(content)
    if decoded is None:
        with _file_of(content) as path:
            try:
                decoded = read_picture(path).transpose(2, 0, 1)
            except PictureError as error:
                raise PictureError(str(error).replace(str(path), place)) from None
    return decoded.repeat(3, axis=0) if len(decoded) == 1 else np.ascontiguousarray(decoded)


def png_depth(begin: bytes) -> int:
    """Bits of a sample, of the first 26 bytes of a file; 8 where it is no PNG.

    Example:
        >>> png_depth(b"no picture")
        8
    """
    return begin[24] if len(begin) >= 26 and begin.startswith(_PNG) else 8


def _plain_png(content: bytes) -> NDArray[Any] | None:
    """Planes of a PNG in 8 or 16 bit, grey or RGB, of intact chunks that change no pixel; None for others."""
    header = _png_header(content)
    if header is None:
        return None
    import cv2

    width, height, colour = header
    decoded: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.shape[:2] != (height, width):
        return None
    if colour == _GREY:
        return decoded[None] if decoded.ndim == 2 else None
    planes = np.empty((3, height, width), decoded.dtype)
    for channel in range(3):  # OpenCV has blue first
        cv2.extractChannel(decoded, 2 - channel, planes[channel])
    return planes


def _png_header(content: bytes) -> tuple[int, int, int] | None:
    """Width, height and kind of colours, if all chunks are intact and plain."""
    position, kind = len(_PNG), b""
    view = memoryview(content)
    while kind != b"IEND":
        if position + 12 > len(content):
            return None
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 8 + length
        if kind not in _PLAIN_CHUNKS or end + 4 > len(content):
            return None
        if zlib.crc32(view[position + 4 : end]) != struct.unpack_from(">I", content, end)[0]:
            return None
        position = end + 4
    if content[12:16] != b"IHDR" or content[8:12] != b"\0\0\0\x0d":
        return None
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", content, 16)
    if depth not in (8, 16) or colour not in (_GREY, _RGB) or interlaced:
        return None
    return (width, height, colour) if _is_small(width, height) else None


def _plain_jpeg(content: bytes) -> NDArray[Any] | None:
    """Planes of a JPEG, grey or YCbCr, that has neither EXIF nor profile and of which no decoder complains."""
    if not _is_plain_jpeg(content):
        return None
    import simplejpeg

    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours not in ("Gray", "YCbCr") or not _is_small(width, height):
            return None
        decoded = simplejpeg.decode_jpeg(content, "GRAY" if colours == "Gray" else "RGB")
    except ValueError:  # ``read_picture`` knows what matters
        return None
    planes: NDArray[Any] = decoded.transpose(2, 0, 1)
    return planes


def _is_plain_jpeg(content: bytes) -> bool:
    position, marker = 2, 0
    if not content.startswith(b"\xff\xd8\xff"):
        return False
    while marker != 0xDA:
        if position + 4 > len(content) or content[position] != 0xFF:
            return False
        marker = content[position + 1]
        if marker not in _PLAIN_MARKERS:
            return False
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return True


def _is_small(width: int, height: int) -> bool:
    """Whether Pillow would say nothing of so many pixels; ``read_picture`` says what it says of more."""
    limit = Image.MAX_IMAGE_PIXELS
    return width * height > 0 and (limit is None or width * height <= limit)


@contextmanager
def _file_of(content: bytes) -> Iterator[Path]:
    """A file of these bytes, in memory where the system has such files."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture"
            path.write_bytes(content)
            yield path
        return
    number = os.memfd_create("picture")
    try:
        with os.fdopen(os.dup(number), "wb") as file:
            file.write(content)
        yield Path(f"/proc/self/fd/{number}")
    finally:
        os.close(number)
