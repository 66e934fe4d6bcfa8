"""Names of pictures and folders that are URLs or stand in lists, and what can be said of them at once."""

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sr_lightning.atomic import expand_home
from sr_lightning.errors import ConfigError, DataError, PictureError
from sr_lightning.stores import file_system, is_url


def is_list(given: str) -> bool:
    """Whether an input names a text file with one input a line, as in ``@list.txt``."""
    return given.startswith("@") and not os.path.lexists(given)


def is_readable_only(url: str) -> bool:
    """Whether nothing can be written behind a URL."""
    return url.lower().startswith(("http://", "https://"))


def refuse_places(inputs: Iterable[str], output: str | None) -> None:
    """Checks URLs and lists as far as that asks no store.

    Raises:
        ConfigError: If nothing that is installed reads such a URL, or nothing can be written there.
        DataError: If a list is missing.
        PictureError: If nothing can be written into a folder of this machine.
    """
    if output and not is_url(output):
        _try_to_write(output)
    if output and is_url(output):
        if is_readable_only(output):
            raise ConfigError(f"output={output}: nothing can be written behind https://; name a folder or s3://…")
        if not file_system(output)[1].strip("/"):
            raise ConfigError(
                f"output={output}: names no bucket; type output={output.partition('://')[0]}://BUCKET/FOLDER"
            )
    for given in [*inputs, *([output] if output else [])]:
        if given.lower().startswith("file://"):
            raise ConfigError(f"{given}: is a file of this machine; type its path, {given[7:]}")
    for given in inputs:
        if is_list(given) and not is_url(given[1:]) and not expand_home(given[1:]).is_file():
            raise DataError(f"{given}: there is no list {given[1:]}; it is a text file with one input a line")
        if is_url(given.removeprefix("@")):
            file_system(given.removeprefix("@"))
        if is_url(given) and not output:
            raise needs_output(given)
        if is_readable_only(given) and given.endswith("/"):
            raise ConfigError(f"{given}: https:// lists no folders; name pictures, or a list of them as @list.txt")


def _try_to_write(output: str) -> None:
    """Makes a folder where results will be, or in what is there of its path: rights alone do not tell, as in /proc."""
    folder = expand_home(output).absolute()
    try:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if there.is_dir() and os.access(there, os.W_OK):  # else, it is told otherwise
            Path(tempfile.mkdtemp(prefix=".sr_lightning-", dir=there)).rmdir()
    except OSError as error:
        raise PictureError(f"{output}: cannot be used ({error.strerror}); choose another output=") from None


def needs_output(url: str) -> ConfigError:
    """The error for a picture of a store whose result has no place."""
    return ConfigError(f"{url}: is in a store; say where its result goes, as in output=large or output=s3://…/large")


def path_of(url: str) -> str:
    """A path that has the names of a URL; of https, without what stands behind ``?``."""
    scheme, _, rest = url.partition("://")
    if is_readable_only(url):
        rest = unquote(re.split("[?#]", rest, maxsplit=1)[0])  # also of what is no address: that is told in its turn
    return f"{scheme}:/{rest.lstrip('/')}"


def refuse_hostile(url: str) -> None:
    """Raises a ``PictureError`` if a URL is no address, its names lead elsewhere, or it has none.

    Example:
        >>> refuse_hostile("s3://bucket/../../a.png")
        Traceback (most recent call last):
        ...
        sr_lightning.errors.PictureError: s3://bucket/../../a.png: '..' leads elsewhere; give the file another name
    """
    if is_readable_only(url):
        try:
            _ = urlsplit(url).port
        except ValueError as error:
            raise PictureError(f"{url}: is no address ({error}); give it as https://HOST/NAME") from None
    names = path_of(url).split("/")
    if ".." in names:
        raise PictureError(f"{url}: '..' leads elsewhere; give the file another name")
    if not names[-1] or len(names) < 3:
        raise PictureError(f"{url}: names no file; a picture's address ends with its name")
    if not names[-1].isprintable():
        raise PictureError(f"{url}: {names[-1]!r} has a character that cannot be printed; give the file another name")
