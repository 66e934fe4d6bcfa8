"""Which files to enlarge, to where, and how one of them is done."""

import glob
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from sr_lightning.data.io import EXTENSIONS, Photo, read_photo
from sr_lightning.data.raw import EXTENSIONS as RAW_EXTENSIONS
from sr_lightning.data.raw import camera_rendering, is_raw, read_raw
from sr_lightning.data.writing import write_photo
from sr_lightning.errors import ConfigError, DataError, PictureError
from sr_lightning.inference.upscaler import Upscaler


@dataclass(frozen=True)
class Job:
    """A picture, and the folder for its result."""

    source: Path
    folder: Path


def find_jobs(cfg: DictConfig) -> list[Job]:
    """The pictures that ``input`` names; those of a folder keep its tree below ``output``.

    Raises:
        DataError: If there are none.
    """
    given, output = Path(cfg.input).expanduser(), Path(cfg.output).expanduser() if cfg.output else None
    if given.is_dir():
        files, root = sorted(_pictures_below(given)), given
    elif given.is_file():
        files, root = [given], given.parent
    else:
        files = sorted(Path(name) for name in glob.glob(str(given), recursive=True))  # noqa: PTH207  # of any root
        files, root = [path for path in files if path.is_file()], given.parent
    if not files:
        raise DataError(f"{given}: no such picture, and no folder or pattern with pictures")
    jobs = [Job(path, path.parent if output is None else output) for path in files]
    if output is not None and given.is_dir():
        jobs = [Job(job.source, output / job.source.parent.relative_to(root)) for job in jobs]
    return jobs


def _pictures_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):  # which does not follow links: no loop
        if path.suffix.lower() in EXTENSIONS | RAW_EXTENSIONS and path.is_file() and not path.name.startswith("."):
            yield path


def upscale_file(job: Job, upscaler: Upscaler, cfg: DictConfig, on_progress: Callable[[float], None]) -> list[Path]:
    """Enlarges one file and writes what becomes of it.

    Raises:
        PictureError: If it cannot be read or its results cannot be written.
    """
    raw = is_raw(job.source)
    if "raw" in upscaler.model.inputs:
        if not raw:
            raise PictureError(f"{job.source}: no camera's RAW file, which {type(upscaler.model).__name__} reads")
        return _upscale_mosaic(job, upscaler, cfg, on_progress)
    photo = Photo(camera_rendering(job.source, bits=16)) if raw else read_photo(job.source)
    height, width = photo.pixels.shape[:2]
    size = wanted_size(height, width, upscaler.model.scale, cfg)
    target = _target(job, cfg, size[1] / width, ".png" if raw else job.source.suffix.lower())
    write_photo(target, upscaler.photo(photo, size=size, bits=cfg.bits, on_progress=on_progress))
    return [target]


def _upscale_mosaic(job: Job, upscaler: Upscaler, cfg: DictConfig, on_progress: Callable[[float], None]) -> list[Path]:
    if cfg.factor is not None or cfg.size is not None:
        raise ConfigError("factor and size are for ordinary pictures; a network that reads mosaics has its own scale")
    raw, bits = read_raw(job.source), cfg.bits or 16
    reference = camera_rendering(job.source, bits=8, user_flip=0)
    target = _target(job, cfg, upscaler.model.scale, ".png")
    camera = target.with_stem(f"{job.source.stem}_camera")
    bicubic = target.with_stem(f"{target.stem}_bicubic")
    others = [camera, bicubic] if cfg.compare else []
    for path in others:
        _refuse_to_overwrite(path, cfg)
    try:
        result = upscaler.raw(raw, reference, bits=bits, on_progress=on_progress)
    except DataError as error:
        raise PictureError(f"{job.source}: {error}") from None
    write_photo(target, Photo(result))
    if cfg.compare:
        from sr_lightning.models import Bicubic

        shot = Photo(camera_rendering(job.source, bits=bits))
        write_photo(camera, shot)
        write_photo(bicubic, Upscaler(Bicubic(upscaler.model.scale), tile=1024).photo(shot, bits=bits))
    return [target, *others]


def wanted_size(height: int, width: int, scale: int, cfg: DictConfig) -> tuple[int, int]:
    """Height and width of the result.

    Raises:
        ConfigError: If ``factor`` and ``size`` are both given, or one of them is none.
    """
    if cfg.factor is not None and cfg.size is not None:
        raise ConfigError("factor and size are both given; drop one")
    factor: Any = scale if cfg.factor is None else cfg.factor
    if cfg.size is not None:
        try:
            wide, high = (int(part) for part in str(cfg.size).lower().split("x"))
        except ValueError:
            raise ConfigError(f"size={cfg.size}: must be WIDTHxHEIGHT, such as 3840x2160") from None
        factor = min(wide / width, high / height)
    if not isinstance(factor, int | float) or not 0 < factor <= 64:
        raise ConfigError(f"factor={factor}: must be a number above 0, at most 64")
    return max(1, round(height * factor)), max(1, round(width * factor))


def _target(job: Job, cfg: DictConfig, factor: float, ending: str) -> Path:
    ending = f".{str(cfg.format).lstrip('.')}" if cfg.format else {".gif": ".png"}.get(ending, ending)
    name = str(cfg.pattern)
    for word, value in (("%name", job.source.stem), ("%model", cfg.name or "sr"), ("%factor", f"{factor:.4g}")):
        name = name.replace(word, value)
    if not name or "/" in name:
        raise ConfigError(f"pattern={cfg.pattern}: must give a file's name; folders go into output=")
    target = job.folder / f"{name}{ending}"
    if target.resolve() == job.source.resolve():
        raise ConfigError(f"{target}: the result would replace its own picture; change pattern= or output=")
    _refuse_to_overwrite(target, cfg)
    return target


def _refuse_to_overwrite(path: Path, cfg: DictConfig) -> None:
    if path.exists() and not cfg.overwrite:
        raise PictureError(f"{path}: is there already; overwrite=true replaces it")
