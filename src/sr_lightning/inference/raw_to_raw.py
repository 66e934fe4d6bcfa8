"""A camera's RAW picture as the mosaic of a finer sensor."""

from dataclasses import replace

import numpy as np
import torch

from sr_lightning.data.files.raw import RawPicture
from sr_lightning.errors import ConfigError
from sr_lightning.functional.bayer import margins_to_rggb, pack, pattern_at, unpack
from sr_lightning.inference.options import Progress
from sr_lightning.inference.upscaler import Upscaler


def enlarge_mosaic(upscaler: Upscaler, raw: RawPicture, *, on_progress: Progress | None = None) -> RawPicture:
    """The mosaic that a sensor of the same view and size has, whose pixels are ``scale`` times smaller.

    Below black and above white, samples are clipped, as in training. Everything but mosaic and pattern stays: white
    balance, matrix, and the turn for display.

    Args:
        upscaler: Of a network that is ``packed``, on the grid ``sensor``.
        raw: The picture, of any Bayer phase.
        on_progress: Is called with the share that is done, up to 1.

    Returns:
        ``(1, scale * H, scale * W)`` in [0, 1], in steps of 1 / 65535. Where the scale is even, it is RGGB.

    Raises:
        ConfigError: If the network reads pictures, or has the grid of the challenges, which moves colours apart.

    Example:
        >>> from sr_lightning.models import PackedBicubic
        >>> large = enlarge_mosaic(Upscaler(PackedBicubic(scale=2)), RawPicture(torch.rand(1, 7, 10), "GRBG"))
        >>> large.mosaic.shape, large.pattern
        (torch.Size([1, 14, 20]), 'RGGB')
    """
    model = upscaler.model
    if not model.packed:
        raise ConfigError(f"{model.title} gives pictures: a RAW file needs a network of packed mosaics, as packed_naf")
    if (grid := getattr(model, "grid", "sensor")) != "sensor":
        raise ConfigError(
            f"{model.title} learnt mosaics on the grid {grid}, and cameras have the grid sensor: its colours would lie "
            "apart; train with data.camera.grid=sensor"
        )
    scale, (height, width) = model.scale, raw.mosaic.shape[-2:]
    margins = (top, _), (left, _) = margins_to_rggb(raw.pattern, height, width)
    mosaic = np.pad(raw.mosaic[0].numpy().clip(0, 1), margins, mode="reflect")[None]
    planes = upscaler.array(pack(torch.from_numpy(mosaic)).numpy(), bits=16, on_progress=on_progress)
    large = unpack(torch.from_numpy(planes.astype(np.float32) / np.float32(65535)))
    rows, columns = (slice(first * scale, (first + side) * scale) for first, side in ((top, height), (left, width)))
    pattern = pattern_at("RGGB", top * scale, left * scale)
    return replace(raw, mosaic=large[:, rows, columns].contiguous(), pattern=pattern)
