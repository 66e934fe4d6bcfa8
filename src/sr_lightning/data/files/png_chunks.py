"""Chunks of a PNG file beside the pixels, byte for byte."""

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedWriter
from pathlib import Path
from typing import Any

Chunk = tuple[bytes, bytes]

#: How colours are meant; a colour profile takes the place of those but for cICP.
COLOURS = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"})
#: What a larger picture keeps as it is: colours, size of a pixel, words, date.
KEPT = COLOURS | {b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME"}
SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = 33  # bytes of signature and IHDR
_LARGEST = 64 * 2**20  # of unpacked words
#: What browsers take for sRGB: its transfer function is near 1 / 2.2.
_SRGB_GAMMA, _SRGB_COLOURS = 45455, (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def read_chunks(path: Path | str, kinds: frozenset[bytes] = KEPT) -> Iterator[Chunk]:
    """Kind and data of the chunks of some kinds; ends where the file does."""
    with Path(path).open("rb") as file:
        file.seek(len(SIGNATURE))
        while len(head := file.read(8)) == 8:
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind in kinds:
                yield kind, file.read(length)
                length = 0
            file.seek(length + 4, 1)


def is_ratio(data: bytes) -> bool:
    """Whether a chunk pHYs gives an aspect ratio instead of a resolution."""
    return data[8:9] == b"\0" and data[:4] != data[4:8]


def packed(kind: bytes, data: bytes) -> bytes:
    """A chunk as it stands in the file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def words(chunk: Chunk) -> tuple[bytes, bytes]:
    """Keyword and unpacked text of a text chunk.

    Raises:
        ValueError: If it cannot be unpacked.
    """
    kind, data = chunk
    keyword, _, text = data.partition(b"\0")
    if kind == b"zTXt":
        return keyword, _unpacked(text[1:])
    if kind == b"iTXt":
        is_packed, text = text[:1] == b"\1", text[2:].split(b"\0", 2)[-1]
        return keyword, _unpacked(text) if is_packed else text
    return keyword, text


def raw_profile(text: bytes) -> bytes:
    r"""What ImageMagick writes as hexadecimal text: a name, the number of bytes, and the bytes.

    Raises:
        ValueError: If it is none.

    Example:
        >>> raw_profile(b"\nexif\n       4\n45786966\n")
        b'Exif'
    """
    found = re.match(rb"\s*\S+\s+(\d+)\s+((?:[0-9a-fA-F]{2}|\s)+)", text)  # rubbish may follow
    data = bytes.fromhex(found[2].decode()) if found else b""
    if not found or len(data) < int(found[1]):
        raise ValueError("no profile in hexadecimal text")
    return data[: int(found[1])]


def as_raw_profile(name: bytes, data: bytes) -> Chunk:
    """The same, as ImageMagick and ExifTool read it."""
    lines = re.findall(b".{1,72}", data.hex().encode())
    text = b"\n" + name + b"\n%8d\n" % len(data) + b"\n".join(lines) + b"\n"
    return b"zTXt", b"Raw profile type " + name + b"\0\0" + zlib.compress(text)


def with_words(keyword: bytes, text: bytes) -> Chunk:
    """A chunk of words: those that are no UTF-8 as Latin-1."""
    try:
        text.decode("ascii")
        return b"tEXt", keyword + b"\0" + text
    except UnicodeDecodeError:
        pass
    try:
        text.decode()
        return b"iTXt", keyword + b"\0\0\0\0\0" + text
    except UnicodeDecodeError:
        return b"tEXt", keyword + b"\0" + text


def is_srgb(chunks: Sequence[Chunk]) -> bool:
    """Whether colours are meant as those of a file without chunks would be."""
    meant = {kind: data for kind, data in chunks if kind in COLOURS}
    if b"cICP" in meant:
        return meant[b"cICP"][:2] in (b"\1\r", b"\1\2", b"\2\2", b"\2\r")
    if b"sRGB" in meant:
        return True
    gamma = int.from_bytes(meant.get(b"gAMA", b"")[:4], "big") or _SRGB_GAMMA
    places = meant.get(b"cHRM", b"")
    colours = struct.unpack(">8I", places) if len(places) == 32 else _SRGB_COLOURS
    near = all(abs(one - other) <= 200 for one, other in zip(colours, _SRGB_COLOURS, strict=True))
    return near and abs(gamma / _SRGB_GAMMA - 1) < 0.02


class WithChunks(BufferedWriter):
    """A file of a PNG that puts chunks behind the header while it is written, of any kind, unlike Pillow."""

    chunks: bytes = b""

    def write(self, data: Any) -> int:
        if self.chunks and self.tell() == HEADER:
            chunks, self.chunks = self.chunks, b""
            super().write(chunks)
        return super().write(data)


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _LARGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if unpacker.unconsumed_tail:
        raise ValueError("too long")
    return text
