"""Camera RAW files through networks that read their mosaic."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sr_lightning.data.files.raw import (
    AS_SHOT,
    Development,
    camera_photo,
    exif_of_raw,
    is_raw,
    read_raw,
    write_mosaic_dng,
)
from sr_lightning.data.files.writing import write_photo
from sr_lightning.errors import ConfigError, PictureError
from sr_lightning.inference.files.comparing import bicubic_of
from sr_lightning.inference.files.notes import note, warn
from sr_lightning.inference.files.targets import Job, bicubic_beside, refuse_to_overwrite, result_path
from sr_lightning.inference.memory import refuse_without_room
from sr_lightning.inference.mosaics import refuse_other_sizes, upscale_raw_file
from sr_lightning.inference.raw_to_raw import enlarge_mosaic
from sr_lightning.inference.upscaler import Upscaler

Progress = Callable[[float], None]


def development_of(cfg: DictConfig) -> Development:
    """The choices for RAW files.

    Raises:
        ConfigError: If one cannot be.
    """
    balance: Any = cfg.white_balance
    balance = OmegaConf.to_object(balance) if OmegaConf.is_config(balance) else balance
    return Development(cfg.exposure, cfg.highlights, balance, cfg.colour)


def upscale_raw(job: Job, upscaler: Upscaler, cfg: DictConfig, on_progress: Progress) -> list[Path] | None:
    """What becomes of a RAW file by a network that reads its mosaic; None if the network is for pictures.

    Raises:
        ConfigError: If an option is not for such a network.
        PictureError: If the file is no RAW file, cannot be read, or its results cannot be written.
    """
    by_name, development = upscaler.model.reads_mosaic, development_of(cfg)
    if is_raw(job.source):
        upscaler.on_note = partial(note, job.source)
        upscaler = upscaler.for_raw_file(job.source, cfg.factor if cfg.size is None else 0, development)
    if not (upscaler.model.reads_mosaic or upscaler.model.packed):
        return None
    if not is_raw(job.source):
        raise PictureError(f"{job.source}: no camera's RAW file, which {type(upscaler.model).__name__} reads")
    refuse_other_sizes(None if upscaler.model.scale == cfg.factor else cfg.factor, cfg.size)
    upscaler.on_warning = partial(warn, job.source)
    scale = 1 if upscaler.model.packed else upscaler.model.scale  # a mosaic is one number for each pixel
    refuse_without_room(job.source, cfg.memory, lambda height, width: (height * scale, width * scale), cfg.bits)
    if upscaler.model.packed:
        return [_enlarge(job, upscaler, cfg, on_progress)]
    # Who names such a network compares it; who named none gets one result.
    return _develop(job, upscaler, cfg, on_progress, compare=by_name if cfg.compare is None else cfg.compare)


def _develop(job: Job, upscaler: Upscaler, cfg: DictConfig, on_progress: Progress, compare: bool) -> list[Path]:
    development, bits = development_of(cfg), cfg.bits or 16
    target = result_path(job, cfg, upscaler.model.scale, ".png")
    camera = target.with_stem(f"{job.source.stem}_camera")
    bicubic = bicubic_beside(target)
    others = [camera, bicubic] if compare else []
    for path in others:
        refuse_to_overwrite(path, cfg, job)
    result = upscale_raw_file(upscaler, job.source, development, bits=bits, on_progress=on_progress)
    if others:
        shot = camera_photo(job.source, development, bits=bits)
        height, width = shot.pixels.shape[:2]
        enlarged = bicubic_of(shot, (height * upscaler.model.scale, width * upscaler.model.scale), bits)
        write_photo(camera, shot, overwrite=cfg.overwrite is True, quality=cfg.quality)
        write_photo(bicubic, enlarged, overwrite=cfg.overwrite is True, quality=cfg.quality)
    # Last: a result that is there says that all of it is.
    write_photo(target, result, overwrite=cfg.overwrite is True, quality=cfg.quality)
    return [target, *others]


def _enlarge(job: Job, upscaler: Upscaler, cfg: DictConfig, on_progress: Progress) -> Path:
    """A RAW file as the mosaic of a finer sensor, in a DNG that RAW converters develop."""
    for key in ("exposure", "highlights", "white_balance", "colour"):
        if cfg[key] != getattr(AS_SHOT, key):
            raise ConfigError(f"{key}={cfg[key]}: this network gives a mosaic, not developed; leave {key}= out")
    if cfg.format and str(cfg.format).lower().lstrip(".") != "dng":
        raise ConfigError(
            f"format={cfg.format}: this network gives a mosaic, which a DNG alone holds; leave format= out, and then "
            "enlarge or develop the DNG"
        )
    if cfg.compare:
        warn(job.source, "compare=true writes nothing beside a mosaic")
    target = result_path(job, cfg, upscaler.model.scale, ".dng", kinds={".dng"})
    large = enlarge_mosaic(upscaler, read_raw(job.source), on_progress=on_progress)
    options: Any = {"exif": exif_of_raw(job.source), "overwrite": cfg.overwrite is True}
    write_mosaic_dng(target, large.mosaic, pattern=large.pattern, like=large, **options)
    return target
