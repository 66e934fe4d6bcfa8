"""Files of stores on this machine, each for as long as it is worked on."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sr_lightning.atomic import temporary_folder
from sr_lightning.errors import ConfigError, PictureError
from sr_lightning.inference.files.notes import call, forget
from sr_lightning.inference.files.places import refuse_hostile
from sr_lightning.inference.files.targets import Job
from sr_lightning.stores import fetch, send

_PREFIX = "sr_lightning-copies-"


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
    with temporary_folder(_PREFIX) as folder:
        yield Copies(folder)
