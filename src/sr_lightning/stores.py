"""Files in object stores and behind ``http(s)://``, through fsspec: ``s3://``, ``gs://`` and whatever else it knows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sr_lightning.errors import ConfigError, DataError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from sr_lightning.atomic import AnyPath

#: Extras of this package that bring the packages of a store.
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}


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
    try:
        system, name = fsspec.core.url_to_fs(url)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        install = f'pip install "sr_lightning[{extra}]"' if extra else f"install what it needs ({error})"
        raise ConfigError(f"{url}: nothing that is installed reads {protocol}://; {install}") from None
    except ValueError as error:
        raise ConfigError(f"{url}: {error}; s3://, gs://, https:// and paths are usual") from None
    return system, name


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
    except Exception as error:  # of the many packages below fsspec, which share no class
        if not type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp", "gcsfs", "google")):
            raise
        raise DataError(f"{place}: cannot be used ({type(error).__name__}: {_words(error)})") from None


def _words(error: BaseException) -> str:
    """What an error says, in one line."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())[:200]
