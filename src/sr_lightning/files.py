"""Files that are whole or not there."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path, overwrite: bool = True) -> Iterator[Path]:
    """A hidden file beside ``path`` to write to; it takes the name when all went well, and vanishes when not.

    A full disk or a kill leaves what was there before. Folders are made; the ending is kept, by which writers of
    pictures choose their format. Without ``overwrite``, no file is replaced that appeared in the meantime.

    Raises:
        FileExistsError: If one did.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "new" / "a.txt"
        >>> with whole(path) as temporary:
        ...     _ = temporary.write_text("all of it")
        >>> [file.name for file in path.parent.iterdir()], path.read_text()
        (['a.txt'], 'all of it')
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # It begins like the name, by which a killed run's leftovers are found; the longest names leave no room for more.
    temporary = path.with_name(f".{path.stem[:40]}-{os.getpid()}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        if overwrite:
            temporary.replace(path)
        else:
            _put_where_nothing_is(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
