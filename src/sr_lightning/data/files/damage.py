"""Finds damage that decoders ignore: they only warn of it, or do not check the checksum."""

import lzma
import os
import re
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from PIL import Image, ImageFile

from sr_lightning.errors import PictureError

_COMPRESSION, _TABLES = 259, 347
_PLACES = ((273, 279), (324, 325))  # offsets and lengths of strips, or of tiles
_DEFLATE, _LZMA, _JPEG = (8, 32946), (34925,), (7,)
_BLOCK = 1 << 20
# What libjpeg warns of though all pixels are as they were written.
_HARMLESS = re.compile("ICC|JFIF|Adobe|sequential|subsampling")
_STANDARD_ERROR = threading.Lock()
# What libtiff says, and OpenCV, which hands on what libtiff says; and what of it is of pixels.
_OF_DECODERS = re.compile(
    rb"\b(_?TIFF\w+|Fax\w+|JPEG\w+|\w+(Decode(?!Error)|Setup)\w*|MissingRequired|tempfile\.tif|Old-style JPEG): "
    rb"|\[ ?(WARN|ERROR):"
)
_WARNING = re.compile(rb"Warning, |\[ ?WARN:")
_COMPLAINT = re.compile(rb"Fax\w+: |Decode(?!Error)\w*: ")


def check_intact(path: Path, image: ImageFile.ImageFile) -> None:
    """Compares checksums and decodes strictly, as far as the format allows.

    Checksums of PNG and of TIFF in Deflate or LZMA; of JPEG, alone or within a TIFF, whatever the decoder complains of.
    Other damage either stops the decoder, or ``decoder_warnings_as_errors`` notices it, or it cannot be told.

    Args:
        path: The file.
        image: The same, opened; it stays as it is.

    Raises:
        PictureError: If the picture is damaged.
    """
    try:
        if image.format == "PNG":
            with Image.open(path, formats=("PNG",)) as again:
                again.verify()
        elif image.format in ("JPEG", "MPO"):
            _check_jpeg(path.read_bytes())
        elif image.format == "TIFF":
            _check_tiff(path, image.tag_v2)  # type: ignore[attr-defined]
    # Decoders raise whatever they trip over.
    except Exception as error:
        raise PictureError(f"{path}: is damaged ({error or type(error).__name__}); get an intact copy") from None


def _check_jpeg(data: bytes) -> None:
    import simplejpeg  # libjpeg-turbo, which tells what it warns of; Pillow's passes over it

    try:
        colours = simplejpeg.decode_jpeg_header(data)[2]
    except ValueError:  # a rare kind that this library does not know: Pillow decides alone
        return
    try:
        # At an eighth of the size: all bits are read, and few pixels are made.
        simplejpeg.decode_jpeg(
            data, "CMYK" if colours in ("CMYK", "YCCK") else "GRAY", min_height=1, min_width=1, min_factor=1
        )
    except ValueError as error:
        if not _HARMLESS.search(str(error)):
            raise


def _check_tiff(path: Path, tags: Mapping[int, Any]) -> None:
    check = _CHECKS.get(tags.get(_COMPRESSION, 1))
    if check is None:
        return
    offsets, lengths = next(((tags[a], tags[b]) for a, b in _PLACES if a in tags and b in tags), ((), ()))
    with path.open("rb") as file:
        for offset, length in zip(offsets, lengths, strict=False):
            file.seek(offset)
            check(file, length, tags)


def _inflate(file: IO[bytes], length: int, tags: Mapping[int, Any]) -> None:
    stream, data = zlib.decompressobj(), file.read(length)
    while data and not stream.eof:
        stream.decompress(data, _BLOCK)
        data = stream.unconsumed_tail
    if not stream.eof:
        raise ValueError("its data end too early")


def _unpack_lzma(file: IO[bytes], length: int, tags: Mapping[int, Any]) -> None:
    stream, data = lzma.LZMADecompressor(), file.read(length)
    stream.decompress(data, _BLOCK)
    while not stream.eof and not stream.needs_input:
        stream.decompress(b"", _BLOCK)
    if not stream.eof:
        raise ValueError("its data end too early")


def _check_jpeg_strip(file: IO[bytes], length: int, tags: Mapping[int, Any]) -> None:
    strip = file.read(length)
    tables = tags.get(_TABLES)  # a JPEG without pixels: from its beginning to before its end marker
    _check_jpeg(tables[:-2] + strip[2:] if tables else strip)


_CHECKS: dict[int, Callable[[IO[bytes], int, Mapping[int, Any]], None]] = {
    **dict.fromkeys(_DEFLATE, _inflate),
    **dict.fromkeys(_LZMA, _unpack_lzma),
    **dict.fromkeys(_JPEG, _check_jpeg_strip),
}


@contextmanager
def decoder_warnings_as_errors(path: Path, image: ImageFile.ImageFile) -> Iterator[None]:
    """Turns warnings of libtiff and OpenCV about a TIFF into an error, and keeps them off the terminal.

    libtiff reports bad codes on the standard error only, and goes on with white. One picture is heard at a time; what
    else is said meanwhile comes after it.

    Args:
        path: The file.
        image: The same, opened.

    Raises:
        PictureError: If there was a complaint.
    """
    if image.format != "TIFF":
        yield
        return
    lines: list[bytes] = []
    error: Exception | None = None
    try:
        with lines_of_decoder(_OF_DECODERS, lines):
            yield
    except PictureError:
        raise
    except Exception as raised:  # which says less than the decoder has said
        error = raised
    complaints = [line for line in lines if _COMPLAINT.search(line)]
    if error and not complaints:  # of unknown tags, decoders warn in intact files too
        complaints = [line for line in lines if not _WARNING.search(line)]
    if complaints:
        raise PictureError(f"{path}: is damaged ({_words(complaints[0])}); get an intact copy") from None
    if error:
        raise error


@contextmanager
def lines_of_decoder(pattern: re.Pattern[bytes], lines: list[bytes]) -> Iterator[None]:
    """Collects the lines that a decoder writes to the standard error, and passes other lines on.

    Args:
        pattern: What the decoder's lines begin with.
        lines: Where they go.
    """
    if sys.__stderr__ is None:  # closed: its number may be that of any file
        yield
        return
    with _STANDARD_ERROR, tempfile.TemporaryFile() as captured:
        kept = os.dup(2)
        try:
            os.dup2(captured.fileno(), 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            captured.seek(0)
            others = b""
            for line in captured.read().splitlines(keepends=True):
                found = pattern.search(line)
                begin = found.start() if found else len(line)  # another thread's line may have no end yet
                lines += [line[begin:]] if found else []
                others += line[:begin]
            with suppress(OSError):
                os.write(2, others)


def _words(complaint: bytes) -> str:
    return complaint.decode(errors="replace").rpartition(": ")[2].rstrip(".\n")
