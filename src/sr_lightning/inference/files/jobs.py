"""Which files to enlarge, and to where."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from omegaconf import DictConfig

from sr_lightning.atomic import expand_home
from sr_lightning.data.files.formats import looks_like_a_picture
from sr_lightning.errors import DataError
from sr_lightning.inference.files.elsewhere import job_at_home, jobs_in_store
from sr_lightning.inference.files.kinds import PICTURES, VIDEOS
from sr_lightning.inference.files.lists import jobs_of_list
from sr_lightning.inference.files.notes import tell_left_out, tell_skipped
from sr_lightning.inference.files.places import is_list
from sr_lightning.inference.files.targets import Job, with_twins, without_results
from sr_lightning.stores import is_url


def find_jobs(cfg: DictConfig) -> list[Job]:
    """The pictures that ``input`` names; those of a folder, pattern or list keep their tree below ``output``.

    Results of earlier runs are skipped: the files of an ``output`` below a folder, and files named like the result of
    another of the pictures would be.

    Raises:
        DataError: If there are none.
    """
    names = str(cfg.pattern), cfg.name or "sr"
    if is_list(cfg.input):
        return with_twins(jobs_of_list(cfg.input, cfg.output), cfg)
    if is_url(cfg.input):
        return with_twins(jobs_in_store(cfg.input, cfg.output, *names), cfg)
    given = expand_home(cfg.input)
    output = expand_home(cfg.output) if cfg.output and not is_url(cfg.output) else None
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
    # Files of one folder share its path, and that of their results.
    of_folder = cache(lambda folder: job_at_home(folder / "x", folder.relative_to(root), cfg.output))
    return with_twins([replace(of_folder(path.parent), source=path) for path in files], cfg)


def _pictures_below(folder: Path, output: Path | None, pattern: str, model: str) -> list[Path]:
    found = sorted(_walk(folder))
    if output is not None and folder.resolve() in output.resolve().parents:
        found = [path for path in found if not path.resolve().is_relative_to(output.resolve())]
    return _without_results(found, folder, pattern, model)


def _without_results(found: list[Path], where: Path | str, pattern: str, model: str) -> list[Path]:
    files = without_results(found, pattern, model)
    if len(files) < len(found):
        tell_skipped(where, len(found) - len(files))
    return files


def _walk(folder: Path) -> Iterator[Path]:
    """All pictures below a folder, also those that nothing reads, and the folders that cannot be looked into.

    Whatever is called like a picture, or begins as one, is one: it becomes a result or a failure with its reason.
    The listing tells what an entry is: a million files are not asked one by one.
    """
    unreadable, left_out, folders = list[Path](), Counter[str](), [folder]
    while folders:
        here = folders.pop()
        try:
            with os.scandir(here) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except OSError as error:
            unreadable.append(Path(error.filename or here))
            continue
        for entry in entries:
            ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122  # a path for each would take longer
            if _holds(entry.is_dir):
                if entry.is_symlink():  # not followed: no loop
                    left_out["linked folder"] += 1
                else:
                    folders.append(here / entry.name)
            elif not _holds(entry.is_file) and (here / entry.name).exists():  # a pipe would be read for ever
                left_out["special file"] += 1
            elif ending in VIDEOS:
                left_out["video"] += 1
            elif ending in PICTURES or looks_like_a_picture(here / entry.name):
                yield here / entry.name
    yield from unreadable
    tell_left_out(folder, left_out)


def _holds(question: Callable[[], bool]) -> bool:
    """The answer about an entry; no, where the system cannot tell."""
    try:
        return question()
    except OSError:
        return False
