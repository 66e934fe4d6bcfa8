"""Writes a GIF of full frames, each as what differs from the one before."""

import io
import struct
from collections.abc import Iterable
from fractions import Fraction
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.data.files.io import to_uint8
from sr_lightning.data.files.metadata import Metadata
from sr_lightning.data.files.pages.changes import Clock, box_of
from sr_lightning.data.files.pages.layout import Page

_CLEAR = 255  # the index of what is transparent; colours have those below
_AFTER_KEEP, _AFTER_CLEAR = 1, 2
#: A palette stays as long as its mean squared error is not larger than that of a new one by this.
_PATIENCE, _NOBODY_SEES = 1.3, 1.0
_SAMPLE = 20_000  # pixels that tell the error
#: Ends XMP, so that it can be skipped as if it stood in blocks.
_TRAILER = b"\1" + bytes(range(255, -1, -1)) + b"\0"

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class _Drawn(NamedTuple):
    """A frame that waits until it is known what becomes of it."""

    indexes: Pixels
    changed: Mask
    palette: Pixels
    time: Fraction | None


def write_gif(file: IO[bytes], pages: Iterable[Page], plays: int) -> None:
    """Writes frames as they come.

    Pixels that stay the same are not drawn again, so their colours do not flicker. Pixels of at least half opacity are
    opaque, others transparent. Frames of at most 255 new colours keep them all.

    Args:
        file: Opened for writing.
        pages: The frames, of one size. Comment, XMP and colour profile of the first one are written.
        plays: How often they are played, 0 for ever.
    """
    film, clock, held = _Film(), Clock(ending=".gif"), None
    for page in pages:
        pixels = np.ascontiguousarray(np.broadcast_to(to_uint8(page.photo.pixels), (*page.photo.pixels.shape[:2], 3)))
        alpha = page.photo.alpha
        opaque = np.ones(pixels.shape[:2], bool) if alpha is None else to_uint8(alpha)[..., 0] >= 128
        if held is None:
            film.begin(pixels)
        clears = held is not None and film.must_clear(opaque)
        drawn = film.draw(pixels, opaque, clears, page.time)
        if held is None:
            _head(file, drawn, plays, page.photo.metadata)
            film.shared = drawn.palette
        else:
            _put(file, held, clears, film.shared, clock)
        held = drawn
    if held is not None:
        _put(file, held, False, film.shared, clock)
    file.write(b";")


class _Film:
    """What is shown after the last frame that was drawn."""

    shared: Pixels

    def begin(self, pixels: Pixels) -> None:
        self._pixels, self._opaque = pixels, np.zeros(pixels.shape[:2], bool)
        self._palette: Pixels | None = None
        self._indexes = np.full(pixels.shape[:2], _CLEAR, np.uint8)
        self._known = np.zeros(pixels.shape[:2], bool)  # pixels whose index is one of the palette

    def must_clear(self, opaque: Mask) -> bool:
        """Whether a pixel becomes transparent, which nothing but clearing does."""
        return bool((self._opaque & ~opaque).any())

    def draw(self, pixels: Pixels, opaque: Mask, clears: bool, time: Fraction | None) -> _Drawn:
        same = self._opaque & opaque & (self._pixels == pixels).all(axis=-1)
        changed = opaque & ~same
        indexes, palette = _in_palette(pixels, opaque if clears else changed, self._palette)
        if palette is not self._palette:
            self._known = np.zeros_like(self._known)
        kept = same & self._known  # drawn again where the canvas was cleared, in the same colour
        indexes[kept] = self._indexes[kept]
        drawn = opaque if clears else changed
        self._indexes = np.where(drawn, indexes, self._indexes)
        self._known |= drawn
        self._pixels, self._opaque, self._palette = pixels, opaque, palette
        return _Drawn(np.where(drawn, indexes, np.uint8(_CLEAR)), drawn, palette, time)


def _in_palette(pixels: Pixels, drawn: Mask, palette: Pixels | None) -> tuple[Pixels, Pixels]:
    """Indexes of all pixels, and their palette: the given one if it serves what is drawn about as well as a new one."""
    colours = pixels[drawn]
    if not len(colours):
        empty = np.zeros((1, 3), np.uint8) if palette is None else palette
        return np.zeros(drawn.shape, np.uint8), empty
    if few := Image.fromarray(colours[None]).getcolors(_CLEAR):
        known = _number(np.array([colour for _, colour in few], np.uint8))
        if palette is not None and len(both := np.union1d(known, _number(palette))) <= _CLEAR:
            known = both
        known = np.sort(known)
        fresh = np.stack([known >> 16, known >> 8 & 255, known & 255], axis=-1).astype(np.uint8)
        indexes = np.zeros(drawn.shape, np.uint8)
        indexes[drawn] = np.searchsorted(known, _number(colours))
        return indexes, palette if palette is not None and np.array_equal(fresh, palette) else fresh
    fresh = _palette_of(colours)
    if palette is not None:
        sample = colours[:: max(1, len(colours) // _SAMPLE)]
        if _error(sample, palette) <= max(_NOBODY_SEES, _PATIENCE * _error(sample, fresh)):
            fresh = palette
    image = Image.fromarray(pixels).quantize(palette=_as_image(fresh), dither=Image.Dither.FLOYDSTEINBERG)
    indexes = np.array(image)
    indexes[indexes >= len(fresh)] = 0  # which has the colour that fills the rest
    return indexes, fresh


def _number(colours: Pixels) -> NDArray[np.uint32]:
    """Each colour ``(..., 3)`` as one number."""
    red, green, blue = (colours[..., i].astype(np.uint32) for i in range(3))
    return (red << 16 | green << 8 | blue).astype(np.uint32)


def _palette_of(colours: Pixels) -> Pixels:
    """At most 255 colours that stand for many: by an octree, which is as good as any in a hundredth of the time."""
    image = Image.fromarray(colours[None]).quantize(_CLEAR, method=Image.Quantize.FASTOCTREE)
    return np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)[:_CLEAR]


def _error(colours: Pixels, palette: Pixels) -> float:
    shown = Image.fromarray(colours[None]).quantize(palette=_as_image(palette), dither=Image.Dither.NONE).convert("RGB")
    return float(((np.asarray(shown)[0].astype(np.float32) - colours) ** 2).mean())


def _as_image(palette: Pixels) -> Image.Image:
    image = Image.new("P", (1, 1))
    image.putpalette(_filled(palette))
    return image


def _filled(palette: Pixels) -> bytes:
    """256 colours; those that nothing uses are the first one."""
    return palette.tobytes() + palette[:1].tobytes() * (256 - len(palette))


def _head(file: IO[bytes], first: _Drawn, plays: int, metadata: Metadata) -> None:
    height, width = first.indexes.shape
    file.write(b"GIF89a" + struct.pack("<HHBxx", width, height, 0xF7) + _filled(first.palette))
    if plays != 1:
        file.write(b"!\xff\x0bNETSCAPE2.0\3\1" + struct.pack("<H", min(max(plays - 1, 0), 65535)) + b"\0")
    if metadata.icc:
        file.write(b"!\xff\x0bICCRGBG1012" + _blocks(metadata.icc))
    if metadata.xmp:
        file.write(b"!\xff\x0bXMP DataXMP" + metadata.xmp + _TRAILER)
    if metadata.comment:
        file.write(b"!\xfe" + _blocks(metadata.comment))


def _blocks(data: bytes) -> bytes:
    parts = (data[begin : begin + 255] for begin in range(0, len(data), 255))
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def _put(file: IO[bytes], drawn: _Drawn, clears: bool, shared: Pixels, clock: Clock) -> None:
    """Writes a frame; one that clears covers everything, because only its own place is cleared."""
    mask: Any = np.ones_like(drawn.changed) if clears else drawn.changed
    box = box_of(mask)
    height, width = box.size
    flags = 4 * (_AFTER_CLEAR if clears else _AFTER_KEEP) | 1
    file.write(b"!\xf9\4" + struct.pack("<BHBx", flags, clock.ticks(drawn.time), _CLEAR))
    own = not np.array_equal(drawn.palette, shared)
    place = struct.pack("<4HB", box.columns.start, box.rows.start, width, height, 0x87 if own else 0)
    file.write(b"," + place + (_filled(drawn.palette) if own else b""))
    file.write(_compressed(np.ascontiguousarray(drawn.indexes[box.rows, box.columns])))


def _compressed(indexes: Pixels) -> bytes:
    """The indexes as GIF packs them, which Pillow does."""
    whole = io.BytesIO()
    Image.fromarray(indexes).save(whole, "GIF", optimize=False, interlace=0)  # as grey, whose palette is left out
    data = whole.getvalue()
    begin = 13 + (3 * 2 ** (data[10] % 8 + 1) if data[10] & 128 else 0)
    if data[begin : begin + 1] != b",":
        raise ValueError("the encoder writes another kind of GIF")
    own = 3 * 2 ** (data[begin + 9] % 8 + 1) if data[begin + 9] & 128 else 0
    return data[begin + 10 + own : -1]
