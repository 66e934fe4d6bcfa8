"""Reads the pictures of animations and of files of several pages, one after the other."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.damage import check_intact
from sr_lightning.data.files.io import Photo, one_sentence, opened, read_photo, turned
from sr_lightning.data.files.metadata import Metadata, read_exif, read_metadata
from sr_lightning.data.files.pages.apng import channels_and_bits, png_of, scan_apng
from sr_lightning.data.files.pages.canvas import Canvas
from sr_lightning.data.files.pages.choice import wanted_pages
from sr_lightning.data.files.pages.gif import gif_of, scan_gif
from sr_lightning.data.files.pages.layout import Frame, Page, Pages
from sr_lightning.data.files.pages.tiff import each_alone, scan_tiff
from sr_lightning.data.files.png_chunks import SIGNATURE
from sr_lightning.errors import PictureError

#: Is called with the file of a picture before it is decoded; raises a ``PictureError`` if it shall not be.
Check = Callable[[Path], None]


def pages_of(path: AnyPath) -> Pages | None:
    """What a file of several pictures holds; None of any other, whether or not it is a picture.

    Nothing is decoded. Further pictures that cameras add to theirs (MPO, HEIC) do not count.

    Raises:
        PictureError: If the file is missing, or is one of several pictures and damaged.
    """
    path = Path(path)
    with one_sentence(path):
        with path.open("rb") as file:
            start = file.read(64)
        if start.startswith((b"GIF87a", b"GIF89a")):
            gif = scan_gif(path)
            return gif if gif.count > 1 else None
        if start.startswith(SIGNATURE):
            return scan_apng(path)
        if start.startswith((b"II", b"MM")):
            return scan_tiff(path)
        webp = start.startswith(b"RIFF") and start[8:16] == b"WEBPVP8X" and len(start) > 20 and start[20] & 2
        if webp or (start[4:8] == b"ftyp" and b"avis" in start):
            return _by_pillow(path)
    return None


def _by_pillow(path: Path) -> Pages | None:
    """Of formats whose frames Pillow gives as they show."""
    with opened(path) as image:
        count: int = getattr(image, "n_frames", 1)
        if count < 2:
            return None
        return Pages(
            path,
            "WEBP" if image.format == "WEBP" else "AVIF",
            ((image.height, image.width),) * count,
            plays=image.info.get("loop", 0),
            opaque="A" not in image.mode,
        )


def read_page(path: AnyPath, pages: object = "first", check: Check | None = None) -> Photo:
    """Reads one picture of a file, which may hold more.

    Args:
        path: The file.
        pages: Which one, as ``wanted_pages`` takes it.
        check: Sees the file of a picture among several before it is decoded.

    Raises:
        PictureError: If it cannot be read, or is not there.
        ConfigError: If ``pages`` is not one.
    """
    found = pages_of(path)
    numbers = wanted_pages(Path(path), pages, found.count if found else 1)
    if found is None:
        return read_photo(path)
    (page,) = read_pages(found, numbers[:1], check)
    return page.photo


def read_pages(pages: Pages, numbers: range, check: Check | None = None, with_cover: bool = False) -> Iterator[Page]:
    """The pictures of a file, each decoded when its turn comes; no more than two are in memory.

    Args:
        pages: The file.
        numbers: Which, counted from 1.
        check: Sees every picture's own file before it is decoded.
        with_cover: Whether the cover of an APNG comes first, as a page without a time.

    Raises:
        PictureError: If one cannot be decoded, or ``check`` refuses it.
    """
    if pages.kind == "TIFF":
        yield from _pages_of_tiff(pages, numbers, check)
        return
    with one_sentence(pages.path):
        metadata, orientation = _of_the_file(pages)
        frames = _composed(pages, numbers, check, with_cover) if pages.parts else _frames_by_pillow(pages, numbers)
        for photo, time in frames:
            alpha = None if photo.alpha is None else turned(photo.alpha, orientation)
            yield Page(Photo(turned(photo.pixels, orientation), alpha, metadata), time)


def _of_the_file(pages: Pages) -> tuple[Metadata, int]:
    """Metadata of an animation, and its orientation."""
    with opened(pages.path) as image:
        check_intact(pages.path, image)
        exif, orientation, readable = read_exif(image)
        metadata = read_metadata(pages.path, image, exif, readable)
    if own := pages.metadata:
        metadata = replace(metadata, icc=own.icc, xmp=own.xmp, comment=own.comment)
    return replace(metadata, lost=metadata.lost + pages.lost), orientation


def _composed(pages: Pages, numbers: range, check: Check | None, with_cover: bool) -> Iterator[Page]:
    """Frames of a GIF or PNG, whose parts are decoded as files of their own and laid on one canvas."""
    channels, bits = channels_and_bits(pages.parts[0]) if pages.kind == "PNG" else (3, 8)
    canvas = Canvas(*pages.sizes[0], channels, np.uint16 if bits == 16 else np.uint8)
    alone = png_of if pages.kind == "PNG" else gif_of
    with TemporaryDirectory() as folder, pages.path.open("rb") as file:
        part = Path(folder) / f"frame.{pages.kind.lower()}"

        def decoded(frame: Frame, name: str) -> Photo:
            with _called(part, f"{pages.path}, {name}"):
                part.write_bytes(alone(file, frame))
                if check is not None:
                    check(part)
                return read_photo(part)

        if with_cover and pages.cover is not None:
            yield Page(decoded(pages.cover, "the picture before its frames"))
        for number, frame in enumerate(pages.parts[: numbers[-1]], 1):
            photo = decoded(frame, f"frame {number}") if frame.height and frame.width else _NOTHING
            shown = canvas.show(photo, frame)
            if number in numbers:
                yield Page(shown, frame.time)


_NOTHING = Photo(np.zeros((0, 0, 1), np.uint8))


def _frames_by_pillow(pages: Pages, numbers: range) -> Iterator[Page]:
    with opened(pages.path) as image:
        for number in numbers:
            with _called(pages.path, f"{pages.path}, frame {number}"), one_sentence(pages.path):
                image.seek(number - 1)
                image.load()
            values: Any = np.asarray(image).reshape(image.height, image.width, -1)
            channels = 1 if values.shape[2] <= 2 else 3
            alpha = values[..., channels:] if values.shape[2] > channels else None
            yield Page(Photo(values[..., :channels], alpha), Fraction(image.info["duration"], 1000))


def _pages_of_tiff(pages: Pages, numbers: range, check: Check | None) -> Iterator[Page]:
    with TemporaryDirectory() as folder, each_alone(pages, Path(folder) / "page.tif") as alone:
        for number in numbers:
            with _called(alone.path, f"{pages.path}, page {number}"):
                path = alone.show(number)
                if check is not None:
                    check(path)
                photo = read_photo(path)
            lost = photo.metadata.lost + (pages.lost if number == numbers[0] else ())
            yield Page(replace(photo, metadata=replace(photo.metadata, lost=lost)))


@contextmanager
def _called(path: Path, name: str) -> Iterator[None]:
    """Errors within the block name a part of a file instead of where it lies for the moment."""
    try:
        yield
    except PictureError as error:
        raise PictureError(str(error).replace(str(path), name)) from None
