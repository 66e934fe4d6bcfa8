"""Finds the frames of a GIF, and makes a file of its own of each."""

import os
import struct
from fractions import Fraction
from pathlib import Path
from typing import IO, NamedTuple

from sr_lightning.data.files.metadata import Metadata
from sr_lightning.data.files.pages.layout import After, Frame, Pages
from sr_lightning.errors import PictureError

_AFTER: dict[int, After] = {2: "clear", 3: "restore"}
_CONTROL, _COMMENT, _APPLICATION = 0xF9, 0xFE, 0xFF


class _Source(NamedTuple):
    """Where the compressed pixels lie, and what they mean."""

    begin: int
    length: int
    palette: bytes
    transparent: int | None
    interlaced: bool


class _Control(NamedTuple):
    """What an extension says of the frame that follows."""

    time: Fraction = Fraction(0)
    after: After = "keep"
    transparent: int | None = None


def scan_gif(path: Path) -> Pages:
    """The frames of a GIF, all of which are whole.

    Raises:
        PictureError: If the file ends within one.
    """
    with path.open("rb") as file:
        return _Walk(path, file).pages()


class _Walk:
    """A walk through the blocks of a file."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self.file, self.size = path, file, os.fstat(file.fileno()).st_size
        self.frames: list[Frame] = []
        self.plays, self.comments = 1, list[bytes]()
        self.icc: bytes | None = None
        self.xmp: bytes | None = None

    def pages(self) -> Pages:
        self.width, self.height, flags = struct.unpack("<6xHHB2x", self._take(13))
        palette = self._palette(flags)
        control, lost = _Control(), list[str]()
        while (start := self.file.read(1)) != b";":
            if not start and self.frames:
                lost.append("whatever may have followed its last frame: the file has no end mark")
                break
            if start == b"!":
                control = self._extension(control)
            elif start == b",":
                self._frame(palette, control)
                control = _Control()
            elif not start:
                raise self._ends()
        xmp, comment = self.xmp, b"\n".join(self.comments) or None
        return Pages(
            self.path,
            "GIF",
            ((self.height, self.width),) * len(self.frames),
            plays=self.plays,
            opaque=self._is_opaque(),
            metadata=Metadata(icc=self.icc, xmp=xmp, comment=comment),
            lost=tuple(lost),
            parts=tuple(self.frames),
        )

    def _is_opaque(self) -> bool:
        first = self.frames[0] if self.frames else None
        if first is None or first.source.transparent is not None or first.after == "restore":
            return False
        covers = not first.left and not first.top and first.width >= self.width and first.height >= self.height
        return covers and all(frame.after != "clear" for frame in self.frames)

    def _take(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) < count:
            raise self._ends()
        return data

    def _ends(self) -> PictureError:
        return PictureError(
            f"{self.path}: is damaged (it ends within frame {len(self.frames) + 1}); get an intact copy"
        )

    def _palette(self, flags: int) -> bytes:
        return self._take(3 * 2 ** (flags % 8 + 1)) if flags & 128 else b""

    def _blocks(self) -> bytes:
        """Data in blocks of at most 255 bytes, to the empty one."""
        parts = []
        while length := self._take(1)[0]:
            parts.append(self._take(length))
        return b"".join(parts)

    def _skip_blocks(self) -> None:
        while length := self._take(1)[0]:
            self.file.seek(length, os.SEEK_CUR)
        if self.file.tell() > self.size:
            raise self._ends()

    def _extension(self, control: _Control) -> _Control:
        kind = self._take(1)[0]
        if kind == _CONTROL:
            block = self._blocks()[:4].ljust(4, b"\0")
            flags, hundredths, transparent = struct.unpack("<BHB", block)
            after = _AFTER.get(flags >> 2 & 7, "keep")
            return _Control(Fraction(hundredths, 100), after, transparent if flags & 1 else None)
        if kind == _COMMENT:
            self.comments.append(self._blocks())
        elif kind == _APPLICATION:
            self._application(self._take(self._take(1)[0]))
        else:
            self._skip_blocks()
        return control

    def _application(self, name: bytes) -> None:
        begin, data = self.file.tell(), self._blocks()
        if name in (b"NETSCAPE2.0", b"ANIMEXTS1.0") and data[:1] == b"\1" and len(data) >= 3:
            repeats = int.from_bytes(data[1:3], "little")
            self.plays = repeats + 1 if repeats else 0
        elif name == b"ICCRGBG1012":
            self.icc = data
        elif name == b"XMP DataXMP":  # not in blocks: a trailer of all byte values leads through it
            length = self.file.tell() - begin
            self.file.seek(begin)
            packet, trailer, _ = self.file.read(length).partition(b"\1\xff\xfe\xfd")
            self.xmp = packet if trailer else None

    def _frame(self, palette: bytes, control: _Control) -> None:
        left, top, width, height, flags = struct.unpack("<HHHHB", self._take(9))
        own = self._palette(flags)
        begin = self.file.tell()
        self._take(1)
        self._skip_blocks()
        source = _Source(begin, self.file.tell() - begin, own or palette, control.transparent, bool(flags & 64))
        self.frames.append(Frame(left, top, height, width, control.time, True, control.after, source))


def gif_of(file: IO[bytes], frame: Frame) -> bytes:
    """A GIF of one frame alone."""
    source: _Source = frame.source
    file.seek(source.begin)
    bits = max(1, (len(source.palette) // 3 - 1).bit_length())
    head = struct.pack("<HHBxx", frame.width, frame.height, 0xF0 | bits - 1 if source.palette else 0x70)
    control = struct.pack("<4sHBx", b"!\xf9\4\1", 0, source.transparent) if source.transparent is not None else b""
    place = struct.pack("<4HB", 0, 0, frame.width, frame.height, 64 * source.interlaced)
    return b"GIF89a" + head + source.palette + control + b"," + place + file.read(source.length) + b";"
