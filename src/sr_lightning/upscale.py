"""``python -m sr_lightning.upscale``: enlarge pictures and camera RAW files of any size."""

from __future__ import annotations

import glob
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sr_lightning.atomic import remove_leftovers
from sr_lightning.cli.start import run
from sr_lightning.config.paths import output_is_no_folder, refuse_bad_weights, refuse_unwritable
from sr_lightning.errors import CheckpointError, ConfigError, DataError, PictureError, ResultExistsError, SRError

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from rich.progress import Progress, TaskID

    from sr_lightning.inference.files.targets import Job
    from sr_lightning.inference.upscaler import Upscaler


def upscale(cfg: DictConfig) -> list[Path]:
    """Enlarges every picture that ``input`` names; goes on after a bad file.

    Returns:
        The files written.

    Raises:
        SRError: If an option cannot work, or a picture could not be enlarged.

    Example:
        >>> from sr_lightning.config import compose
        >>> upscale(compose("upscale", ["model=bicubic", "input=photo.png"]))  # doctest: +SKIP
        [PosixPath('photo_x2.png')]
    """
    _refuse_what_cannot_work(cfg)
    from sr_lightning.inference.files.jobs import find_jobs
    from sr_lightning.inference.loading import load_upscaler, name_of

    found = find_jobs(cfg)
    for folder in {job.folder for job in found}:
        remove_leftovers(folder)
    upscaler = load_upscaler(cfg)
    cfg.name = cfg.name or name_of(cfg, upscaler.model)
    jobs = [job for job in found if len(found) == 1 or upscaler.accepts(job.source)]
    network = type(upscaler.model).__name__
    if not jobs:
        raise DataError(f"{cfg.input}: none of the files is for {network}")
    if len(jobs) < len(found):
        print(f"{cfg.input}: {len(found) - len(jobs)} files are left out, which are not for {network}", file=sys.stderr)
    written: list[Path] = []
    try:
        failed = _enlarge_all(jobs, upscaler, cfg, written)
    finally:  # what was written before Ctrl-C, too
        for path in written:
            print(path)
    if failed and len(jobs) == 1:
        raise SRError(failed[0])
    if failed:
        raise SRError("\n  ".join([f"{len(failed)} of {len(jobs)} pictures could not be enlarged:", *failed]))
    return written


def _refuse_what_cannot_work(cfg: DictConfig) -> None:
    """Before torch is imported, which takes a while."""
    if not cfg.input:
        raise ConfigError("input is missing: input=PICTURE, a folder, or a pattern in quotes")
    refuse_bad_weights(cfg)
    _refuse_missing(str(cfg.input))
    if cfg.output and os.path.isfile(Path(cfg.output).expanduser()):  # noqa: PTH113  # of any length
        raise output_is_no_folder(cfg.output)
    if cfg.output:
        refuse_unwritable(Path(cfg.output).expanduser())
    elif Path(cfg.input).is_file():
        refuse_unwritable(Path(cfg.input).parent)


def _enlarge_all(jobs: list[Job], upscaler: Upscaler, cfg: DictConfig, written: list[Path]) -> list[str]:
    """Adds each result to ``written`` as soon as it is there, and returns a sentence for each picture without one."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from sr_lightning.data.files.io import no_pixel_limit
    from sr_lightning.inference.files.jobs import upscale_file

    failed: list[str] = []
    with no_pixel_limit(), Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=1.0)
        show = partial(_show, progress, bar)
        for number, job in enumerate(jobs, 1):
            of = f"{number}/{len(jobs)} " if len(jobs) > 1 else ""
            progress.reset(bar, description=escape(f"{of}{job.source.name}"))
            try:
                written += upscale_file(job, upscaler, cfg, show)
            except ResultExistsError as error:
                if cfg.overwrite != "skip":
                    failed.append(str(error))
            except (DataError, CheckpointError, MemoryError, OSError) as error:
                failed.append(_sentence(job.source, error))
    return failed


def _refuse_missing(given: str) -> None:
    path = Path(given).expanduser()
    try:
        if os.path.lexists(path) or (glob.has_magic(given) and next(glob.iglob(str(path), recursive=True), None)):  # noqa: PTH207
            return
    except OSError as error:
        raise DataError(f"{given}: {error.strerror}") from None
    raise DataError(f"{given}: no such picture, and no folder or pattern with pictures")


def _sentence(source: Path, error: Exception) -> str:
    if isinstance(error, PictureError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{source}: there is not enough memory for the result{f' ({error})' if str(error) else ''}"
    if isinstance(error, OSError):  # a disk or a network share that fails
        return f"{error.filename or source}: {error.strerror or error}"
    return f"{source}: {error}"


def _show(progress: Progress, bar: TaskID, done: float) -> None:
    progress.update(bar, completed=done)


def main() -> None:
    """Entry point of ``sr-upscale``."""
    run(upscale, "upscale")


if __name__ == "__main__":
    main()
