"""Which files to enlarge, to where, and how one of them is done."""

import glob
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from sr_lightning.atomic import expand_home
from sr_lightning.data.files.exif import exif_of_raw
from sr_lightning.data.files.formats import BY_EXTRA, EXTENSIONS, OTHERS, looks_like_a_picture
from sr_lightning.data.files.io import Photo, camera_photo, read_photo
from sr_lightning.data.files.metadata import Metadata
from sr_lightning.data.files.raw import EXTENSIONS as RAW_EXTENSIONS
from sr_lightning.data.files.raw import camera_rendering, is_raw, read_raw
from sr_lightning.data.files.writing import fit_to_format, write_photo
from sr_lightning.errors import ConfigError, DataError, PictureError
from sr_lightning.inference.files.targets import (
    Job,
    is_result,
    refuse_to_overwrite,
    refuse_too_large,
    refuse_twins,
    result_path,
)
from sr_lightning.inference.files.video import EXTENSIONS as VIDEO_EXTENSIONS
from sr_lightning.inference.files.video import upscale_video
from sr_lightning.inference.memory import refuse_without_room
from sr_lightning.inference.sizes import wanted_size
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.inference.zero_shot import ZeroShotUpscaler

_PICTURES = EXTENSIONS | RAW_EXTENSIONS | BY_EXTRA.keys() | OTHERS | {".gif"}


def find_jobs(cfg: DictConfig) -> list[Job]:
    """The pictures that ``input`` names; those of a folder or pattern keep their tree below ``output``.

    Results of earlier runs are skipped: the files of an ``output`` below a folder, and files named like the result of
    another of the pictures would be.

    Raises:
        DataError: If there are none.
        ConfigError: If the results of two would have one name, or nothing writes their ``format``.
    """
    given, output = expand_home(cfg.input), expand_home(cfg.output) if cfg.output else None
    names = str(cfg.pattern), cfg.name or "sr"
    if given.is_dir():
        files, root = _pictures_below(given, output, *names), given
    elif given.is_file():
        files, root = [given], given.parent
    else:
        files = sorted(Path(name) for name in glob.glob(str(given), recursive=True))  # noqa: PTH207  # of any root
        files = _without_results([path for path in files if path.is_file()], given, *names)
        root = next(path for path in given.parents if not glob.has_magic(str(path)))
    if not files:
        raise DataError(f"{given}: no such picture, and no folder or pattern with pictures")
    jobs = [Job(path, output / path.parent.relative_to(root) if output else path.parent) for path in files]
    refuse_twins(jobs, cfg)
    return jobs


def _pictures_below(folder: Path, output: Path | None, pattern: str, model: str) -> list[Path]:
    found = sorted(_walk(folder))
    if output is not None and folder.resolve() in output.resolve().parents:
        found = [path for path in found if not path.resolve().is_relative_to(output.resolve())]
    return _without_results(found, folder, pattern, model)


def _without_results(found: list[Path], where: Path, pattern: str, model: str) -> list[Path]:
    stems = {path.with_suffix("") for path in found}
    files = [path for path in found if not is_result(path, pattern, stems, model)]
    if len(files) < len(found):
        _tell(f"{where}: {len(found) - len(files)} files skipped: they are results of other pictures")
    return files


def _walk(folder: Path) -> Iterator[Path]:
    """All pictures below a folder, also those that nothing reads, and the folders that cannot be looked into.

    Whatever is called like a picture, or begins as one, is one: it becomes a result or a failure with its reason.
    """
    unreadable: list[Path] = []
    left_out: Counter[str] = Counter()
    for here, folders, names in os.walk(folder, onerror=lambda error: unreadable.append(Path(error.filename))):
        folders[:] = [name for name in folders if not name.startswith(".")]
        # Links are not followed: no loop.
        left_out["linked folder"] += sum((Path(here) / name).is_symlink() for name in folders)
        for path in (Path(here) / name for name in names if not name.startswith(".")):
            ending = path.suffix.lower()
            if ending in VIDEO_EXTENSIONS:
                left_out["video"] += 1
            elif ending in _PICTURES or looks_like_a_picture(path):
                yield path
    yield from unreadable
    if others := [f"{count} {kind}{'s' * (count > 1)}" for kind, count in left_out.items() if count]:
        _tell(f"{folder}: left out: {' and '.join(others)}; name one as input= to enlarge what it holds")


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _warn(source: Path, sentence: str) -> None:
    warnings.warn(f"{source}: {sentence}", stacklevel=2)


@contextmanager
def _warnings_name_file(source: Path) -> Iterator[None]:
    """Repeats the warnings of reading a file with its name, if it could be read."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        yield
    for line in dict.fromkeys(" ".join(str(warning.message).split()) for warning in said):
        _warn(source, line.removeprefix(f"{source}: "))


def upscale_file(job: Job, upscaler: Upscaler, cfg: DictConfig, on_progress: Callable[[float], None]) -> list[Path]:
    """Enlarges one file and writes what becomes of it.

    Raises:
        PictureError: If it cannot be read or its results cannot be written.
        DataError: If there is no enlarging it; the message leaves out which picture it is.
    """
    if job.source.is_dir():
        raise PictureError(f"{job.source}: a folder that cannot be looked into")
    raw = is_raw(job.source)
    if upscaler.model.reads_mosaic:
        if not raw:
            raise PictureError(f"{job.source}: no camera's RAW file, which {type(upscaler.model).__name__} reads")
        return _upscale_mosaic(job, upscaler, cfg, on_progress)
    if job.source.suffix.lower() in VIDEO_EXTENSIONS:
        if isinstance(upscaler, ZeroShotUpscaler):
            raise PictureError(f"{job.source}: zero-shot training takes minutes for each frame; choose another model=")
        size_of = partial(wanted_size, scale=upscaler.model.scale, factor=cfg.factor, size=cfg.size)
        return [upscale_video(job, upscaler, cfg, size_of, on_progress)]
    ending = ".png" if raw else job.source.suffix.lower()
    if cfg.size is None:  # before the picture is read
        result_path(job, cfg, upscaler.model.scale, ending)
    wanted = partial(wanted_size, scale=upscaler.model.scale, factor=cfg.factor, size=cfg.size)
    with _warnings_name_file(job.source):
        if not raw:
            refuse_without_room(job.source, cfg.memory, wanted, cfg.bits)
        photo = camera_photo(job.source) if raw else read_photo(job.source)
    height, width = photo.pixels.shape[:2]
    size = wanted(height, width)
    target = result_path(job, cfg, size[1] / width, ending)
    refuse_too_large(target, *size)
    photo, lost = fit_to_format(target, photo)
    if lost := photo.metadata.lost + lost:
        _warn(job.source, f"the result is without {', '.join(lost)}")
    upscaler = upscaler.for_factor(max(size[0] / height, size[1] / width)).with_sidecar_files(job.source)
    upscaler.on_warning = partial(_warn, job.source)
    result = upscaler.photo(photo, size=size, bits=cfg.bits, on_progress=on_progress)
    write_photo(target, result, overwrite=cfg.overwrite is True, quality=cfg.quality)
    return [target]


def _upscale_mosaic(job: Job, upscaler: Upscaler, cfg: DictConfig, on_progress: Callable[[float], None]) -> list[Path]:
    if cfg.factor is not None or cfg.size is not None:
        raise ConfigError("factor and size are for ordinary pictures; a network that reads mosaics has its own scale")
    raw, bits, metadata = read_raw(job.source), cfg.bits or 16, Metadata(exif=exif_of_raw(job.source))
    reference = camera_rendering(job.source, bits=8, user_flip=0)
    target = result_path(job, cfg, upscaler.model.scale, ".png")
    camera = target.with_stem(f"{job.source.stem}_camera")
    bicubic = target.with_stem(f"{target.stem}_bicubic")
    others = [camera, bicubic] if cfg.compare else []
    for path in others:
        refuse_to_overwrite(path, cfg)
    upscaler.on_warning = partial(_warn, job.source)
    result = upscaler.raw(raw, reference, bits=bits, on_progress=on_progress)
    write_photo(target, Photo(result, metadata=metadata), overwrite=cfg.overwrite is True, quality=cfg.quality)
    if cfg.compare:
        from sr_lightning.models import Bicubic

        shot = Photo(camera_rendering(job.source, bits=bits), metadata=metadata)
        enlarged = Upscaler(Bicubic(scale=upscaler.model.scale), tile=1024).photo(shot, bits=bits)
        write_photo(camera, shot, overwrite=cfg.overwrite is True, quality=cfg.quality)
        write_photo(bicubic, enlarged, overwrite=cfg.overwrite is True, quality=cfg.quality)
    return [target, *others]
