"""Mosaics of sensors without a Bayer filter: demosaiced by LibRaw, and sampled again as RGGB."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import rawpy
import torch

from sr_lightning.data.files.raw.colours import balance_of, filter_gains, matrix_of
from sr_lightning.data.files.raw.picture import IDENTITY, RawPicture
from sr_lightning.data.files.raw.raw_file import RawFile
from sr_lightning.functional.bayer import mosaic


def sampled_again(
    raw: RawFile, what: str, levels: tuple[float, float] | None, white_balance: str | Sequence[float]
) -> RawPicture:
    """A mosaic of LibRaw's linear colours, and a warning that says so.

    The colours are the camera's own, without white balance. A camera of other colours than red, green and blue gives
    linear sRGB, balanced.

    **Paper:** Xu, Ma, Sun, Exploiting Raw Images for Real-Scene Super-Resolution, TPAMI 2020; its authors' code makes
    mosaics of camera files of all kinds in this way.

    Args:
        raw: The file.
        what: What it is, for the warning.
        levels: Samples of black and white, if the file's own are not to be used.
        white_balance: See ``Development``.
    """
    warnings.warn(
        f"{raw.path}: has {what}; LibRaw makes linear colours of it, and these are sampled again as an RGGB mosaic",
        stacklevel=4,
    )
    options: dict[str, Any] = {"gamma": (1, 1), "no_auto_bright": True, "adjust_maximum_thr": 0, "output_bps": 16}
    if levels is not None:
        black, white = levels
        options |= {"user_black": round(black), "user_cblack": [0] * 4, "user_sat": round(white)}
    if own := has_red_green_blue(raw):
        options |= {"output_color": rawpy.ColorSpace.raw, "user_wb": [1.0] * 4}
    else:
        options |= {"user_wb": filter_gains(raw, white_balance)}
    linear = raw.postprocess(warp=False, user_flip=0, **options).astype(np.float32) / 65535
    return RawPicture(
        mosaic(torch.from_numpy(linear).permute(2, 0, 1)),
        "RGGB",
        balance_of(raw, white_balance) if own else (1.0, 1.0, 1.0),
        matrix_of(raw) if own else IDENTITY,
        raw.flip,
        raw.baseline_exposure,
        measured=False,
    )


def has_red_green_blue(raw: RawFile) -> bool:
    """Whether a sensor's colours are red, green and blue."""
    if raw.tags.filters is not None:
        return bool(np.unique(raw.tags.filters).tolist() == [0, 1, 2])
    return bool(raw.num_colors == 3 and set(raw.color_desc.decode()) == set("RGB"))
