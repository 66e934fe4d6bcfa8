"""``burst=``: the RAW frames of one scene become one result."""

import warnings
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from omegaconf import DictConfig

from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.metadata import CameraColours, Metadata
from sr_lightning.data.files.raw import exif_of_raw, is_raw, write_mosaic_dng
from sr_lightning.data.files.raw.turning import turned_upright
from sr_lightning.data.files.writing import write_photo
from sr_lightning.errors import ConfigError, PictureError, ResultExistsError
from sr_lightning.inference.burst import Burst, enlarged_burst, largest_shift, merged_burst, read_burst
from sr_lightning.inference.files.enlarging import Progress, upscale_file
from sr_lightning.inference.files.notes import note
from sr_lightning.inference.files.raw_files import development_of
from sr_lightning.inference.files.targets import ANY_PICTURES, Job, is_result, refuse_to_overwrite, result_path
from sr_lightning.inference.upscaler import Upscaler

#: Pixels of the mosaic by which a frame has to be moved to show what lies between samples.
LEAST_SHIFT = 0.3
#: What the names of results have behind that of the reference.
SUFFIX = "_burst"


def upscale_burst(jobs: list[Job], upscaler: Upscaler | None, cfg: DictConfig, on_progress: Progress) -> list[Path]:
    """Merges all files and writes what ``burst`` asks for; frames that do not fit are named in warnings.

    ``true`` enlarges the merged mosaic as a RAW file, ``dng`` writes it, ``super`` fills a finer grid with the frames.
    The last two need no upscaler.

    Raises:
        ConfigError: If an option is not for bursts.
        DataError: If fewer than two frames can be used.
    """
    stems = {job.source.with_suffix("") for job in jobs} | {
        job.source.with_name(f"{job.source.stem}{SUFFIX}") for job in jobs
    }
    frames = [
        job
        for job in jobs
        if is_raw(job.source)
        and not job.source.stem.endswith(SUFFIX)
        and not is_result(job.source, str(cfg.pattern), stems, cfg.name or "sr")
    ]
    for job in jobs:
        if job not in frames:
            warnings.warn(f"{job.source}: is no frame of the burst, and is left out", stacklevel=2)
    development = development_of(cfg)
    _refuse_for(cfg)
    share = 0.5
    sources = [job.source for job in frames]
    burst = read_burst(sources, development.white_balance, lambda done: on_progress(share * done))
    for path, reason in burst.left_out.items():
        warnings.warn(f"{path}: left out of the burst: {reason}", stacklevel=2)
    (folder,) = {job.folder for job in frames if job.source == burst.source}
    if cfg.burst == "super" and largest_shift(burst) < LEAST_SHIFT:
        note(burst.source, "the frames hardly moved, and nothing fills the finer grid; burst=true suits them better")
    rest = partial(_later, on_progress, share)
    try:
        return _write(burst, folder, upscaler, cfg, rest, sources)
    except ResultExistsError:
        if cfg.overwrite != "skip":
            raise
        note(burst.source, "the result of its burst exists, and is left as it is")
        return []


def _write(
    burst: Burst, folder: Path, upscaler: Upscaler | None, cfg: DictConfig, on_progress: Progress, frames: list[Path]
) -> list[Path]:
    if cfg.burst in (True, "super"):
        named = Job(folder / f"{burst.source.stem}{SUFFIX}{burst.source.suffix}", folder)
        scale = cfg.scale if upscaler is None else upscaler.model.scale
        target = result_path(named, cfg, scale, ".png", kinds=ANY_PICTURES | {".dng"})
        if target.resolve() in {frame.resolve() for frame in frames}:
            raise PictureError(f"{target}: the result would replace a frame of the burst; change pattern= or output=")
    if cfg.burst == "super":
        return [_write_super(burst, folder, cfg, on_progress)]
    if cfg.burst == "dng":
        return [_write_merged(burst, folder / f"{burst.source.stem}{SUFFIX}.dng", cfg, on_progress)]
    assert upscaler is not None
    with TemporaryDirectory() as temporary:
        merged = Path(temporary) / f"{burst.source.stem}{SUFFIX}.dng"
        _write_merged(burst, merged, cfg, lambda done: on_progress(done / 2))
        return upscale_file(Job(merged, folder), upscaler, cfg, lambda done: on_progress((1 + done) / 2))


#: By the kind of burst: options that would do nothing, with what they are otherwise.
_WITHOUT: dict[str, dict[str, object]] = {
    "dng": {"exposure": "as_shot", "highlights": "clip", "colour": "srgb", "factor": None, "size": None, "bits": None,
            "quality": None, "compare": None, "strength": 1.0, "ensemble": None, "pattern": "%name_x%factor"},
    "super": {"exposure": "as_shot", "highlights": "clip", "colour": "srgb", "size": None, "compare": None,
              "strength": 1.0, "ensemble": None},
}  # fmt: skip
_GIVES = {"dng": "writes the mosaic as it is", "super": "fills a finer grid without a network, as it was shot"}


def _refuse_for(cfg: DictConfig) -> None:
    """Raises a ``ConfigError`` if an option would do nothing to this kind of burst."""
    for key, nothing in _WITHOUT.get(str(cfg.burst), {}).items():
        if cfg[key] != nothing:
            gives = _GIVES[str(cfg.burst)]
            raise ConfigError(f"{key}={cfg[key]}: burst={cfg.burst} {gives}; leave {key}= out, or use burst=true")
    if cfg.burst == "super" and cfg.factor not in (None, cfg.scale):
        raise ConfigError(f"factor={cfg.factor}: burst=super has whole factors; use scale=")
    if cfg.burst == "dng" and cfg.format and str(cfg.format).lower().lstrip(".") != "dng":
        raise ConfigError(f"format={cfg.format}: burst=dng writes a DNG; leave format= out, or use burst=true")


def _write_merged(burst: Burst, target: Path, cfg: DictConfig, on_progress: Progress) -> Path:
    refuse_to_overwrite(target, cfg)
    merged = merged_burst(burst, on_progress)
    exif = exif_of_raw(burst.source)
    write_mosaic_dng(target, merged.mosaic, like=merged, exif=exif, overwrite=cfg.overwrite is True)
    return target


def _write_super(burst: Burst, folder: Path, cfg: DictConfig, on_progress: Progress) -> Path:
    job = Job(folder / f"{burst.source.stem}{SUFFIX}{burst.source.suffix}", folder)
    target = result_path(job, cfg, cfg.scale, ".png")
    pixels = turned_upright(
        enlarged_burst(burst, int(cfg.scale), bits=cfg.bits or 16, on_progress=on_progress), burst.like.flip
    )
    colours = CameraColours(burst.like.gains, burst.like.matrix)
    metadata = Metadata(exif=exif_of_raw(burst.source), icc=development_of(cfg).profile, camera=colours)
    write_photo(target, Photo(pixels, metadata=metadata), overwrite=cfg.overwrite is True, quality=cfg.quality)
    return target


def _later(on_progress: Progress, begin: float, share: float) -> None:
    on_progress(begin + (1 - begin) * share)
