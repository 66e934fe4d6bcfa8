"""A camera's RAW picture through a network that reads the mosaic."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.metadata import CameraColours, Metadata
from sr_lightning.data.files.raw import (
    AS_SHOT,
    Development,
    RawPicture,
    camera_picture,
    exif_of_raw,
    exposed,
    read_raw,
    refuse_for_mosaics,
)
from sr_lightning.data.files.raw.turning import turned_upright
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional.bayer import margins_to_rggb
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
    margins = (top, _), (left, _) = margins_to_rggb(raw.pattern, height, width)
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


def refuse_other_sizes(factor: float | None, size: Any) -> None:
    """Raises a ``ConfigError`` if a factor or size is given."""
    if factor is not None or size is not None:
        raise ConfigError(
            "factor and size are for networks that enlarge pictures, such as model=span; one that reads mosaics has "
            "scales of its own, by scale="
        )


def upscale_raw_file(
    upscaler: Any,
    source: Path,
    development: Development = AS_SHOT,
    *,
    bits: int = 16,
    on_progress: Progress | None = None,
) -> Photo:
    """A RAW file through the network of an ``Upscaler`` that reads mosaics, with its metadata.

    Raises:
        ConfigError: If the network cannot follow the development.
        PictureError: If the file cannot be read.
    """
    refuse_for_mosaics(development)
    raw = exposed(read_raw(source, white_balance=development.white_balance), development)
    colours = CameraColours(raw.gains, raw.matrix)
    metadata = Metadata(exif=exif_of_raw(source), icc=development.profile, camera=colours)
    return Photo(upscaler.raw(raw, bits=bits, on_progress=on_progress), metadata=metadata)
