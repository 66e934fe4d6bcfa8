"""A camera's RAW picture through a network that reads the mosaic."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_lightning.data.files.raw import RawPicture, camera_picture
from sr_lightning.data.files.raw.turning import turned_upright
from sr_lightning.errors import DataError
from sr_lightning.inference.engines.network import Network
from sr_lightning.inference.options import Progress


def upscale_mosaic(
    array: Callable[..., NDArray[Any]],
    model: Network,
    raw: RawPicture,
    reference: NDArray[Any] | None,
    bits: int,
    on_progress: Progress | None,
) -> NDArray[Any]:
    """What ``Upscaler.raw`` does, by ``Upscaler.array`` and its network."""
    height, width = raw.mosaic.shape[-2:]
    if reference is None:
        reference = camera_picture(raw)
    if reference.shape[:2] != (height, width):
        size = "x".join(map(str, reference.shape[:2]))
        raise DataError(f"the camera's picture has {size} pixels and the mosaic {height}x{width}")
    # Mirrored without repeating the edge, until red is first: colours stay in their places, and no pixel is lost.
    top, left = divmod(raw.pattern.index("R"), 2)
    margins = (top, (height + top) % 2), (left, (width + left) % 2)
    mosaic = np.pad(raw.mosaic[0].numpy().clip(0, 1), margins, mode="reflect")[None]  # as in training
    pictures = {"raw": mosaic, "lr": np.pad(reference, (*margins, (0, 0)), mode="reflect").transpose(2, 0, 1)}
    constants = {"white_balance": torch.tensor([raw.gains])}
    out = array(
        *(pictures[kind] for kind in model.inputs if kind in pictures),
        constants={kind: constants[kind] for kind in model.inputs if kind in constants},
        bits=bits,
        on_progress=on_progress,
    ).transpose(1, 2, 0)
    scale = model.scale
    return turned_upright(out[top * scale : (top + height) * scale, left * scale : (left + width) * scale], raw.flip)
