"""Files of stores on this machine, each for as long as it is worked on."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from sr_lightning.atomic import is_locked, locked
from sr_lightning.errors import ConfigError, PictureError
from sr_lightning.inference.files.notes import call, forget
from sr_lightning.inference.files.places import refuse_hostile
from sr_lightning.inference.files.targets import Job
from sr_lightning.stores import fetch, send

_PREFIX, _LOCK = "sr_lightning-copies-", "lock"
#: Seconds after which a folder whose process is gone is removed: one that begins has no lock yet.
_AGE = 60


class Copies:
    """Pictures of stores, fetched one by one, and results on their way there.

    A job whose picture and result are files of this machine is left as it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[Job, Path] = {}

    def of(self, job: Job) -> Job:
        """The same job with its picture and the folder of its result on this machine.

        Raises:
            DataError: If the picture cannot be fetched, or its name leads elsewhere.
        """
        if job.url is None and job.into is None:
            return job
        if job.url is not None:
            refuse_hostile(job.url)
        self._places[job] = place = Path(tempfile.mkdtemp(dir=self.folder))
        source = job.source
        if job.url is not None:
            (place / "in").mkdir()
            source = place / "in" / job.source.name
            call(source, job.url)
            try:
                fetch(job.url, source)
            except ConfigError as error:  # of this file's store, which a list may name among others
                raise PictureError(str(error)) from None
        if job.into is None:
            return replace(job, source=source)
        call(place / "out", job.into)
        return replace(job, source=source, folder=place / "out")

    def sent(self, job: Job, written: list[Path]) -> list[Path | str]:
        """Where the results of a job are, which are sent if they go into a store.

        Raises:
            DataError: If the store does not take one.
        """
        if job.into is None:
            return [*written]
        for path in reversed(written):  # the result last: when it is there, all of it is
            send(path, job.place_of(path))
        return [job.place_of(path) for path in written]

    def drop(self, job: Job) -> None:
        """Removes what there is of a job."""
        if place := self._places.pop(job, None):
            shutil.rmtree(place, ignore_errors=True)
            forget(place)


@contextmanager
def copies() -> Iterator[Copies]:
    """A folder for copies, which goes afterwards; with it go those of processes that were killed."""
    _remove_leftovers()
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as folder:
        lock = Path(folder) / _LOCK
        with locked(lock):
            yield Copies(Path(folder))


def _remove_leftovers() -> None:
    with suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with suppress(OSError):
                if _is_abandoned(folder):
                    shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    lock = folder / _LOCK
    ours = not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()
    return ours and time.time() - lock.stat().st_mtime > _AGE and not is_locked(lock)
