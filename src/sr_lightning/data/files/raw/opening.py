"""Opens RAW files with LibRaw. No other module does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rawpy

from sr_lightning.errors import PictureError

# Beginnings of what cameras write as .raw; a file of bare samples has none, and LibRaw then guesses by its size.
_TIFF_LIKE = (b"II*\0", b"MM\0*", b"IIU\0", b"IIRO", b"IIRS")


@contextmanager
def opened(path: Path, unpack: bool = True) -> Iterator[Any]:
    """A file with its samples unpacked; every failure of LibRaw, also later, is a ``PictureError``."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
        if path.suffix.lower() == ".raw" and start not in _TIFF_LIKE:
            raise PictureError(
                f"{path}: bare samples without a header; "
                "say what they are with sr_lightning.data.files.raw.read_headerless"
            )
        with rawpy.imread(str(path)) as raw:
            if unpack:
                raw.unpack()
            yield raw
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (rawpy.LibRawError, RuntimeError) as error:  # rawpy's own are plain RuntimeErrors
        raise PictureError(f"{path}: no RAW file that LibRaw can read ({_text(error)})") from None


def _text(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
