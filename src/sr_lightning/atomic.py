"""Files that are whole or not there, and who writes them."""

import errno
import os
import re
import secrets
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout, has_fcntl

#: What functions take that read or write a file or folder.
AnyPath = str | os.PathLike[str]


@contextmanager
def atomic_write(path: AnyPath, overwrite: bool = True) -> Iterator[Path]:
    """A hidden file beside ``path`` to write to; it takes the name when all went well, and vanishes when not.

    A full disk or a kill leaves the old file in place. ``remove_leftovers`` removes what a killed process left.
    Missing folders are made. The file name keeps its ending, because writers of pictures choose their format by it.
    Without ``overwrite``, a file that appeared in the meantime is not replaced.

    Raises:
        FileExistsError: If one did.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "new" / "a.txt"
        >>> with atomic_write(path) as temporary:
        ...     _ = temporary.write_text("all of it")
        >>> [file.name for file in path.parent.iterdir()], path.read_text()
        (['a.txt'], 'all of it')
    """
    path = Path(path)
    with temporary_beside(path) as temporary:
        yield temporary
        if overwrite:
            temporary.replace(path)
        else:
            _put_where_nothing_is(temporary, path)


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A hidden file beside ``path``, which vanishes afterwards; ``remove_leftovers`` does it for killed processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # It begins like the name, by which a killed run's leftovers are found; the longest names leave no room for more.
    temporary = path.with_name(f".{path.stem.lstrip('.')[:40]}-{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        with locked(temporary):
            yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """The file, made if it is not there, as this process's alone until the block ends or the process dies.

    Where the file system has no locks, every process gets it.

    Args:
        path: The file; its folder exists.
        wait: For the process that holds it now.

    Raises:
        BlockingIOError: If another process holds it and ``wait`` is false.
    """
    if not has_fcntl:  # Windows, where nobody could write to a file that is locked
        yield
        return
    lock = _lock(path)
    try:
        lock.acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise BlockingIOError(errno.EWOULDBLOCK, "another process holds it", str(path)) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


@contextmanager
def exclusive_write(path: Path) -> Iterator[None]:
    """What lies at ``path`` is this process's to write until the block ends; a hidden file beside it says so.

    Raises:
        BlockingIOError: If another process writes it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name[:40]}-{zlib.crc32(os.fsencode(path.name)):08x}.lock")
    with locked(lock, wait=False):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def is_locked(path: Path) -> bool:
    """Whether a living process holds a file; true where nobody can tell."""
    if not has_fcntl:
        return True
    try:
        with _lock(path).acquire(timeout=0):
            return False
    except OSError:
        return True


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder among the temporary files, which goes afterwards; with it go those of processes that were killed.

    Args:
        prefix: What the names of these folders begin with, and no others.

    Example:
        >>> with temporary_folder("sr_lightning-example-") as folder:
        ...     folder.is_dir()
        True
        >>> folder.exists()
        False
    """
    with suppress(OSError):
        for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            with suppress(OSError):
                if _is_abandoned(left):
                    shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with locked(folder / _LOCK):
            yield folder


def _is_abandoned(folder: Path) -> bool:
    lock = folder / _LOCK
    ours = not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()
    return ours and time.time() - lock.stat().st_mtime > _AGE and not is_locked(lock)


def expand_home(path: AnyPath) -> Path:
    """The path with ``~`` as the home folder, but for a file that has such a name and for users that do not exist.

    Example:
        >>> expand_home("a.png"), expand_home("~no-such-user/a.png")
        (PosixPath('a.png'), PosixPath('~no-such-user/a.png'))
    """
    return Path(path if os.path.lexists(path) else os.path.expanduser(path))  # noqa: PTH111


def remove_leftovers(folder: Path) -> None:
    """Removes what killed processes left of files that ``atomic_write`` began in this folder."""
    with suppress(OSError):  # no folder, or one that cannot be looked into
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name) and not is_locked(path):
                with suppress(OSError):
                    path.unlink()


#: The file by which a folder's process shows that it lives, and the seconds after which one without is removed: one
#: that begins has made the file, and not locked it yet.
_LOCK, _AGE = "lock", 60

_TEMPORARY = re.compile(r"\..{0,40}-\d+-[0-9a-f]{8}(\.[^.]*)?")


#: What file systems without locks answer.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})


def _lock(path: Path) -> FileLock:
    """The system frees it when its process ends, however it ends; processes forked meanwhile do not share it."""
    return FileLock(path, fallback_to_soft=False)


def _put_where_nothing_is(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the name is taken first
        path.touch(exist_ok=False)
        try:
            temporary.replace(path)
        except OSError:
            path.unlink(missing_ok=True)
            raise
