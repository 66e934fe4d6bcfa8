"""Noise of sensors."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from sr_lightning.degradations.base import (
    Degradation,
    Grid,
    Parameters,
    Probability,
    Range,
    draw_seed,
    noise_generator,
    uniform,
)
from sr_lightning.errors import ConfigError
from sr_lightning.limits import number_or_range

#: Weights of BT.601 for the picture whose photons grey noise counts.
_GREY = (0.299, 0.587, 0.114)


@dataclass
class Noise(Degradation):
    """Additive Gaussian noise. The result is clipped to [0, 1].

    Args:
        sigma: Standard deviation on the scale of 0...255.
        grey: Probability that all channels have the same noise.
    """

    sigma: Annotated[Range, number_or_range(0)] = 30.0
    grey: Probability = 0.0

    @property
    def random(self) -> Literal[True]:
        return True

    def draw(self, generator: np.random.Generator) -> Parameters:
        grey = bool(generator.random() < self.grey)
        return {"sigma": uniform(self.sigma, generator), "grey": grey, "seed": draw_seed(generator)}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        n, c, h, w = image.shape
        shape = (n, 1 if parameters["grey"] else c, h, w)
        noise = torch.randn(shape, generator=noise_generator(parameters["seed"]))
        noisy: Tensor = image + parameters["sigma"] / 255 * noise.to(image)
        return noisy.clamp(0, 1)


@dataclass
class PoissonNoise(Degradation):
    """Poisson noise, which is stronger where the picture is bright. The result is clipped to [0, 1].

    Args:
        strength: Multiplies the noise of a picture in which white is 256 photons.
        grey: Probability that all channels have the same noise, computed from the grey picture.
    """

    strength: Annotated[Range, number_or_range(0)] = 1.0
    grey: Probability = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength == 0:
            raise ConfigError("degradation strength=0: Poisson noise of strength 0 changes nothing; leave the step out")

    @property
    def random(self) -> Literal[True]:
        return True

    def draw(self, generator: np.random.Generator) -> Parameters:
        grey = bool(generator.random() < self.grey)
        return {"strength": uniform(self.strength, generator), "grey": grey, "seed": draw_seed(generator)}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        light = image.clamp(0, 1)
        if parameters["grey"] and image.shape[1] == 3:
            light = (light * light.new_tensor(_GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
        rate = light.float().cpu() * 256
        counted = _photons(rate, noise_generator(parameters["seed"]))
        noisy: Tensor = image + parameters["strength"] / 256 * (counted - rate).to(image)
        return noisy.clamp(0, 1)


def _photons(rate: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers of the Poisson distribution, several times as fast as ``torch.poisson``.

    The expansion by Cornish and Fisher makes them of normal numbers: of 4 photons one in 400 differs from what an exact
    method draws, of 16 one in 4000. Darker pixels are exact.
    """
    n, c, h, w = rate.shape
    # In the layout that OpenCV leaves the pictures in, which arithmetic with them is fastest in.
    z = torch.randn((n, h, w, c), generator=generator).permute(0, 3, 1, 2)
    deviation = (rate - 1 / 12).clamp_(min=1).sqrt_()  # rounding adds 1/12 to the variance
    square = z * z
    skewed = torch.addcmul(rate, deviation, z).add_(square, alpha=1 / 6).sub_(1 / 6)
    counted = skewed.addcdiv_(z.mul_(square.neg_().add_(1)), deviation, value=1 / 72).round_().clamp_(min=0)
    dark = rate < 4
    if dark.any():
        counted[dark] = torch.poisson(rate[dark], generator=generator)
    return counted
