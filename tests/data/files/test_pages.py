"""Animations and files of several pages: ffmpeg and Pillow see the same frames, in results too."""

import io
import struct
import weakref
import zlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageSequence

from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.metadata import Metadata
from sr_lightning.data.files.pages.layout import Page, Pages
from sr_lightning.data.files.pages.reading import pages_of, read_page, read_pages
from sr_lightning.data.files.pages.writing import write_pages
from sr_lightning.data.files.png_chunks import SIGNATURE, packed
from sr_lightning.errors import PictureError

HEIGHT, WIDTH = 12, 17
TIMES = [Fraction(n, 100) for n in (5, 20, 0, 7)]


def rgba(photo: Photo) -> np.ndarray:
    full = np.iinfo(photo.pixels.dtype).max
    alpha = np.full((*photo.pixels.shape[:2], 1), full, photo.pixels.dtype) if photo.alpha is None else photo.alpha
    return np.concatenate([np.broadcast_to(photo.pixels, (*alpha.shape[:2], 3)), alpha], axis=-1)


def seen(values: np.ndarray) -> np.ndarray:
    """Without the colours of what is transparent."""
    return values * (values[..., 3:] > 0)


def read(path: Path) -> list[np.ndarray]:
    pages = pages_of(path)
    assert pages is not None
    return [seen(rgba(page.photo)) for page in read_pages(pages, range(1, pages.count + 1))]


def by_ffmpeg(path: Path) -> list[np.ndarray]:
    av = pytest.importorskip("av")
    with av.open(str(path)) as file:
        return [seen(frame.reformat(format="rgba").to_ndarray()) for frame in file.decode(video=0)]


def by_pillow(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [seen(np.asarray(frame.convert("RGBA"))) for frame in ImageSequence.Iterator(image)]


def lzw(indexes: np.ndarray) -> bytes:
    """The codes of a GIF without compression: a clear code before each pixel."""
    bits = "".join("000000001" + f"{int(index):09b}"[::-1] for index in indexes.flat) + "100000001"
    data = bytes(int(bits[i : i + 8].ljust(8, "0")[::-1], 2) for i in range(0, len(bits), 8))
    blocks = b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255))
    return b"\x08" + blocks + b"\0"


def boxes(rng: np.random.Generator, count: int, first_is_whole: bool) -> Iterator[tuple[int, int, int, int]]:
    for number in range(count):
        left, top = (int(rng.integers(0, end - 3)) for end in (WIDTH, HEIGHT))
        width, height = int(rng.integers(1, WIDTH - left + 1)), int(rng.integers(1, HEIGHT - top + 1))
        yield (0, 0, WIDTH, HEIGHT) if first_is_whole and not number else (left, top, width, height)


def gif(disposals: list[int], transparent: bool = True, first_is_whole: bool = True) -> bytes:
    """A GIF with frames anywhere, made by hand."""
    rng = np.random.default_rng(3)
    colours = rng.integers(0, 256, (256, 3), dtype=np.uint8).tobytes()
    data = b"GIF89a" + struct.pack("<HHBBB", WIDTH, HEIGHT, 0xF7, 3, 0) + colours + b"!\xff\x0bNETSCAPE2.0\3\1\4\0\0"
    for box in boxes(rng, 8, first_is_whole):
        flags = int(rng.choice(disposals)) << 2 | transparent
        data += b"!\xf9\4" + struct.pack("<BHBB", flags, int(rng.integers(1, 30)), 5, 0)
        data += b"," + struct.pack("<4HB", *box, 0x87)
        data += rng.integers(0, 256, (256, 3), dtype=np.uint8).tobytes() + lzw(rng.integers(0, 8, box[3:1:-1]))
    return data + b";"


def apng(disposals: list[int], blends: list[int], colours: int = 6, bits: int = 8, cover: bool = False) -> bytes:
    """An animated PNG with frames anywhere, made by hand."""
    rng = np.random.default_rng(4)
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colours]
    data = SIGNATURE + packed(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colours, 0, 0, 0))
    data += packed(b"acTL", struct.pack(">II", 6, 3))
    number = 0
    if cover:
        data += packed(b"IDAT", zlib.compress(bytes(HEIGHT * (1 + WIDTH * channels * bits // 8))))
    for index, (left, top, width, height) in enumerate(boxes(rng, 6, True)):
        how = int(rng.choice(disposals)), int(rng.choice(blends)) if index else 0
        control = struct.pack(">5I2H2B", number, width, height, left, top, int(rng.integers(1, 9)), 30, *how)
        rows = rng.integers(0, 256, (height, width * channels * bits // 8), dtype=np.uint8)
        pixels = zlib.compress(np.insert(rows, 0, 0, axis=1).tobytes())
        data += packed(b"fcTL", control)
        number += 1
        if index or cover:
            data += packed(b"fdAT", struct.pack(">I", number) + pixels)
            number += 1
        else:
            data += packed(b"IDAT", pixels)
    return data + packed(b"IEND", b"")


@pytest.mark.parametrize("first_is_whole", [True, False])
@pytest.mark.parametrize("disposals", [[1], [2], [3], [0, 1, 2, 3]])
def test_frames_of_a_gif_are_ffmpegs(disposals: list[int], first_is_whole: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(gif(disposals, first_is_whole=first_is_whole))
    for ours, theirs in zip(read(path), by_ffmpeg(path), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_a_gif_clears_is_transparent_as_in_browsers(tmp_path: Path) -> None:
    """Not the background colour of the file, which browsers do not show."""
    path = tmp_path / "a.gif"
    path.write_bytes(gif([2], transparent=False))
    frames = read(path)
    assert frames[0][..., 3].min() == 255 and all(0 in frame[..., 3] for frame in frames[1:])
    opaque = tmp_path / "b.gif"
    opaque.write_bytes(gif([1], transparent=False))
    pages = pages_of(opaque)
    assert pages is not None and pages.opaque and pages.plays == 5 and not pages_of(path).opaque  # type: ignore[union-attr]


@pytest.mark.parametrize("colours", [0, 2, 4, 6])
@pytest.mark.parametrize(("disposals", "blends"), [([0, 1, 2], [0]), ([0], [1]), ([0, 1, 2], [0, 1])])
def test_frames_of_an_apng_are_ffmpegs(disposals: list[int], blends: list[int], colours: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(apng(disposals, blends, colours))
    for ours, theirs in zip(read(path), by_ffmpeg(path), strict=True):
        there = (ours[..., 3:] > 0) & (theirs[..., 3:] > 0)
        difference = np.abs(ours.astype(int) - theirs) * there
        assert difference.max() <= (4 if 1 in blends else 0)  # it divides faster than exactly


def test_a_deep_apng_keeps_its_bits_and_its_cover(tmp_path: Path) -> None:
    path = tmp_path / "a.apng"
    path.write_bytes(apng([0], [0], colours=2, bits=16, cover=True))
    pages = pages_of(path)
    assert pages is not None and pages.count == 6 and pages.plays == 3 and pages.opaque
    cover, first, *others = read_pages(pages, range(1, 7), with_cover=True)
    assert cover.time is None and not cover.photo.pixels.any() and len(others) == 5
    assert first.photo.pixels.dtype == np.uint16 and len(np.unique(first.photo.pixels)) > 500
    write_pages(tmp_path / "b.apng", [cover, first, *others], pages, 6)
    again = pages_of(tmp_path / "b.apng")
    assert again is not None and again.plays == 3
    for before, after in zip([cover, first, *others], read_pages(again, range(1, 7), with_cover=True), strict=True):
        np.testing.assert_array_equal(before.photo.pixels, after.photo.pixels)
        assert before.time == after.time


def some_frames(transparent: bool) -> list[Page]:
    """Four frames; the second is the first, and something moves in the others."""
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    alpha = np.where(rng.random((40, 50, 1)) < 0.3, 0, 255).astype(np.uint8)
    frames = []
    for number, time in enumerate(TIMES):
        now, opacity = pixels.copy(), alpha.copy()
        if number > 1:
            now[5:15, 10 * number : 10 * number + 8] = rng.integers(0, 256, (10, 8, 3))
            opacity[5:15, 10 * number : 10 * number + 8] = 255 * (number % 2)
        frames.append(Page(Photo(now, opacity if transparent else None, Metadata(lossless=True)), time))
    return frames


def shape(plays: int = 3, opaque: bool = False) -> Pages:
    return Pages(Path("a.gif"), "GIF", ((40, 50),) * 4, plays=plays, opaque=opaque)


@pytest.mark.parametrize("transparent", [True, False])
@pytest.mark.parametrize("ending", ["png", "webp", "gif", "avif", "tif"])
def test_what_is_written_is_what_others_read(ending: str, transparent: bool, tmp_path: Path) -> None:
    path, frames = tmp_path / f"a.{ending}", some_frames(transparent)
    write_pages(path, iter(frames), shape(opaque=not transparent), 4)
    found = by_pillow(path)
    assert len(found) == 4
    for page, pixels in zip(frames, found, strict=True):
        if ending in ("png", "webp", "tif"):
            np.testing.assert_array_equal(seen(rgba(page.photo)), pixels)
        elif ending == "gif":
            np.testing.assert_array_equal(rgba(page.photo)[..., 3], pixels[..., 3])
    with Image.open(path) as image:
        times = [frame.load() and frame.info.get("duration") for frame in ImageSequence.Iterator(image)]
        loop = image.info.get("loop")
    if ending != "tif":
        assert times == [50, 200, 1 if ending == "avif" else 0, 70]  # libavif shows each frame
        assert loop == {"gif": 2, "avif": None}.get(ending, 3)  # a GIF counts repeats


@pytest.mark.parametrize("transparent", [True, False])
def test_colours_of_a_gif_do_not_flicker(transparent: bool, tmp_path: Path) -> None:
    """Pixels that stay the same keep their colour, though half of the picture calls for another palette.

    Where a hole moves, the canvas is cleared and all of it is drawn again.
    """
    rng = np.random.default_rng(7)
    still, frames = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8), []
    for number in range(4):
        pixels, alpha = still.copy(), np.full((40, 50, 1), 255, np.uint8)
        if transparent:
            alpha[:, 10 * number : 10 * number + 8] = 0
            pixels[:3] = rng.integers(0, 256, (3, 50, 3))  # from which errors are spread
        elif number:
            pixels[20:] = rng.integers(80 * number - 60, 80 * number, (20, 50, 3))
        frames.append(Page(Photo(pixels, alpha if transparent else None), Fraction(1, 10)))
    write_pages(tmp_path / "a.gif", frames, shape(opaque=not transparent), 4)
    shown = by_pillow(tmp_path / "a.gif")
    for (one, other), (first, second) in zip(pairwise(frames), pairwise(shown), strict=True):
        same = (rgba(one.photo) == rgba(other.photo)).all(axis=-1) & (rgba(one.photo)[..., 3] > 0)
        assert same.sum() > 900
        np.testing.assert_array_equal(first[same], second[same])


@pytest.mark.parametrize("transparent", [True, False])
def test_few_colours_of_a_gif_are_exact(transparent: bool, tmp_path: Path) -> None:
    frames = [
        page._replace(photo=Photo(page.photo.pixels // 64 * 64, page.photo.alpha)) for page in some_frames(transparent)
    ]
    write_pages(tmp_path / "a.gif", frames, shape(plays=1, opaque=not transparent), 4)
    for page, pixels in zip(frames, by_pillow(tmp_path / "a.gif"), strict=True):
        np.testing.assert_array_equal(seen(rgba(page.photo)), pixels)
    with Image.open(tmp_path / "a.gif") as image:
        assert "loop" not in image.info


def test_metadata_of_a_gif(tmp_path: Path) -> None:
    told = Metadata(icc=bytes(range(256)) * 3, xmp=b"<x:xmpmeta>\xff\xfe</x:xmpmeta>", comment=b"two words" * 60)
    frames = [page._replace(photo=Photo(page.photo.pixels, metadata=told)) for page in some_frames(False)]
    write_pages(tmp_path / "a.gif", frames, shape(), 4)
    found = read_page(tmp_path / "a.gif", 2).metadata
    assert (found.icc, found.xmp, found.comment) == (told.icc, told.xmp, told.comment)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["comment"] == told.comment


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "tif"])
def test_frames_are_made_one_after_the_other(ending: str, tmp_path: Path) -> None:
    living: list[weakref.ref[Any]] = []
    most = 0

    def pages() -> Iterator[Page]:
        nonlocal most
        for number in range(12):
            pixels = np.full((8, 8, 3), number, np.uint8)
            living.append(weakref.ref(pixels))
            most = max(most, sum(each() is not None for each in living))
            yield Page(Photo(pixels), Fraction(1, 10))
            del pixels

    write_pages(tmp_path / f"a.{ending}", pages(), shape(opaque=True), 12)
    assert most <= 4


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
def test_pages_of_a_tiff(order: Any, big: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    pages = [
        rng.integers(0, 65536, (9, 12, 3), dtype=np.uint16),
        rng.integers(0, 256, (5, 4), dtype=np.uint8),
        rng.integers(0, 65536, (7, 6), dtype=np.uint16),
    ]
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=order, bigtiff=big) as file:
        for number, pixels in enumerate(pages):
            file.write(pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", compression="zlib",
                       metadata=None, resolution=(100 + number, 50), resolutionunit=2)  # fmt: skip
            file.write(pixels[::2, ::2], subfiletype=1, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    found = pages_of(tmp_path / "a.tif")
    assert found is not None and found.sizes == ((9, 12), (5, 4), (7, 6)) and "3 reduced copies" in found.lost[0]
    for number, (pixels, page) in enumerate(zip(pages, read_pages(found, range(1, 4)), strict=True)):
        np.testing.assert_array_equal(page.photo.pixels.squeeze(), pixels)
        assert page.photo.metadata.dpi == (100 + number, 50) and page.time is None
    np.testing.assert_array_equal(read_page(tmp_path / "a.tif", "last").pixels[..., 0], pages[-1])


def with_frames(name: str, folder: Path) -> Path:
    path = folder / name
    write_pages(path, some_frames(False), shape(opaque=True), 4)
    return path


@pytest.mark.parametrize(
    ("name", "share", "message"),
    [
        ("a.gif", 0.7, r"a\.gif: is damaged \(it ends within frame \d\); get an intact copy"),
        ("a.png", 0.7, r"a\.png: is damaged \(it declares 4 frames, and \d are whole\); get an intact copy"),
        ("a.webp", 0.7, r"a\.webp: is damaged or cut short; get an intact copy$"),
        ("a.avif", 0.7, r"a\.avif: is damaged or cut short; get an intact copy$"),
        ("a.tif", 0.7, r"a\.tif: is damaged \(page \d lies beyond its end\); get an intact copy"),
    ],
)
def test_a_file_that_is_cut_is_one_sentence(name: str, share: float, message: str, tmp_path: Path) -> None:
    path = with_frames(name, tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PictureError, match=message):
        read(path)


def test_a_frame_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    data = bytearray(gif([1]))
    place = len(data) - 40
    data[place : place + 30] = bytes(30)
    path.write_bytes(data)
    with pytest.raises(PictureError, match=r"a\.gif, frame 8: .*(damaged|cannot be decoded)"):
        read(path)
    data = bytearray(apng([0], [0]))
    place = data.rfind(b"fdAT")
    data[place + 12] ^= 1
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(PictureError, match=r"a\.png: is damaged .*get an intact copy"):
        read(path)


def test_a_gif_without_its_end_mark_tells_so(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(gif([1])[:-1])
    assert len(read(path)) == 8 and "no end mark" in read_page(path).metadata.lost[0]


def test_more_frames_declared_than_there_are(tmp_path: Path) -> None:
    data = apng([0], [0])
    wrong = packed(b"acTL", struct.pack(">II", 10_000, 0))
    (tmp_path / "a.png").write_bytes(data.replace(packed(b"acTL", struct.pack(">II", 6, 3)), wrong))
    with pytest.raises(PictureError, match="it declares 10000 frames, and 6 are whole"):
        pages_of(tmp_path / "a.png")


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF", "WEBP", "AVIF", "JPEG"])
def test_a_picture_alone_is_none_of_several(form: str, tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, form)
    (tmp_path / "a").write_bytes(data.getvalue())
    assert pages_of(tmp_path / "a") is None
    assert read_page(tmp_path / "a", "last").pixels.shape == (8, 8, 3)
    with pytest.raises(PictureError, match="holds one picture, and pages=2 is not among them"):
        read_page(tmp_path / "a", 2)
