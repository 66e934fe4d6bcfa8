"""``python -m sr_lightning.upscale``: enlarge pictures, camera RAW files and videos of any size."""

from __future__ import annotations

import glob
import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sr_lightning.atomic import expand_home, remove_leftovers
from sr_lightning.cli.start import run
from sr_lightning.config.paths import output_is_no_folder, refuse_bad_weights, refuse_unwritable
from sr_lightning.errors import ConfigError, DataError, PictureError, ResultExistsError, SRError
from sr_lightning.inference.settings import check_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from omegaconf import DictConfig
    from rich.progress import Progress, TaskID

    from sr_lightning.inference.files.targets import Job
    from sr_lightning.inference.upscaler import Upscaler


def upscale(cfg: DictConfig) -> list[Path]:
    """Enlarges every picture that ``input`` names. A file that cannot be enlarged does not stop the others.

    Returns:
        The files that were written.

    Raises:
        SRError: If an option is invalid, or a picture could not be enlarged.

    Example:
        >>> from sr_lightning.config import compose
        >>> upscale(compose("upscale", ["model=bicubic", "input=photo.png"]))  # doctest: +SKIP
        [PosixPath('photo_x2.png')]
    """
    _refuse_what_cannot_work(cfg)
    from sr_lightning.inference.loading import load_upscaler, name_of

    found = _find_jobs(cfg)
    for folder in {job.folder for job in found}:
        remove_leftovers(folder)
    upscaler = None if cfg.burst in ("dng", "super") else load_upscaler(cfg)
    cfg.name = cfg.name or (name_of(cfg, upscaler.model) if upscaler else cfg.burst)
    if cfg.burst or upscaler is None:
        written = _enlarge_burst(found, upscaler, cfg)
        for path in written:
            print(path)
        return written
    network = type(upscaler.model).__name__
    jobs = [job for job in found if len(found) == 1 or upscaler.accepts(job.source)]
    if not jobs:
        raise DataError(f"{_named(cfg)}: {network} can enlarge none of these files")
    if len(jobs) < len(found):
        print(f"{_named(cfg)}: skipped {len(found) - len(jobs)} files that {network} cannot enlarge", file=sys.stderr)
    written = []
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


def _inputs(cfg: DictConfig) -> list[str]:
    """What ``input`` names, which is one thing or a list."""
    return [cfg.input] if isinstance(cfg.input, str) else [str(each) for each in cfg.input or ()]


def _named(cfg: DictConfig) -> str:
    """The input in a message."""
    first, *others = _inputs(cfg)
    return f"{first} and {len(others)} more" if others else first


def _find_jobs(cfg: DictConfig) -> list[Job]:
    """The pictures of all inputs, each once; of several, too, results of others among them are left out."""
    from omegaconf import OmegaConf

    from sr_lightning.inference.files.jobs import find_jobs
    from sr_lightning.inference.files.targets import is_result, with_twins

    each = [find_jobs(OmegaConf.merge(cfg, {"input": given})) for given in _inputs(cfg)]  # type: ignore[arg-type]
    if len(each) == 1:
        return each[0]
    found = list({job.source.resolve(): job for jobs in each for job in jobs}.values())
    stems = {job.source.with_suffix("") for job in found}
    jobs = [job for job in found if not is_result(job.source, str(cfg.pattern), stems, cfg.name or "sr")]
    if len(jobs) < len(found):
        print(f"{_named(cfg)}: skipped {len(found) - len(jobs)} results of the other pictures", file=sys.stderr)
    return with_twins(jobs, cfg)


def _refuse_what_cannot_work(cfg: DictConfig) -> None:
    """Checks what can be checked before torch is imported, which takes seconds."""
    if not cfg.input:
        raise ConfigError("input is missing; type: python -m sr_lightning.upscale PICTURE")
    refuse_bad_weights(cfg)
    if missing := [sentence for given in _inputs(cfg) if (sentence := _missing(given))]:
        raise DataError("\n  ".join(missing))
    if cfg.output and os.path.isfile(expand_home(cfg.output)):  # noqa: PTH113  # of any length
        raise output_is_no_folder(cfg.output)
    if cfg.output:
        refuse_unwritable(expand_home(cfg.output))
    for given in [] if cfg.output else _inputs(cfg):
        if Path(given).is_file():
            refuse_unwritable(Path(given).parent)
    check_options(cfg)


def _enlarge_all(jobs: list[Job], upscaler: Upscaler, cfg: DictConfig, written: list[Path]) -> list[str]:
    """Adds each result to ``written`` at once, and returns a sentence for each picture that failed."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from sr_lightning.data.files.io import no_pixel_limit
    from sr_lightning.inference.files.several import Outcome, upscale_files

    failed, begun, skipped = list[str](), 0, 0

    def begin(job: Job) -> Callable[[float], None]:
        nonlocal begun
        begun += 1
        of = f"{begun}/{len(jobs)} " if len(jobs) > 1 else ""
        progress.reset(bar, description=escape(f"{of}{job.source.name}"))
        return partial(_show, progress, bar)

    def end(job: Job, outcome: Outcome) -> None:
        nonlocal skipped
        if isinstance(outcome, list):
            written.extend(outcome)
        elif isinstance(outcome, ResultExistsError) and cfg.overwrite == "skip":
            skipped += 1
        else:
            failed.append(_sentence(job.source, outcome))

    with no_pixel_limit(), Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=1.0)
        upscale_files(jobs, upscaler, cfg, begin, end)
    if skipped:
        print(f"skipped {skipped} of {len(jobs)} pictures, whose results exist", file=sys.stderr)
    return failed


def _enlarge_burst(jobs: list[Job], upscaler: Upscaler | None, cfg: DictConfig) -> list[Path]:
    from rich.console import Console
    from rich.progress import Progress

    from sr_lightning.inference.files.burst import upscale_burst

    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"{len(jobs)} frames", total=1.0)
        return upscale_burst(jobs, upscaler, cfg, partial(_show, progress, bar))


def _missing(given: str) -> str | None:
    """What is to be said of an input that is not there."""
    path = expand_home(given)
    try:
        if os.path.lexists(path) or (glob.has_magic(given) and next(glob.iglob(str(path), recursive=True), None)):  # noqa: PTH207
            return None
    except OSError as error:
        return f"{given}: {error.strerror}"
    parts = given.split(",")
    several = f"; type {shlex.join(parts)}" if len(parts) > 1 and all(map(os.path.lexists, parts)) else ""
    return f"{given}: no such picture, and no folder or pattern with pictures{several}"


def _sentence(source: Path, error: Exception) -> str:
    if isinstance(error, PictureError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{source}: not enough memory for the result{f' ({error})' if str(error) else ''}"
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
