"""Weighted sums of losses."""

from collections.abc import Mapping

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from sr_lightning.errors import ConfigError
from sr_lightning.limits import check_value
from sr_lightning.losses.sharpening import sharpened


class Mix(nn.Module):
    """Weighted sum of named losses; training logs each weighted term as ``train/<name>``.

    Args:
        losses: Modules ``(sr, hr) -> scalar`` by the name they are logged under.
        weights: Factors by name; 1 where there is none.
        sharpen: How much the truth is sharpened before, as ``sharpened`` does it; Real-ESRGAN has 0.5. A discriminator
            sees it as it is.

    Raises:
        ConfigError: If there is nothing to sum, a weight or name belongs to no loss, or a weight or
            ``sharpen`` is below 0.

    Example:
        >>> mix = Mix({"l1": nn.L1Loss(), "l2": nn.MSELoss()}, {"l2": 10.0})
        >>> sr, hr = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
        >>> mix.terms(sr, hr), mix(sr, hr)
        ({'l1': tensor(0.5000), 'l2': tensor(2.5000)}, tensor(3.))
    """

    def __init__(
        self, losses: Mapping[str, nn.Module], weights: Mapping[str, float] | None = None, sharpen: float = 0.0
    ) -> None:
        super().__init__()
        weights = weights or {}
        if not losses:
            raise ConfigError("loss=mix needs losses to sum: give one with +loss@loss.losses.l1=l1")
        if "loss" in losses:
            raise ConfigError("loss.losses.loss: choose another name, train/loss is the sum")
        for name, weight in weights.items():
            if name not in losses:
                raise ConfigError(f"loss.weights.{name}: there is no such loss; there are {', '.join(losses)}")
            check_value(f"loss.weights.{name}", weight, NonNegativeFloat)
        check_value("loss.sharpen", sharpen, NonNegativeFloat)
        self.sharpen = sharpen
        self.losses = nn.ModuleDict(losses)
        self.weights = {name: float(weights.get(name, 1.0)) for name in losses}

    def terms(self, sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """Each weighted term."""
        hr = sharpened(hr, self.sharpen) if self.sharpen else hr
        return {name: self.weights[name] * loss(sr, hr) for name, loss in self.losses.items()}

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The sum of ``terms``."""
        return torch.stack(list(self.terms(sr, hr).values())).sum()
