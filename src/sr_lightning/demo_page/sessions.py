"""The files of each open page, and how its work is stopped."""

import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from sr_lightning.errors import SRError


class Stopped(SRError):  # noqa: N818  # nothing is wrong
    """The user pressed "Stop", or closed the page."""


@dataclass
class Session:
    """One open page."""

    folder: Path
    uploads: set[Path] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

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

    def of(self, name: str | None) -> Session:
        """A page's own, made at its first use; its folder has a name that nobody can guess."""
        key = name or ""
        if key not in self._open:
            self._open[key] = Session(Path(mkdtemp(dir=self.results)))
        return self._open[key]

    def close(self, name: str | None) -> None:
        """Stops the page's work and removes its files; uploads stay where another page has uploaded the same."""
        session = self._open.pop(name or "", None)
        if session is None:
            return
        session.stop.set()
        shutil.rmtree(session.folder, ignore_errors=True)
        for path in session.uploads.difference(*(other.uploads for other in self._open.values())):
            path.unlink(missing_ok=True)

    def stop_all(self) -> None:
        for session in self._open.values():
            session.stop.set()

    def sweep(self) -> None:
        """Removes files that are too old, whosever they are."""
        for path in self.root.rglob("*"):
            try:
                if path.is_file() and time.time() - path.stat().st_ctime > self.keep:
                    path.unlink()
            except FileNotFoundError:  # removed meanwhile by the page's end
                continue
