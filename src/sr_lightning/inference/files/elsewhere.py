"""Which files of stores to enlarge, and to where."""

import glob
from collections import Counter
from pathlib import Path

from sr_lightning.atomic import expand_home
from sr_lightning.errors import DataError
from sr_lightning.inference.files.kinds import PICTURES, VIDEOS
from sr_lightning.inference.files.notes import tell_left_out, tell_skipped
from sr_lightning.inference.files.places import is_readable_only, needs_output, path_of
from sr_lightning.inference.files.targets import Job, without_results
from sr_lightning.stores import errors_of_stores, file_system, is_url, names_below


def jobs_in_store(given: str, output: str | None, pattern: str, model: str) -> list[Job]:
    """The pictures that a URL names: one, those below a folder, or those of a pattern such as ``s3://bucket/*.png``.

    Raises:
        DataError: If there are none, or the store cannot be asked.
    """
    if not output:
        raise needs_output(given)
    if is_readable_only(given):
        return [job_in_store(given, Path(path_of(given)).parent, output)]
    with errors_of_stores(given):
        system, name = file_system(given)
        if not given.endswith("/") and system.isfile(name):
            return [job_in_store(given, Path(path_of(given)).parent, output)]
    protocol = given.partition("://")[0]
    if glob.has_magic(name):
        with errors_of_stores(given):
            found = system.glob(name, detail=True)
        urls = [f"{protocol}://{each.lstrip('/')}" for each, about in found.items() if about["type"] == "file"]
        parents = Path(path_of(given)).parents
        root = next(path for path in parents if not glob.has_magic(str(path)))
    else:
        folder = given.rstrip("/")
        urls = [f"{folder}/{below}" for below in names_below(folder) if not _is_hidden(below)]
        urls = _called_pictures(folder, urls)
        root = Path(path_of(folder))
    if is_url(output):
        urls = [url for url in urls if not url.startswith(f"{output.rstrip('/')}/") or _holds(output, given)]
    if not urls:
        raise DataError(f"{given}: no such picture, and no folder or pattern with pictures")
    jobs = sorted((job_in_store(url, root, output) for url in urls), key=lambda job: job.source)
    sources = without_results([job.source for job in jobs], pattern, model)
    if len(sources) < len(jobs):
        kept = set(sources)
        tell_skipped(given, len(jobs) - len(sources))
        jobs = [job for job in jobs if job.source in kept]
    return jobs


def job_at_home(source: Path, below: Path, output: str | None) -> Job:
    """The job of a picture of this machine; its result goes to ``below`` in the output, or beside it."""
    if output and is_url(output):
        into = _joined(output, below)
        return Job(source, Path(into), into=into)
    return Job(source, expand_home(output) / below if output else source.parent)


def job_in_store(url: str, root: Path, output: str) -> Job:
    """The job of a picture in a store; its tree below ``root`` is kept."""
    source = Path(path_of(url))
    below = source.parent.relative_to(root) if source.is_relative_to(root) else Path()
    if is_url(output):
        into = _joined(output, below)
        return Job(source, Path(into), url=url, into=into)
    return Job(source, expand_home(output) / below, url=url)


def _joined(output: str, below: Path) -> str:
    words = below.as_posix()
    return output.rstrip("/") if words == "." else f"{output.rstrip('/')}/{words}"


def _is_hidden(below: str) -> bool:
    return any(part.startswith(".") and part != ".." for part in below.split("/"))


def _called_pictures(folder: str, urls: list[str]) -> list[str]:
    """Those whose names end as pictures do: what is in a store is not opened to see."""
    left_out: Counter[str] = Counter()
    kept = []
    for url in urls:
        path = Path(url)
        if url.endswith("/"):
            continue
        if path.suffix.lower() in VIDEOS:
            left_out["video"] += 1
        elif path.suffix.lower() in PICTURES:
            kept.append(url)
        else:
            left_out["other file"] += 1
    tell_left_out(folder, left_out)
    return kept


def _holds(folder: str, other: str) -> bool:
    """Whether one folder is another, or holds it: then, the results are told from pictures by name alone."""
    return f"{other.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
