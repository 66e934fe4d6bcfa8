"""Locally discriminative learning: a loss where a network made artefacts, and not where it made details."""

from collections.abc import Callable

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from sr_lightning.errors import ConfigError
from sr_lightning.functional.psnr import check_same_shape
from sr_lightning.limits import check_value
from sr_lightning.losses.blurring import reach_of


def artifact_map(sr: Tensor, hr: Tensor, average: Tensor, window: int = 7) -> Tensor:
    """How much each pixel looks like an artefact: where the error varies, and is not below that of the average.

    **Paper:** Liang, Zeng, Zhang, Details or Artifacts: A Locally Discriminative Learning Approach to Realistic Image
    Super-Resolution, CVPR 2022, equations 4 to 7. With the error summed over the channels: its variance in a window
    around the pixel, times the fifth root of its variance in the picture; 0 where the error of ``average`` is larger.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.
        average: The same of the moving average of the network.
        window: Side of the window, odd.

    Returns:
        ``(N, 1, H, W)`` in float32.

    Raises:
        DataError: If a side of the picture is not above half of the window's.
    """
    reach = reach_of(window, sr)
    for other in (hr, average):
        check_same_shape(sr, other)
    error, usual = ((hr.float() - picture.float()).abs().sum(1, keepdim=True) for picture in (sr, average))
    patches = F.unfold(F.pad(error, [reach] * 4, mode="reflect"), window)
    local = patches.var(1, keepdim=True).view_as(error)
    whole = error.var((1, 2, 3), keepdim=True).clamp_min(1e-20) ** 0.2  # whose slope at 0 is infinite
    return whole * local * (error >= usual)


def ldl_loss(sr: Tensor, hr: Tensor, average: Tensor, window: int = 7) -> Tensor:
    """L1, weighted by the ``artifact_map``, a scalar in float32. As in the authors' code, the map has a gradient, too.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.
        average: The same of the moving average of the network.
        window: As in ``artifact_map``.

    Example:
        >>> import torch
        >>> sr, hr = torch.rand(2, 1, 3, 16, 16)
        >>> ldl_loss(sr, hr, average=hr) > 0, ldl_loss(sr, hr, average=1 - hr.round()) == 0
        (tensor(True), tensor(True))
    """
    weight = artifact_map(sr, hr, average, window)
    return F.l1_loss(weight * sr.float(), weight * hr.float())


class LDL(nn.Module):
    """``ldl_loss`` as a module.

    The moving average's picture comes from the callback ``AveragedPicture``, which every training has.

    Args:
        window: As in ``artifact_map``.

    Raises:
        ConfigError: If the window is not odd, or there is no moving average.
    """

    def __init__(self, window: int = 7) -> None:
        super().__init__()
        check_value("loss.window", window, PositiveInt)
        if window % 2 == 0:
            raise ConfigError(f"loss.window={window}: must be odd")
        self.window = window
        #: Gives the moving average's picture of the batch at hand.
        self.average: Callable[[], Tensor] | None = None

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        if self.average is None:
            raise ConfigError(NEEDS_AVERAGE)
        return ldl_loss(sr, hr, self.average(), self.window)


NEEDS_AVERAGE = "loss: ldl compares with the moving average of the network; type 'callbacks=[default,ema]'"
