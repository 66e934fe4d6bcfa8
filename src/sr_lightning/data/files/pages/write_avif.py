"""Writes an AVIF sequence."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from sr_lightning.data.files.io import Photo, to_uint8
from sr_lightning.data.files.pages.changes import Clock, with_opacity
from sr_lightning.data.files.pages.layout import Page
from sr_lightning.data.files.writing import image_of, options_of


def write_avif(path: Path, pages: Iterable[Page], opaque: bool, quality: int | None) -> None:
    """Writes frames as they come.

    Args:
        path: Of the result.
        pages: The frames, of one size. The metadata of the first one are written.
        opaque: Whether none has a transparent pixel.
        quality: See ``write_photo``.
    """
    film = _Film(pages, opaque)
    film.seek(0)
    film.save(path, save_all=True, duration=film.times, **options_of(".avif", film.photo, quality))


class _Film(Image.Image):
    """Frames that are made when Pillow turns to them, because it takes a list and would hold them all."""

    is_animated = True

    def __init__(self, pages: Iterable[Page], opaque: bool) -> None:
        super().__init__()
        self._pages, self._opaque, self._at = iter(pages), opaque, -1
        self._clock = Clock(ending=".avif")
        self.times: list[int] = []
        self.photo: Photo

    def tell(self) -> int:
        return max(0, self._at)

    def seek(self, frame: int) -> None:
        """Makes the next frame; the others are gone."""
        if frame <= self._at:
            return
        page = next(self._pages, None)
        if page is None:
            raise EOFError
        photo = page.photo if self._opaque else with_opacity(page.photo)
        self.photo = Photo(to_uint8(photo.pixels), photo.alpha, photo.metadata)
        image = image_of(self.photo).convert("RGB" if self._opaque else "RGBA")
        self.im, self._mode, self._size = image.im, image.mode, image.size
        self.times.append(self._clock.ticks(page.time))
        self._at += 1
