"""``python -m sr_lightning.upscale``: enlarge pictures, camera RAW files and videos of any size."""

from __future__ import annotations

import glob
import os
import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sr_lightning.atomic import expand_home, remove_leftovers
from sr_lightning.cli.start import run
from sr_lightning.config.paths import output_is_no_folder, refuse_bad_weights, refuse_unwritable
from sr_lightning.errors import ConfigError, DataError, SRError
from sr_lightning.inference.settings import check_options
from sr_lightning.stores import is_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from omegaconf import DictConfig
    from rich.progress import Progress, TaskID

    from sr_lightning.inference.files.taken import Taken
    from sr_lightning.inference.files.targets import Job
    from sr_lightning.inference.upscaler import Upscaler


def upscale(cfg: DictConfig) -> list[Path | str]:
    """Enlarges every picture that ``input`` names. A file that cannot be enlarged does not stop the others.

    Returns:
        The files that were written; those in stores by their URLs.

    Raises:
        SRError: If an option is invalid, or a picture could not be enlarged.

    Example:
        >>> from sr_lightning.config import compose
        >>> upscale(compose("upscale", ["model=bicubic", "input=photo.png"]))  # doctest: +SKIP
        [PosixPath('photo_x2.png')]
    """
    written: list[Path | str] = []
    enlarge(cfg, written.append)
    return written


def enlarge(cfg: DictConfig, on_written: Callable[[Path | str], None] = lambda place: None) -> None:
    """As ``upscale`` does, without keeping the names of a million results.

    Args:
        cfg: Of ``upscale``.
        on_written: Is called with each result as soon as it is written.
    """
    _refuse_what_cannot_work(cfg)
    from sr_lightning.inference.loading import load_upscaler, name_of

    found = _find_jobs(cfg)
    for folder in {job.folder for job in found if job.into is None}:
        remove_leftovers(folder)
    upscaler = None if cfg.burst in ("dng", "super") else load_upscaler(cfg)
    cfg.name = cfg.name or (name_of(cfg, upscaler.model) if upscaler else cfg.burst)
    if cfg.burst or upscaler is None:
        for path in _enlarge_burst(found, upscaler, cfg):
            print(path)
            on_written(path)
        return
    network = type(upscaler.model).__name__
    jobs = [job for job in found if len(found) == 1 or upscaler.accepts(job.source)]
    if not jobs:
        raise DataError(f"{_named(cfg)}: {network} can enlarge none of these files")
    if len(jobs) < len(found):
        print(f"{_named(cfg)}: skipped {len(found) - len(jobs)} files that {network} cannot enlarge", file=sys.stderr)
    jobs = _of_this_part(jobs, cfg)
    if not jobs:
        return
    failed = _enlarge_all(jobs, upscaler, cfg, on_written)
    if failed and len(jobs) == 1:
        raise SRError(failed[0])
    if failed:
        raise SRError("\n  ".join([f"{len(failed)} of {len(jobs)} pictures could not be enlarged:", *failed]))


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
    from sr_lightning.inference.files.places import is_list
    from sr_lightning.inference.files.targets import with_twins, without_results

    each = [find_jobs(OmegaConf.merge(cfg, {"input": given})) for given in _inputs(cfg)]  # type: ignore[arg-type]
    if len(each) == 1 and not is_list(_inputs(cfg)[0]):
        return each[0]
    found = list({job.url or job.source.resolve(): job for jobs in each for job in jobs}.values())
    pictures = set(without_results([job.source for job in found], str(cfg.pattern), cfg.name or "sr"))
    jobs = [replace(job, twin=None) for job in found if job.source in pictures]
    if len(jobs) < len(found):
        print(f"{_named(cfg)}: skipped {len(found) - len(jobs)} results of the other pictures", file=sys.stderr)
    return with_twins(jobs, cfg)


def _of_this_part(jobs: list[Job], cfg: DictConfig) -> list[Job]:
    """The jobs of ``part``, in the order of their names, which all parts see."""
    from sr_lightning.inference.files.parts import check_part, part_of

    part = check_part(cfg.part)
    if part is None:
        return jobs
    of_part = part_of(sorted(jobs, key=lambda job: job.name), part)
    if not of_part:
        print(f"part={cfg.part}: has none of the {len(jobs)} pictures", file=sys.stderr)
    return of_part


def _refuse_what_cannot_work(cfg: DictConfig) -> None:
    """Checks what can be checked before torch is imported, which takes seconds."""
    if not cfg.input:
        raise ConfigError("input is missing; type: python -m sr_lightning.upscale PICTURE")
    from sr_lightning.inference.files.parts import check_part
    from sr_lightning.inference.files.places import is_list, refuse_places

    refuse_bad_weights(cfg)
    refuse_places(_inputs(cfg), cfg.output)
    here = [given for given in _inputs(cfg) if not is_url(given) and not is_list(given)]
    if missing := [sentence for given in here if (sentence := _missing(given))]:
        raise DataError("\n  ".join(missing))
    there = bool(cfg.output) and is_url(cfg.output)
    if cfg.output and not there and os.path.isfile(expand_home(cfg.output)):  # noqa: PTH113  # of any length
        raise output_is_no_folder(cfg.output)
    if cfg.output and not there:
        refuse_unwritable(expand_home(cfg.output))
    for given in [] if cfg.output else here:
        if Path(given).is_file():
            refuse_unwritable(Path(given).parent)
    check_options(cfg)
    check_part(cfg.part)
    if cfg.burst:
        _refuse_for_bursts(cfg, len(here) < len(_inputs(cfg)) or there)


def _refuse_for_bursts(cfg: DictConfig, elsewhere: bool) -> None:
    """Frames of one scene become one result, which is not shared among several processes."""
    if elsewhere:
        raise ConfigError(f"burst={cfg.burst}: merges files of this machine; copy them here first, and the result back")
    for key in ("part", "cluster"):
        if cfg[key]:
            raise ConfigError(f"{key}={cfg[key]}: a burst has one result; leave {key}= out")


def _enlarge_all(
    jobs: list[Job], upscaler: Upscaler, cfg: DictConfig, on_written: Callable[[Path | str], None]
) -> list[str]:
    """Tells each result at once, and returns a sentence for each picture that failed."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    from sr_lightning.data.files.io import no_pixel_limit
    from sr_lightning.inference.files.account import Account, Fate, fate_of
    from sr_lightning.inference.files.several import Outcome, upscale_files

    begun, out = 0, sys.stdout
    one_terminal = out.isatty() and sys.stderr.isatty()
    taken = _taken(jobs, cfg)

    def tell(place: Path | str) -> None:
        if one_terminal:  # above the bar
            progress.console.print(str(place), soft_wrap=True, markup=False, highlight=False)
        else:
            _print(place, out)
        on_written(place)

    def begin(job: Job) -> Callable[[float], None]:
        nonlocal begun
        begun += 1
        of = f"{begun}/{len(jobs)} " if len(jobs) > 1 else ""
        progress.reset(bar, description=escape(f"{of}{job.source.name}"))
        return partial(_show, progress, bar)

    def end(job: Job, outcome: Outcome) -> None:
        account.add(fate_of(job, outcome))

    def end_elsewhere(fate: Fate) -> None:
        account.add(fate)
        progress.update(bar, description=f"{account.done}/{len(jobs)}", completed=account.done / len(jobs))

    account = Account(tell, skip=cfg.overwrite == "skip")
    if taken is not None:
        jobs = [replace(job, taken=taken) for job in jobs]
    with no_pixel_limit(), Progress(console=Console(stderr=True), redirect_stdout=False) as progress:
        bar = progress.add_task("", total=1.0)
        if cfg.cluster:
            from sr_lightning.inference.files.cluster import upscale_on_ray

            upscale_on_ray(jobs, upscaler, cfg, taken, end_elsewhere, partial(print, end="", file=sys.stderr))
        else:
            upscale_files(jobs, upscaler, cfg, begin, end)
    if account.skipped:
        print(f"skipped {account.skipped} of {len(jobs)} pictures, whose results exist", file=sys.stderr)
    return account.failed


def _print(place: Path | str, out: TextIO) -> None:
    """Tells a result at once. If nobody listens any more, as behind ``| head``, the work goes on."""
    try:
        print(place, file=out, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, out.fileno())
        os.close(nowhere)


def _taken(jobs: list[Job], cfg: DictConfig) -> Taken | None:
    """The results that are there, by one listing; None if they are replaced, or the disk tells when it is time."""
    from sr_lightning.inference.files.taken import taken_in_folders, taken_in_store

    if cfg.overwrite is True:
        return None
    if cfg.output and is_url(cfg.output):
        return taken_in_store(cfg.output)
    return taken_in_folders({job.folder for job in jobs}) if cfg.cluster else None


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


def _show(progress: Progress, bar: TaskID, done: float) -> None:
    progress.update(bar, completed=done)


def main() -> None:
    """Entry point of ``sr-upscale``."""
    run(enlarge, "upscale")


if __name__ == "__main__":
    main()
