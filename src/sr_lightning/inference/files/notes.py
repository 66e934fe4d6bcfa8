"""What is said of a file while it is enlarged."""

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

from sr_lightning.errors import PictureError

#: By the path of a copy: where the file itself is.
_CALLED: dict[str, str] = {}
#: Characters of the begin and the end of a long sentence, which are more than a path may have.
_SHOWN = 2500


def note(source: Path, sentence: str) -> None:
    """Says on the error stream what was chosen for a file."""
    print(f"{source.name}: {sentence}", file=sys.stderr)


def tell_skipped(where: object, count: int) -> None:
    """Says that results of earlier runs are not enlarged again."""
    print(f"{where}: {count} files skipped: they are results of other pictures", file=sys.stderr)


def tell_left_out(folder: object, counts: Mapping[str, int]) -> None:
    """Says what a folder holds that is not enlarged unasked: nothing where there is none of it.

    Args:
        folder: The folder.
        counts: How many there are of each kind.
    """
    if others := [f"{count} {kind}{'s' * (count > 1)}" for kind, count in counts.items() if count]:
        print(
            f"{folder}: left out: {' and '.join(others)}; name one as input= to enlarge what it holds", file=sys.stderr
        )


def warn(source: Path, sentence: str) -> None:
    """Warns of a file."""
    warnings.warn(told(f"{source}: {sentence}"), stacklevel=2)


def sentence_about(name: str, error: Exception) -> str:
    """Why a file failed.

    Args:
        name: The file, which errors about pictures name themselves.
        error: What happened.
    """
    if isinstance(error, PictureError):
        said = str(error)
    elif isinstance(error, MemoryError):
        said = f"{name}: not enough memory for the result{f' ({error})' if str(error) else ''}"
    elif isinstance(error, OSError):  # a disk or a network share that fails
        said = f"{error.filename or name}: {error.strerror or error}"
    else:
        said = str(error) if str(error).startswith(f"{name}: ") else f"{name}: {error}"
    return _shortened(told(said))


def _shortened(sentence: str) -> str:
    """A sentence without the middle of a name of megabytes, which a list may have."""
    if len(sentence) <= 2 * _SHOWN:
        return sentence
    return f"{sentence[:_SHOWN]}…{sentence[-_SHOWN:]}"


def call(copy: Path, place: str) -> None:
    """From now on, what is said of a copy, a file or a folder, names the place that it belongs to."""
    _CALLED[str(copy)] = place


def forget(folder: Path) -> None:
    """Ends that for all that is below a folder."""
    for copy in [copy for copy in _CALLED if Path(copy).is_relative_to(folder)]:
        del _CALLED[copy]


def told(sentence: str) -> str:
    """A sentence without paths of copies.

    Example:
        >>> call(Path("/tmp/1/a.png"), "s3://bucket/a.png")
        >>> told("/tmp/1/a.png: is damaged")
        's3://bucket/a.png: is damaged'
        >>> forget(Path("/tmp/1"))
    """
    for copy, place in list(_CALLED.items()):
        sentence = sentence.replace(copy, place)
    return sentence
