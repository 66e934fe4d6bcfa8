"""The ``.npz`` files of the NTIRE challenges on RAW image super-resolution, both ways."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.errors import PictureError
from sr_lightning.functional.levels import rounded

#: Entries of a file: the packed mosaic ``(H, W, 4)``, RGGB, without black level; and the number that white is.
MOSAIC, WHITE = "raw", "max_val"


def read_npz(path: AnyPath) -> Tensor:
    """Reads a packed mosaic.

    Returns:
        ``(4, H, W)`` float32 in [0, 1], RGGB.

    Raises:
        PictureError: If the file is missing, damaged, or of another layout.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as entries:
            missing = [name for name in (MOSAIC, WHITE) if name not in entries]
            if missing:
                raise PictureError(
                    f"{path}: has no entry {' and '.join(missing)}, but {', '.join(entries) or 'nothing'}; the layout "
                    f"of the NTIRE challenges has {MOSAIC} (H, W, 4) and {WHITE}"
                )
            samples, white = entries[MOSAIC], entries[WHITE]
    except PictureError:
        raise
    # NumPy raises whatever it trips over: a file of this kind is an archive of files with headers in Python's grammar.
    except Exception as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())
        raise PictureError(f"{path}: cannot be read as a .npz file ({reason})") from None
    return torch.from_numpy(_checked(path, samples, white) / np.float32(white))


def _checked(path: Path, samples: NDArray[Any], white: NDArray[Any]) -> NDArray[np.float32]:
    if samples.ndim != 3 or samples.shape[2] != 4 or 0 in samples.shape or samples.dtype.kind not in "uif":
        shape = "x".join(map(str, samples.shape))
        raise PictureError(f"{path}: {MOSAIC} must be H x W x 4 numbers, not {shape or 'one'} {samples.dtype}")
    if white.size != 1 or white.dtype.kind not in "uif" or not 0 < float(white.item()) < np.inf:
        raise PictureError(f"{path}: {WHITE} must be one number above 0, not {white}")
    planes = np.ascontiguousarray(samples.transpose(2, 0, 1), dtype=np.float32)
    if not np.isfinite(planes).all():
        raise PictureError(f"{path}: {MOSAIC} has values that are no numbers")
    return planes


def write_npz(path: AnyPath, packed: Tensor, *, white: int = 65535) -> None:
    """Writes a packed mosaic, whole or not at all.

    Args:
        path: The file, ending in ``.npz``.
        packed: ``(4, H, W)`` in [0, 1], RGGB; values outside are clipped.
        white: The number that 1 becomes, up to 65535.

    Raises:
        ValueError: If it has not four channels, or white is none that 16 bit hold.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    if packed.ndim != 3 or len(packed) != 4:
        raise ValueError(f"a packed mosaic is (4, H, W), got shape {tuple(packed.shape)}")
    if not 0 < white <= 65535:
        raise ValueError(f"white={white}: must be a whole number from 1 to 65535")
    levels = (rounded(packed.detach().cpu().double(), white) * white).round().numpy()
    samples = np.ascontiguousarray(levels.astype(np.uint16).transpose(1, 2, 0))
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(file, raw=samples, max_val=np.asarray(white))
