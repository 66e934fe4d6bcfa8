"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A hidden file beside ``path`` to write to; it takes the name when all went well, and vanishes when not.

    A full disk or a kill leaves what was there before. Folders are made; the ending is kept, by which writers of
    pictures choose their format.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "new" / "a.txt"
        >>> with whole(path) as temporary:
        ...     _ = temporary.write_text("all of it")
        >>> [file.name for file in path.parent.iterdir()], path.read_text()
        (['a.txt'], 'all of it')
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
