"""Writes animations and files of several pages. A file is written whole or not at all."""

import struct
from collections.abc import Iterable
from pathlib import Path

import cv2

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.data.files.formats import ANIMATIONS, APNG, TIFF
from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.pages.changes import UNITS
from sr_lightning.data.files.pages.layout import Page, Pages
from sr_lightning.data.files.pages.write_apng import write_apng
from sr_lightning.data.files.pages.write_avif import write_avif
from sr_lightning.data.files.pages.write_gif import write_gif
from sr_lightning.data.files.pages.write_tiff import write_tiff_pages
from sr_lightning.data.files.pages.write_webp import write_webp
from sr_lightning.data.files.writing import fit_to_format
from sr_lightning.errors import PictureError

_OWN = {"GIF": ".gif", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp", "AVIF": ".avif"}


def ending_of(pages: Pages) -> str:
    """The ending of a result of the same format: the file's own if it fits."""
    ending, own = pages.path.suffix.lower(), _OWN[pages.kind]
    same = {".png": APNG, ".tif": TIFF}.get(own, (own,))
    return ending if ending in same else own


def refuse_format(pages: Pages, count: int, ending: str) -> None:
    """Raises a ``PictureError`` if a format does not hold several pictures of this kind."""
    if ending in TIFF or (pages.animated and ending in ANIMATIONS):
        return
    others = "gif, png, webp, avif or tif" if pages.animated else "tif"
    raise PictureError(
        f"{pages.path}: holds {count} {pages.word}s, and a {ending[1:]} holds one; choose pages=first, "
        f"or format={others}"
    )


def fit_page(path: AnyPath, pages: Pages, page: Page) -> tuple[Photo, tuple[str, ...]]:
    """Reduces a picture of several to what a file format can hold, and lists in words what is lost."""
    ending = Path(path).suffix.lower()
    photo, lost = fit_to_format(path, page.photo)
    if pages.animated and ending in TIFF:
        lost += ("the times of its frames",)
    elif pages.animated:
        rate, most = UNITS[".png" if ending in APNG else ending]
        if page.time is not None and page.time * rate > most:
            lost += (f"times of frames beyond {most / rate:g} s",)
    if pages.cover is not None and ending not in APNG:
        lost += ("the picture before its frames",)
    if pages.plays and ending in (".avif", *TIFF):
        lost += ("how often it is played",)
    if ending == ".gif" and pages.kind != "GIF" and not pages.opaque:
        lost += ("degrees of opacity: a pixel of a GIF has all or none",)
    return photo, lost


def write_pages(
    path: AnyPath,
    written: Iterable[Page],
    pages: Pages,
    count: int,
    overwrite: bool = True,
    quality: int | None = None,
    size: int = 0,
) -> None:
    """Writes the pictures of one file into another, each as it comes.

    Args:
        path: Its ending tells the format, one that ``refuse_format`` lets through.
        written: The pictures. In an animation they have one size and one number of bits, and the metadata of the first
            are those of the file.
        pages: The file that they come from, for how often they are played, their cover and their opacity.
        count: How many there are, without a cover.
        overwrite: Whether the file may be there already.
        quality: See ``write_photo``.
        size: Bytes that all pictures have at most.

    Raises:
        PictureError: If it cannot be written, or is there and not to be overwritten.
    """
    path, opaque = Path(path), pages.opaque
    ending = path.suffix.lower()
    try:
        with atomic_write(path, overwrite) as temporary:
            if ending in TIFF:
                write_tiff_pages(temporary, written, size)
            elif ending == ".avif":
                write_avif(temporary, written, opaque, quality)
            else:
                with temporary.open("wb") as file:
                    if ending == ".gif":
                        write_gif(file, written, pages.plays)
                    elif ending == ".webp":
                        write_webp(file, written, pages.plays, opaque, quality)
                    else:
                        write_apng(file, written, pages.plays, count, opaque)
    except (OSError, ValueError, KeyError, cv2.error, struct.error) as error:
        raise PictureError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from None
