"""Develops mosaics as rawSR's training does: exposure, and the camera's picture."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from sr_lightning.data.files.raw.development import Development
from sr_lightning.data.files.raw.picture import RawPicture
from sr_lightning.functional import to_levels
from sr_lightning.functional.bayer import crop_to_pattern, pack
from sr_lightning.functional.demosaic import demosaic_malvar
from sr_lightning.functional.isp import apply_matrix, develop, least_one, white_balance

#: Rows of a mosaic that are developed together, and those around them that demosaicing looks at; even.
_ROWS, _MARGIN = 256, 4


def exposed(raw: RawPicture, development: Development) -> RawPicture:
    """A mosaic in the exposure that was chosen; what becomes brighter than white lies above 1.

    ``auto`` makes a hundredth of the pixels white, as LibRaw does, and darkens nothing.
    """
    if development.exposure == "auto":
        even = crop_to_pattern(raw.mosaic, raw.pattern, "RGGB")
        red, green, _, blue = pack(even)
        gains = least_one(torch.tensor(raw.gains))
        balanced = apply_matrix(white_balance(torch.stack([red, green, blue]), gains), raw.matrix)
        level = max(float(np.quantile(channel.numpy(), 0.99)) for channel in balanced)
        factor = 1 / min(max(level, 1 / 256), 1)
    else:
        stops = 0.0 if development.exposure == "as_shot" else float(development.exposure)
        factor = 2.0 ** (stops + raw.baseline_exposure)
    return raw if factor == 1 else replace(raw, mosaic=raw.mosaic * factor, baseline_exposure=0.0)


def camera_picture(raw: RawPicture) -> NDArray[np.uint8]:
    """The picture ``(H, W, 3)`` of a mosaic as rawSR's training makes it, as the sensor lay.

    It is demosaiced (Malvar), balanced, clipped at white, and brought to sRGB; nothing else changes its brightness.
    """
    height, width = raw.mosaic.shape[-2:]
    out = np.empty((height, width, 3), np.uint8)
    for row in range(0, height, _ROWS):  # whole pictures take twenty times their size
        above, below = min(row, _MARGIN), min(height - min(row + _ROWS, height), _MARGIN)
        part = raw.mosaic[None, :, row - above : row + _ROWS + below].clamp(0, 1)
        picture = develop(demosaic_malvar(part, raw.pattern)[0], raw.gains, raw.matrix)
        out[row : row + _ROWS] = to_levels(picture[:, above : picture.shape[1] - below]).permute(1, 2, 0).numpy()
    return out
