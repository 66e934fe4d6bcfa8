"""The options of an ``Upscaler``, as type checkers read them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypedDict, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sr_lightning.data.files.raw import Development
from sr_lightning.inference.settings import Engine, Ensemble, Precision, Tiling

Progress = Callable[[float], None]
File = str | Path | bytes | BinaryIO
Files = list[str] | list[Path] | list[str | Path] | list[bytes] | list[BinaryIO]
Values = TypeVar("Values", bound=np.generic)
Kind = TypeVar("Kind", Image.Image, Tensor, NDArray[Any])


class UpscaleOptions(TypedDict, total=False):
    """Those of ``Upscaler.upscale``, for its overloads."""

    factor: float | None
    size: str | tuple[int, int] | None
    memory: float | str | None
    on_progress: Progress | None
    development: Development


class UpscalerOptions(TypedDict, total=False):
    """The options of ``Upscaler``, which describes them, for functions that make one."""

    device: torch.device | str | None
    tile: int | None
    engine: Engine
    precision: Precision
    ensemble: Ensemble | None
    back_projection: int
    tiling: Tiling
    memory: float | str | None
