"""Which pictures of a file are wanted."""

import re
from pathlib import Path

from sr_lightning.errors import ConfigError, PictureError


def check_pages(pages: object) -> None:
    """Checks what ``pages`` of ``upscale`` says, as far as no file is needed for it.

    Raises:
        ConfigError: If it is no number, range or word.
    """
    _ends(pages)


def wanted_pages(path: Path | str, pages: object, count: int) -> range:
    """The numbers, from 1, of the pictures that are wanted of a file.

    Args:
        path: The file, for the error.
        pages: ``"all"``, ``"first"``, ``"last"``, a number, or a range such as ``"2-5"``.
        count: How many pictures the file holds.

    Raises:
        ConfigError: If ``pages`` is none of these.
        PictureError: If the file does not hold them.

    Example:
        >>> wanted_pages("clip.gif", "2-4", 9), wanted_pages("clip.gif", "last", 9)
        (range(2, 5), range(9, 10))
    """
    first, last = _ends(pages)
    first, last = (count if end is None else end for end in (first, last))
    if last > count:
        holds = f"{count} pictures" if count > 1 else "one picture"
        raise PictureError(f"{path}: holds {holds}, and pages={pages} is not among them; choose pages=last or all")
    return range(first, last + 1)


def _ends(pages: object) -> tuple[int | None, int | None]:
    """The first and the last number; None stands for the file's last."""
    words: dict[object, tuple[int | None, int | None]] = {"all": (1, None), "first": (1, 1), "last": (None, None)}
    if pages in words:
        return words[pages]
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", str(pages))
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last:
        raise ConfigError(f"pages={pages}: must be all, first, last, a number from 1 on, or a range such as 2-5")
    return first, last
