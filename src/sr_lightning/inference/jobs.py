"""Which files to enlarge, to where, and how one of them is done."""

import glob
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from sr_lightning.data.io import EXTENSIONS, Photo, read_photo
from sr_lightning.data.raw import EXTENSIONS as RAW_EXTENSIONS
from sr_lightning.data.raw import camera_rendering, is_raw, read_raw
from sr_lightning.data.writing import write_photo
from sr_lightning.errors import ConfigError, DataError, PictureError
from sr_lightning.inference.images import LARGEST_FACTOR, enlarged_size
from sr_lightning.inference.targets import (
    Job,
    is_result,
    refuse_to_overwrite,
    refuse_too_large,
    refuse_twins,
    result_path,
)
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.inference.video import EXTENSIONS as VIDEO_EXTENSIONS
from sr_lightning.inference.video import upscale_video
from sr_lightning.inference.zero_shot import ZeroShotUpscaler


def find_jobs(cfg: DictConfig) -> list[Job]:
    """The pictures that ``input`` names; those of a folder or pattern keep their tree below ``output``.

    Of a folder, results of earlier runs are left out: what lies in ``output``, and what is called as the result of
    another picture would be.

    Raises:
        DataError: If there are none.
        ConfigError: If the results of two would have one name.
    """
    given, output = Path(cfg.input).expanduser(), Path(cfg.output).expanduser() if cfg.output else None
    if given.is_dir():
        files, root = _pictures_below(given, output, str(cfg.pattern)), given
    elif given.is_file():
        files, root = [given], given.parent
    else:
        files = sorted(Path(name) for name in glob.glob(str(given), recursive=True))  # noqa: PTH207  # of any root
        files = [path for path in files if path.is_file()]
        root = next(path for path in given.parents if not glob.has_magic(str(path)))
    if not files:
        raise DataError(f"{given}: no such picture, and no folder or pattern with pictures")
    jobs = [Job(path, output / path.parent.relative_to(root) if output else path.parent) for path in files]
    refuse_twins(jobs, cfg)
    return jobs


def _pictures_below(folder: Path, output: Path | None, pattern: str) -> list[Path]:
    found = sorted(_walk(folder))
    if output is not None and output.resolve() != folder.resolve():
        found = [path for path in found if not path.resolve().is_relative_to(output.resolve())]
    stems = {path.with_suffix("") for path in found}
    files = [path for path in found if not is_result(path, pattern, stems)]
    if len(files) < len(found):
        print(f"{folder}: {len(found) - len(files)} results of other pictures are left out", file=sys.stderr)
    return files


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):  # which does not follow links: no loop
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in EXTENSIONS | RAW_EXTENSIONS | {".gif"} and path.is_file() and not hidden:
            yield path


def upscale_file(job: Job, upscaler: Upscaler, cfg: DictConfig, on_progress: Callable[[float], None]) -> list[Path]:
    """Enlarges one file and writes what becomes of it.

    Raises:
        PictureError: If it cannot be read or its results cannot be written.
        DataError: If there is no enlarging it; the message leaves out which picture it is.
    """
    raw = is_raw(job.source)
    if "raw" in upscaler.model.inputs:
        if not raw:
            raise PictureError(f"{job.source}: no camera's RAW file, which {type(upscaler.model).__name__} reads")
        return _upscale_mosaic(job, upscaler, cfg, on_progress)
    if job.source.suffix.lower() in VIDEO_EXTENSIONS:
        if isinstance(upscaler, ZeroShotUpscaler):
            raise PictureError(f"{job.source}: zero-shot training takes minutes for each frame; choose another model=")
        size_of = partial(wanted_size, scale=upscaler.model.scale, cfg=cfg)
        return [upscale_video(job, upscaler, cfg, size_of, on_progress)]
    photo = Photo(camera_rendering(job.source, bits=16)) if raw else read_photo(job.source)
    height, width = photo.pixels.shape[:2]
    size = wanted_size(height, width, upscaler.model.scale, cfg)
    target = result_path(job, cfg, size[1] / width, ".png" if raw else job.source.suffix.lower())
    refuse_too_large(target, *size)
    upscaler = upscaler.reaching(max(size[0] / height, size[1] / width)).beside(job.source)
    result = upscaler.photo(photo, size=size, bits=cfg.bits, on_progress=on_progress)
    write_photo(target, result, overwrite=cfg.overwrite)
    return [target]


def _upscale_mosaic(job: Job, upscaler: Upscaler, cfg: DictConfig, on_progress: Callable[[float], None]) -> list[Path]:
    if cfg.factor is not None or cfg.size is not None:
        raise ConfigError("factor and size are for ordinary pictures; a network that reads mosaics has its own scale")
    raw, bits = read_raw(job.source), cfg.bits or 16
    reference = camera_rendering(job.source, bits=8, user_flip=0)
    target = result_path(job, cfg, upscaler.model.scale, ".png")
    camera = target.with_stem(f"{job.source.stem}_camera")
    bicubic = target.with_stem(f"{target.stem}_bicubic")
    others = [camera, bicubic] if cfg.compare else []
    for path in others:
        refuse_to_overwrite(path, cfg)
    result = upscaler.raw(raw, reference, bits=bits, on_progress=on_progress)
    write_photo(target, Photo(result), overwrite=cfg.overwrite)
    if cfg.compare:
        from sr_lightning.models import Bicubic

        shot = Photo(camera_rendering(job.source, bits=bits))
        enlarged = Upscaler(Bicubic(upscaler.model.scale), tile=1024).photo(shot, bits=bits)
        write_photo(camera, shot, overwrite=cfg.overwrite)
        write_photo(bicubic, enlarged, overwrite=cfg.overwrite)
    return [target, *others]


def wanted_size(height: int, width: int, scale: int, cfg: DictConfig) -> tuple[int, int]:
    """Height and width of the result.

    Raises:
        ConfigError: If ``factor`` and ``size`` are both given, or one of them is none.
        DataError: If the picture is too small for ``size``.
    """
    if cfg.factor is not None and cfg.size is not None:
        raise ConfigError("factor and size are both given; drop one")
    factor = scale if cfg.factor is None else cfg.factor
    if cfg.size is not None:
        try:
            wide, high = (int(part) for part in str(cfg.size).lower().split("x"))
            if min(wide, high) < 1:
                raise ValueError
        except ValueError:
            raise ConfigError(f"size={cfg.size}: must be WIDTHxHEIGHT, such as 3840x2160") from None
        factor = min(wide / width, high / height)
        if not 0 < factor <= LARGEST_FACTOR:
            raise DataError(f"{width}x{height} pixels are {factor:.4g} times too few for size={cfg.size}")
    return enlarged_size(height, width, factor)
