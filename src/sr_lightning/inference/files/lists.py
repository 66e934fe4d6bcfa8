"""Lists of files to enlarge: text files with one input a line."""

import os
from collections.abc import Iterable
from pathlib import Path

from sr_lightning.atomic import expand_home
from sr_lightning.errors import DataError
from sr_lightning.inference.files.elsewhere import job_at_home, job_in_store
from sr_lightning.inference.files.places import needs_output, path_of
from sr_lightning.inference.files.targets import Job
from sr_lightning.stores import errors_of_stores, file_system, is_url


def jobs_of_list(given: str, output: str | None) -> list[Job]:
    """The pictures of a list, each once. Below ``output``, they keep their tree from their common folder on.

    Raises:
        DataError: If the list is empty, or a line holds no name.
    """
    lines = list(dict.fromkeys(_lines_of(given)))
    if not lines:
        raise DataError(f"{given}: the list is empty; it has one input a line")
    if not output and (url := next(filter(is_url, lines), None)):
        raise needs_output(url)
    sources = {line: path_of(line) if is_url(line) else os.path.abspath(line) for line in lines}  # noqa: PTH100
    roots = _common_folders(sources.values())
    jobs = []
    for line, source in sources.items():
        if is_url(line):
            jobs.append(job_in_store(line, roots[_anchor(source)], output or ""))
        else:
            path = Path(line)
            jobs.append(job_at_home(path, Path(source).parent.relative_to(roots[_anchor(source)]), output))
    return jobs


def _lines_of(given: str) -> Iterable[str]:
    place = given[1:]
    if is_url(place):
        with errors_of_stores(place):
            system, name = file_system(place)
            content = system.cat_file(name)
    else:
        content = expand_home(place).read_bytes()
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    for number, line in enumerate(text.split("\n"), 1):
        name = line.rstrip("\r")
        if "\0" in name:
            raise DataError(f"{given}: line {number} holds no name; a list is a text file with one input a line")
        if name.strip():
            yield name


def _anchor(source: str) -> str:
    """The store and bucket or host of a picture; of a path, the drive."""
    return "/".join(source.split("/")[:2]) if ":/" in source.partition("/")[0] + "/" else Path(source).anchor


def _common_folders(sources: Iterable[str]) -> dict[str, Path]:
    """By anchor: the folder that holds all of its pictures."""
    folders: dict[str, list[str]] = {}
    for source in sources:
        parent = source.rpartition("/")[0].split("/") if os.sep == "/" else list(Path(source).parent.parts)
        anchor = _anchor(source)
        known = folders.setdefault(anchor, parent)
        same = 0
        while same < min(len(known), len(parent)) and known[same] == parent[same]:
            same += 1
        folders[anchor] = known[:same]
    return {anchor: Path("/".join(parts) or "/") for anchor, parts in folders.items()}
