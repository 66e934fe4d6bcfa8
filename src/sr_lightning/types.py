"""The dictionaries that travel between data, models and commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sr_lightning.metrics import Protocol


class Batch(TypedDict, total=False):
    """What a data loader yields; uint8 until it reaches the device, then float in [0, 1]."""

    lr: Tensor  # (N, C, H, W)
    hr: Tensor  # (N, C, H * scale, W * scale)
    name: list[str]
    scale: int  # in runs of mixed scales: that of this batch


class Recipe(TypedDict, total=False):
    """How a network is trained and judged; every architecture accepts these keyword arguments."""

    loss: nn.Module  # (sr, hr) -> scalar
    optimizer: Callable[..., Any]  # parameters or parameter groups -> Optimizer
    scheduler: Callable[..., Any] | None  # optimizer -> learning-rate scheduler, stepped every update
    protocol: Protocol
