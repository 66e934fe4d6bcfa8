"""Files in object stores and behind ``http(s)://``, through fsspec: ``s3://``, ``gs://`` and whatever else it knows."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from sr_lightning.errors import FULL_DISK, ConfigError, DataError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from sr_lightning.atomic import AnyPath

#: Extras of this package that bring the packages of a store.
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
#: Packages below fsspec, whose errors share no class.
_PACKAGES = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google")
Answer = TypeVar("Answer")


def is_url(path: AnyPath) -> bool:
    """Whether a place is named by a URL, and not by a path of this machine.

    Example:
        >>> [is_url(place) for place in ("s3://bucket/a.png", "https://host/a.png", "photos/a.png", "C:/a.png")]
        [True, True, False, False]
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", os.fspath(path)) is not None


def file_system(url: AnyPath) -> tuple[AbstractFileSystem, str]:
    """The store of a URL, and the name of the file or folder in it. Nothing is asked of the store yet.

    Keys, endpoints and proxies are what the packages of the store read of the environment (``AWS_ACCESS_KEY_ID``,
    ``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS`` ...), or fsspec's own configuration.

    Raises:
        ConfigError: If nothing that is installed reads such a store.

    Example:
        >>> system, name = file_system("memory://bucket/a.png")
        >>> type(system).__name__, name
        ('MemoryFileSystem', '/bucket/a.png')
    """
    import fsspec

    url = os.fspath(url)
    protocol = url.partition("://")[0]
    for package in _PACKAGES:  # which tell where they found keys, where names of results go
        logging.getLogger(package).setLevel(logging.WARNING)
    try:
        if protocol.lower() in ("http", "https"):
            return fsspec.filesystem(protocol.lower(), **_options_of_http(protocol.lower())), _as_sent(url)
        system, name = fsspec.core.url_to_fs(url)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        install = f'pip install "sr_lightning[{extra}]"' if extra else f"install what it needs ({error})"
        raise ConfigError(f"{url}: nothing that is installed reads {protocol}://; {install}") from None
    except ValueError as error:
        raise ConfigError(f"{url}: {error}; s3://, gs://, https:// and paths are usual") from None
    return system, name


#: Seconds that a server behind http(s):// may send nothing; the whole of a file may take as long as it does.
SILENCE = 30.0


def _options_of_http(protocol: str) -> dict[str, Any]:
    """For fsspec, whose own limit is 5 minutes for a whole file, and which writes addresses anew."""
    import aiohttp
    from fsspec.config import conf

    limits = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE, sock_read=SILENCE)
    return {"encoded": True, "client_kwargs": {"timeout": limits, **conf.get(protocol, {}).get("client_kwargs", {})}}


def _as_sent(url: str) -> str:
    """An address as a server gets it: what is encoded stays as it is, as signatures are over that; the rest is encoded.

    Example:
        >>> _as_sent("https://host/two words 100%.png?sig=abc%2Fdef+g=")
        'https://host/two%20words%20100%25.png?sig=abc%2Fdef+g='
    """
    scheme, _, rest = url.partition("://")
    host, slash, name = rest.partition("/")
    if not host.isascii():
        host = host.encode("idna").decode()
    name = quote(re.sub("%(?![0-9A-Fa-f]{2})", "%25", name), safe="!#$%&'()*+,/:;=?@[]~")
    return f"{scheme}://{host}{slash}{name}"


@contextmanager
def errors_of_stores(place: AnyPath) -> Iterator[None]:
    """Turns what stores answer within the block into a sentence that names the place.

    Raises:
        DataError: If the file is missing, access is refused, no keys are set, or the connection fails.
    """
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{place}: no such file or bucket") from None
    except PermissionError as error:
        raise DataError(f"{place}: access refused ({_words(error)}); check the keys of the store") from None
    except (OSError, TimeoutError) as error:
        raise DataError(f"{place}: cannot be used ({_words(error)})") from None
    except Exception as error:
        if not type(error).__module__.startswith(_PACKAGES):
            raise
        raise DataError(f"{place}: cannot be used ({type(error).__name__}: {_words(error)})") from None


def _words(error: BaseException) -> str:
    """What an error says, in one line."""
    silent = f"nothing came for {SILENCE:g} seconds" if isinstance(error, TimeoutError) else type(error).__name__
    said = getattr(error, "strerror", None) or str(error) or silent
    return " ".join(str(said).split())[:200]


#: Seconds before a broken connection is tried again.
WAITS = (0.5, 2.0, 8.0)


def fetch(url: AnyPath, path: AnyPath) -> None:
    """Copies a file of a store to a new file of this machine. A broken connection is tried again.

    Raises:
        ConfigError: If nothing that is installed reads such a store.
        DataError: If the file is missing, access is refused, or the connection fails each time.
        OSError: If the file of this machine cannot be written, such as on a full disk.

    Example:
        >>> import tempfile
        >>> system, name = file_system("memory://bucket/a.txt")
        >>> system.pipe(name, b"all of it")
        >>> path = f"{tempfile.mkdtemp()}/a.txt"
        >>> fetch("memory://bucket/a.txt", path)
        >>> open(path).read()
        'all of it'
    """
    system, name = file_system(url)
    _tried_again(url, lambda: system.get_file(name, os.fspath(path)), path)


def send(path: AnyPath, url: AnyPath) -> None:
    """Copies a file of this machine into a store, where it appears when it is complete. See ``fetch``.

    Raises:
        ConfigError: If nothing that is installed reads such a store.
        DataError: If access is refused, there is no such bucket, or the connection fails each time.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.txt")
        >>> _ = path.write_text("all of it")
        >>> send(path, "memory://bucket/b.txt")
        >>> file_system("memory://")[0].cat("/bucket/b.txt")
        b'all of it'
    """
    system, name = file_system(url)
    _tried_again(url, lambda: system.put_file(os.fspath(path), name))


def names_below(url: AnyPath) -> Iterator[str]:
    """The names of all files below a folder of a store, by one listing.

    Raises:
        ConfigError: If nothing that is installed reads such a store.
        DataError: If there is no such bucket, access is refused, or the connection fails each time.

    Example:
        >>> file_system("memory://")[0].pipe("/photos/deep/a.png", b"")
        >>> list(names_below("memory://photos"))
        ['deep/a.png']
    """
    system, root = file_system(url)
    root = f"{root.rstrip('/')}/"
    try:
        found = _tried_again(url, lambda: system.find(root))
    finally:
        system.invalidate_cache()  # what it keeps for a million names is large, and soon old
    for name in found:
        if name.startswith(root) and len(name) > len(root):
            yield name[len(root) :]


def _tried_again(place: AnyPath, work: Callable[[], Answer], here: AnyPath | None = None) -> Answer:
    """The answer of a store, asked again if the connection breaks. Errors of the file here stay what they are."""
    for wait in (*WAITS, None):
        try:
            return work()
        except Exception as error:
            of_disk = getattr(error, "errno", None) in FULL_DISK
            if here is not None and (of_disk or getattr(error, "filename", None) == os.fspath(here)):
                raise
            if wait is None or not _is_passing(error):
                with errors_of_stores(place):
                    raise
        time.sleep(wait)
    raise AssertionError


def _is_passing(error: Exception) -> bool:
    """Whether a store may answer otherwise the next time."""
    if isinstance(error, FileNotFoundError | PermissionError) or getattr(error, "errno", None) in FULL_DISK:
        return False
    status = getattr(error, "status", None)  # of http
    if isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429):
        return False
    kind = type(error)
    elsewhere = kind.__module__.startswith(_PACKAGES) and "Credentials" not in kind.__name__
    return elsewhere or isinstance(error, OSError | TimeoutError)
