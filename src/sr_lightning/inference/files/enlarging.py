"""How one file is enlarged: read, computed, written. Only the middle needs the network."""

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.pages.reading import read_page
from sr_lightning.data.files.raw import (
    AS_SHOT,
    camera_photo,
    finished,
    is_raw,
    seen_by_networks,
)
from sr_lightning.data.files.writing import fit_to_format, write_photo
from sr_lightning.errors import PictureError, ResultExistsError
from sr_lightning.inference.files.animations import several_of, upscale_pages
from sr_lightning.inference.files.comparing import bicubic_of
from sr_lightning.inference.files.notes import note, warn
from sr_lightning.inference.files.raw_files import development_of, upscale_raw
from sr_lightning.inference.files.targets import Job, bicubic_beside, refuse_to_overwrite, refuse_too_large, result_path
from sr_lightning.inference.files.video import EXTENSIONS as VIDEO_EXTENSIONS
from sr_lightning.inference.files.video import WantedSize, upscale_video
from sr_lightning.inference.memory import refuse_without_room
from sr_lightning.inference.sizes import wanted_size
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.inference.zero_shot import ZeroShotUpscaler

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Opened:
    """A picture that was read, and what is to become of it.

    Attributes:
        source: Its file.
        photo: The picture, without what the format of the result cannot hold.
        size: Height and width of the result.
        target: The file of the result.
        beside: The file of the bicubic enlargement, if it is wanted too.
        warnings: Sentences about the file.
    """

    source: Path
    photo: Photo
    size: tuple[int, int]
    target: Path
    beside: Path | None
    warnings: list[str]


def _of_folder(folder: Path) -> PictureError:
    try:
        os.scandir(folder).close()
    except OSError:
        return PictureError(f"{folder}: a folder that cannot be looked into")
    return PictureError(f"{folder}: a folder, and a list names pictures; type it as an input of its own")


def upscale_file(job: Job, upscaler: Upscaler, cfg: DictConfig, on_progress: Progress) -> list[Path]:
    """Enlarges one file and writes what becomes of it.

    Raises:
        PictureError: If it cannot be read or its results cannot be written.
        DataError: If there is no enlarging it; the message leaves out which picture it is.
    """
    if job.source.is_dir():
        raise _of_folder(job.source)
    if is_raw(job.source) or upscaler.model.packed or upscaler.model.reads_mosaic:
        written = upscale_raw(job, upscaler, cfg, on_progress)
        if written is not None:
            return written
    if is_video(job.source):
        if cfg.pages != "all":
            raise PictureError(f"{job.source}: pages={cfg.pages} is for animations and pages; drop it for a video")
        if isinstance(upscaler, ZeroShotUpscaler):
            raise PictureError(f"{job.source}: zero-shot training takes minutes for each frame; choose another model=")
        _warn_without_comparison(job.source, cfg)
        return [upscale_video(job, upscaler, cfg, size_of(upscaler, cfg), on_progress)]
    if several := several_of(job.source, cfg):
        if isinstance(upscaler, ZeroShotUpscaler):
            raise PictureError(
                f"{job.source}: zero-shot training takes minutes for each of its pictures; choose another model=, or "
                "pages=first"
            )
        _warn_without_comparison(job.source, cfg)
        return [upscale_pages(job, *several, upscaler, cfg, size_of(upscaler, cfg), on_progress)]
    with warnings_told_apart():
        opened = read(job, upscaler, cfg)
    return write(opened, compute(opened, upscaler, cfg, on_progress), cfg)


def is_video(path: Path) -> bool:
    """Whether a file is called like a video."""
    return path.suffix.lower() in VIDEO_EXTENSIONS


def size_of(upscaler: Upscaler, cfg: DictConfig) -> WantedSize:
    """What tells height and width of a result by those of a picture."""
    return partial(wanted_size, scale=upscaler.model.scale, factor=cfg.factor, size=cfg.size)


def read(job: Job, upscaler: Upscaler, cfg: DictConfig) -> Opened:
    """Decodes a picture, or has a RAW file rendered as the camera would, once nothing speaks against its result.

    Raises:
        PictureError: If it cannot be read, or its result cannot be written.
        DataError: If it is too small for the result wanted.
    """
    raw, development = is_raw(job.source), development_of(cfg)
    if not raw and development != AS_SHOT:
        warn(job.source, "exposure, highlights, white_balance and colour are for RAW files, and do nothing to it")
    ending = ".png" if raw else job.source.suffix.lower()
    if cfg.size is None:  # before the picture is read
        result_path(job, cfg, upscaler.model.scale, ending)
    wanted = size_of(upscaler, cfg)
    with _warnings_of_this_thread() as said:
        check = partial(refuse_without_room, memory=cfg.memory, wanted=wanted, bits=cfg.bits)
        check(job.source)
        if raw:
            photo = camera_photo(job.source, seen_by_networks(development))
        else:
            photo = read_page(job.source, cfg.pages, check)
    height, width = photo.pixels.shape[:2]
    size = wanted(height, width)
    target = result_path(job, cfg, size[1] / width, ending)
    refuse_too_large(target, *size)
    beside = bicubic_beside(target) if cfg.compare else None
    if beside:
        try:
            refuse_to_overwrite(beside, cfg, job)
        except ResultExistsError:
            if cfg.overwrite != "skip":
                raise
            beside = None  # what there is, stays
    sentences = list(dict.fromkeys(" ".join(line.split()).removeprefix(f"{job.source}: ") for line in said))
    photo, lost = fit_to_format(target, photo)
    if lost := photo.metadata.lost + lost:
        sentences.append(f"the result is without {', '.join(lost)}")
    return Opened(job.source, photo, size, target, beside, sentences)


def compute(opened: Opened, upscaler: Upscaler, cfg: DictConfig, on_progress: Progress) -> Photo:
    """Enlarges a picture that was read, and gives the warnings about it.

    Raises:
        DataError: If there is no enlarging it; the message leaves out which picture it is.
    """
    for sentence in opened.warnings:
        warn(opened.source, sentence)
    (height, width), size = opened.photo.pixels.shape[:2], opened.size
    upscaler = upscaler.for_factor(max(size[0] / height, size[1] / width)).with_sidecar_files(opened.source)
    upscaler.on_warning = partial(warn, opened.source)
    upscaler.on_note = partial(note, opened.source)
    return upscaler.photo(opened.photo, size=size, bits=cfg.bits, on_progress=on_progress)


def write(opened: Opened, result: Photo, cfg: DictConfig) -> list[Path]:
    """Encodes a result into its file, and the bicubic enlargement beside it if that is wanted; names both.

    Raises:
        PictureError: If one cannot be written.
    """
    development = development_of(cfg) if is_raw(opened.source) else AS_SHOT
    if opened.beside:  # first: a result that is there says that all of it is
        height, width = result.pixels.shape[:2]  # zero-shot training has factors of its own
        enlarged = finished(bicubic_of(opened.photo, (height, width), cfg.bits), development)
        write_photo(opened.beside, enlarged, overwrite=cfg.overwrite is True, quality=cfg.quality)
    write_photo(opened.target, finished(result, development), overwrite=cfg.overwrite is True, quality=cfg.quality)
    return [opened.target, *([opened.beside] if opened.beside else [])]


def _warn_without_comparison(source: Path, cfg: DictConfig) -> None:
    if cfg.compare:
        warn(source, "compare=true writes nothing beside videos and animations")


@contextmanager
def warnings_told_apart() -> Iterator[None]:
    """Inside, ``read`` hears what its own thread warns of; what others warn of, such as a network, is said as usual.

    Python's warnings belong to the process: the first of several threads that are inside at once changes them, and the
    last one restores them.
    """
    global _inside, _restore
    with _ENTERING:
        if _inside == 0:
            _restore = ExitStack()
            _restore.enter_context(_hearing())
        _inside += 1
    try:
        yield
    finally:
        with _ENTERING:
            _inside -= 1
            if _inside == 0:
                _restore.close()


@contextmanager
def _hearing() -> Iterator[None]:
    usual = warnings.showwarning

    def hear(message: Warning | str, *where: Any, **more: Any) -> None:
        said: list[str] | None = getattr(_HEARD, "said", None)
        if said is None:
            usual(message, *where, **more)
        else:
            said.append(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = hear
        yield


_ENTERING = threading.Lock()
_inside = 0
_restore = ExitStack()
_HEARD = threading.local()


@contextmanager
def _warnings_of_this_thread() -> Iterator[list[str]]:
    _HEARD.said = list[str]()
    try:
        yield _HEARD.said
    finally:
        _HEARD.said = None
