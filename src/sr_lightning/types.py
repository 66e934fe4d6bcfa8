"""The dictionaries that travel between data, models and commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sr_lightning.metrics import Protocol


class Batch(TypedDict, total=False):
    """What a data loader yields; uint8 or uint16 until it reaches the device, then float in [0, 1]."""

    lr: Tensor  # (N, C, H, W)
    hr: Tensor  # (N, C, H * scale, W * scale)
    name: list[str]
    scale: int  # in runs of mixed scales: that of this batch; 1 where lr has been enlarged to the size of hr
    hr_x2: Tensor  # truth at twice the size of lr, for levels of a pyramid
    hr_x4: Tensor
    label: Tensor  # as hr: what an auxiliary task learns
    raw: Tensor  # (N, 1, H, W), a linear RGGB mosaic: float, black 0, white 1
    white_balance: Tensor  # (N, 3), gains of R, G, B that raw lacks


class Recipe(TypedDict, total=False):
    """How a network is trained and judged; every architecture accepts these keyword arguments."""

    loss: nn.Module  # (sr, hr) -> scalar
    optimizer: Callable[..., Any]  # parameters or parameter groups -> Optimizer
    scheduler: Callable[..., Any] | None  # optimizer -> learning-rate scheduler, stepped every update
    protocol: Protocol
