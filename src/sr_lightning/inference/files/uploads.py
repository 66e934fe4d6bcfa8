"""Limits of pictures that strangers send: what is too large is refused by its header, before it is decoded."""

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from sr_lightning.data.files.io import picture_size
from sr_lightning.data.files.pages.reading import pages_of
from sr_lightning.data.files.raw import is_raw, raw_size
from sr_lightning.errors import PictureError
from sr_lightning.inference.memory import refuse_without_room
from sr_lightning.inference.sizes import wanted_size

TIMES = "\N{MULTIPLICATION SIGN}"
TOGETHER = 10  # times the megapixels of one result that the pictures of one file may have together


class TooLargeError(PictureError):
    """An upload, or its result, that is beyond a limit."""


def check_upload(path: Path, cfg: DictConfig, taker: str = "this page") -> tuple[int, int]:
    """Height and width of an upload, which is decoded only if its header is within the limits.

    Args:
        path: The upload.
        cfg: With ``max_upload_mb``, ``max_upload_megapixels`` and ``memory``.
        taker: Who has these limits.

    Raises:
        TooLargeError: If it is beyond a limit.
        PictureError: If it is no picture.
    """
    megabytes = path.stat().st_size / 1e6
    if megabytes > cfg.max_upload_mb:
        raise TooLargeError(f"{path}: has {megabytes:.0f} MB, and {taker} takes {cfg.max_upload_mb:g} MB at most.")
    raw = is_raw(path)
    stored = raw_size(path) if raw else picture_size(path, upright=False)
    _limit(f"{path}: has", *stored, cfg.max_upload_megapixels, taker)
    if not raw:
        refuse_without_room(path, cfg.memory)
        for height, width in page_sizes(path)[1:]:
            _limit(f"{path}: has a page with", height, width, cfg.max_upload_megapixels, taker)
    return stored if raw else picture_size(path)


def check_result(
    source: Path, size: tuple[int, int], scale: float, options: DictConfig, megapixels: float, taker: str = "this page"
) -> None:
    """Refuses results that are too large, each of them or together.

    Args:
        source: The upload.
        size: Height and width of its first result.
        scale: Of the network.
        options: With ``factor`` and ``size``.
        megapixels: The most that one may have; those of one file may have ``TOGETHER`` times as many.
        taker: Who has this limit.

    Raises:
        TooLargeError: If they are.
    """
    _limit("The result would have", *size, megapixels, taker)
    sizes = [wanted_size(*each, scale, options.factor, options.size) for each in page_sizes(source)]
    together = sum(height * width for height, width in sizes) / 1e6
    if together > TOGETHER * megapixels:
        raise TooLargeError(
            f"The result would have {len(sizes)} pictures of {together:.0f} megapixels together, and {taker} takes "
            f"{TOGETHER * megapixels:g} at most."
        )


def page_sizes(path: Path) -> Sequence[tuple[int, int]]:
    """Height and width of each picture of a file of several; of any other, nothing."""
    pages = None if is_raw(path) else pages_of(path)
    return pages.sizes if pages else ()


def _limit(what: str, height: int, width: int, megapixels: float, taker: str) -> None:
    if height * width > megapixels * 1e6:
        raise TooLargeError(
            f"{what} {width} {TIMES} {height} pixels, {height * width / 1e6:.1f} megapixels, and {taker} takes "
            f"{megapixels:g} at most."
        )
