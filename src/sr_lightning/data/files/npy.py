"""Arrays in NumPy's files, mapped into memory."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sr_lightning.atomic import AnyPath
from sr_lightning.errors import PictureError


def open_npy(path: AnyPath) -> NDArray[Any]:
    """Maps the array of a ``.npy`` file into memory, so that only the parts in use are read.

    Raises:
        PictureError: If the file is missing, damaged, or none.
    """
    try:
        values: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    # NumPy raises whatever it trips over: the header is a text in Python's grammar.
    except Exception as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())
        raise PictureError(f"{path}: cannot be read as a .npy file ({reason})") from None
    return values
