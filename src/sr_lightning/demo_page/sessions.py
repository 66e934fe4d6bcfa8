"""The files of each open page, and how its work is stopped."""

import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from sr_lightning.errors import SRError


class Stopped(SRError):  # noqa: N818  # nothing is wrong
    """The user pressed "Stop", or closed the page."""


CLOSED = "This page was closed, and its files are gone; reload it."


@dataclass
class Session:
    """One open page."""

    folder: Path
    uploads: set[Path] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)
    closed: bool = False
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
        self.results = self.root / "results"
        self.results.mkdir(parents=True, exist_ok=True)
        self.one_at_a_time = threading.Lock()
        self._open: dict[str, Session] = {}
        self._closed: set[str] = set()
        self._changing = threading.Lock()

    def of(self, name: str | None, upload: Path | None = None) -> Session:
        """A page's own, made at its first use; its folder has a name that nobody can guess.

        Args:
            name: Of the page.
            upload: A file to remove with the page.

        Raises:
            Stopped: If the page is closed already, and its request comes late.
        """
        key, uploads = name or "", {upload} if upload else set()
        with self._changing:
            if key in self._closed:
                self._remove(uploads)
                raise Stopped(CLOSED)
            if key not in self._open:
                self._open[key] = Session(Path(mkdtemp(dir=self.results)))
            self._open[key].uploads |= uploads
            return self._open[key]

    def close(self, name: str | None) -> None:
        """Stops the page's work and removes its files; uploads stay where another page has uploaded the same."""
        key = name or ""
        with self._changing:
            self._closed.add(key)
            session = self._open.pop(key, None)
            if session is None:
                return
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
        """Removes files that are too old, whosever they are."""
        with suppress(FileNotFoundError):  # a page ended and took its folder along; the rest goes next time
            for path in self.root.rglob("*"):
                if path.is_file() and time.time() - path.stat().st_ctime > self.keep:
                    path.unlink()
