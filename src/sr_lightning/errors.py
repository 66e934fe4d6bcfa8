"""Errors that say what is wrong, where, and what to do; every command prints them as one sentence."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

#: What a system answers, whatever the code, where a place cannot be used, and where a disk is full.
UNUSABLE_PLACE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST,
                            errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.ENXIO, errno.ESTALE, errno.ENODEV,
                            errno.ENOENT})  # fmt: skip
FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})


class SRError(Exception):
    """Base of every error that the user can mend. The message is one clear sentence."""


class ConfigError(SRError):
    """A config, key or value that cannot work."""


class Interrupted(SRError):  # noqa: N818  # nothing is wrong
    """A run that the user stopped; the message says how to go on.

    Args:
        message: One sentence.
        signum: The signal that stopped it, which decides the exit code.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum


class NothingToDo(SRError):  # noqa: N818  # nothing is wrong
    """What was asked for is done already; a command says so and ends with exit code 0."""


class DataError(SRError):
    """Pictures or folders that are missing or unlike what was asked for."""


class PictureError(DataError):
    """One file that cannot be used; the message begins with its path."""


class ResultExistsError(PictureError):
    """A file that is there already where a result would go."""


class CheckpointError(SRError):
    """A checkpoint that cannot be read or does not fit the network."""


class ExportError(SRError):
    """A network that a format cannot hold, or that is another one when it is read back."""


def nearest(word: str, candidates: Iterable[str]) -> str:
    """A phrase that suggests the closest candidates, or lists them all if none is close.

    Example:
        >>> nearest("fscrnn", ["fsrcnn", "rdn"])
        "did you mean 'fsrcnn'?"
    """
    import difflib

    names = sorted(candidates)
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(repr(name) for name in close) + "?"
    return "there are " + ", ".join(names)


@contextmanager
def refusals_told(part: str) -> Iterator[None]:
    """Turns what optimizers and schedulers say of numbers that cannot be into ConfigError.

    Example:
        >>> with refusals_told("optimizer"):
        ...     raise ValueError("Invalid learning rate: -1.0")
        Traceback (most recent call last):
        sr_lightning.errors.ConfigError: optimizer: Invalid learning rate: -1.0
    """
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{part}: {error}") from None
    except ZeroDivisionError as error:
        raise ConfigError(f"{part}: a setting must not be 0 ({error})") from None
