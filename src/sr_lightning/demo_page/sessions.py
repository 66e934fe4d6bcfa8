"""The files of each open page, and how its work is stopped."""

import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from sr_lightning.errors import DataError, SRError


class Stopped(SRError):  # noqa: N818  # nothing is wrong
    """The user pressed "Stop", or closed the page."""


ABANDONED = 600  # seconds after which an upload goes that no page has taken
CLOSED = "This page was closed, and its files are gone; reload it."


@dataclass
class Session:
    """One open page."""

    folder: Path
    uploads: set[Path] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
    used: float = field(default_factory=time.monotonic)
    #: What the page shows; a failed attempt leaves it.
    result: Any = None
    _kept: dict[str, Path] = field(default_factory=dict)

    @contextmanager
    def job(self, kind: str) -> Iterator[Path]:
        """A folder for one piece of work: it replaces the last of its kind if the work succeeds, and goes if not.

        Raises:
            Stopped: If the page is closed; nothing stays.
        """
        try:
            folder = Path(mkdtemp(dir=self.folder))
        except FileNotFoundError:
            raise Stopped(CLOSED) from None
        done = False
        try:
            yield folder
            done = True
        except Exception:
            if not self.closed:  # whose folder went during the work
                raise
        finally:
            if self.closed or not done:
                shutil.rmtree(self.folder if self.closed else folder, ignore_errors=True)
        if self.closed:
            raise Stopped(CLOSED)
        before, self._kept[kind] = self._kept.get(kind), folder
        if before is not None:
            shutil.rmtree(before, ignore_errors=True)

    def fresh_stop(self) -> threading.Event:
        """Ends what the page had running, and gives the next work an event of its own."""
        self.stop.set()
        self.stop = threading.Event()
        return self.stop


class Sessions:
    """All open pages.

    Args:
        root: Folder of all files, uploads among them.
        keep: Seconds after which files are removed.

    Example:
        >>> import tempfile
        >>> sessions = Sessions(tempfile.mkdtemp(), keep=3600)
        >>> folder = sessions.of("a page").folder
        >>> sessions.close("a page")
        >>> folder.exists()
        False
    """

    def __init__(self, root: str | Path, keep: float) -> None:
        self.root, self.keep = Path(root), keep
        self.results, self.uploads = self.root / "results", self.root / "uploads"
        for folder in (self.results, self.uploads):
            folder.mkdir(parents=True, exist_ok=True)
        self.one_at_a_time = threading.Lock()
        self._open: dict[str, Session] = {}
        self._closed: dict[str, float] = {}
        self._changing = threading.Lock()

    def of(self, name: str | None, upload: Path | None = None) -> Session:
        """A page's own, made at its first use; its folder has a name that nobody can guess.

        Args:
            name: Of the page.
            upload: A file to remove with the page.

        Raises:
            Stopped: If the page is closed already, and its request comes late.
            DataError: If the file is none that was uploaded, or is gone.
        """
        if upload:
            self._refuse_others(upload)
        key, uploads = name or "", {upload} if upload else set()
        with self._changing:
            if key in self._closed:
                self._remove(uploads)
                raise Stopped(CLOSED)
            if key not in self._open:
                self._open[key] = Session(Path(mkdtemp(dir=self.results)))
            self._open[key].uploads |= uploads
            self._open[key].used = time.monotonic()
            return self._open[key]

    def result(self, name: str | None) -> Any:
        """What a page shows, if it is open and shows anything."""
        session = self._open.get(name or "")
        return session.result if session else None

    def _refuse_others(self, upload: Path) -> None:
        """Programs may name any file of this computer."""
        with suppress(OSError, ValueError):
            if upload.resolve().is_relative_to(self.uploads.resolve()):
                if upload.is_file():
                    return
                raise DataError(f"{upload.name}: is not here any more; upload it again.")
        raise DataError("This file was not uploaded to this page.")

    def close(self, name: str | None) -> None:
        """Stops the page's work and removes its files; uploads stay where another page has uploaded the same."""
        with self._changing:
            self._closed[name or ""] = time.monotonic()
            self._forget(name or "")

    def _forget(self, key: str) -> None:
        session = self._open.pop(key, None)
        if session is not None:
            session.closed = True
            session.stop.set()
            shutil.rmtree(session.folder, ignore_errors=True)
            self._remove(session.uploads)

    def _remove(self, uploads: Iterable[Path]) -> None:
        for path in set(uploads).difference(*(other.uploads for other in self._open.values())):
            path.unlink(missing_ok=True)

    def stop(self, name: str | None) -> None:
        """Ends what the page has running."""
        if session := self._open.get(name or ""):
            session.stop.set()

    def stop_all(self) -> None:
        for session in list(self._open.values()):
            session.stop.set()

    def sweep(self) -> None:
        """Removes files that are too old, whosever they are, and uploads of those who left without opening a page."""
        now = time.monotonic()
        with self._changing:
            for name in [name for name, session in self._open.items() if now - session.used > self.keep]:
                self._forget(name)
            self._closed = {name: when for name, when in self._closed.items() if now - when < self.keep}
            owned = {path for session in self._open.values() for path in session.uploads}
        for here, _, names in os.walk(self.root):
            for path in (Path(here) / name for name in names):
                abandoned = self.uploads in path.parents and path not in owned
                with suppress(FileNotFoundError):  # a page ended and took its folder along
                    if time.time() - path.stat().st_ctime > (min(self.keep, ABANDONED) if abandoned else self.keep):
                        path.unlink()
        for path in self.uploads.iterdir():  # gradio makes a folder for each
            with suppress(OSError):
                if time.time() - path.stat().st_ctime > 60:  # which is empty at first, too
                    path.rmdir()
