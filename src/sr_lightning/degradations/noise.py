"""Noise of sensors."""

from collections.abc import Sequence
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
    check_probabilities,
    draw_seed,
    noise_generator,
    pick,
    uniform,
)
from sr_lightning.degradations.pictures import grey_of
from sr_lightning.errors import ConfigError
from sr_lightning.limits import number_or_range


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
        rate = light_of(image, parameters["grey"]).float().cpu() * 256
        counted = _photons(rate, noise_generator(parameters["seed"]))
        noisy: Tensor = image + parameters["strength"] / 256 * (counted - rate).to(image)
        return noisy.clamp(0, 1)


@dataclass
class PoissonByLevels(PoissonNoise):
    """Poisson noise as Real-ESRGAN's code counts it: white is as many photons as the picture has levels.

    Each picture is rounded to 8 bit first, in grey if the noise is. Its levels are counted, over all channels, up to
    the next power of two. So a dull picture is noisier than one with all levels, by up to a factor of sixteen.

    Args:
        strength: Multiplies the noise.
        grey: Probability that all channels have the same noise, computed from the grey picture.
    """

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        light = light_of(image, parameters["grey"]).float().cpu().mul(255).round_()
        levels = [int(torch.bincount(one.flatten().int()).count_nonzero()) for one in light]
        photons = light.new_tensor([1 << (count - 1).bit_length() for count in levels]).view(-1, 1, 1, 1)
        rate = light / 255 * photons
        counted = _photons(rate, noise_generator(parameters["seed"]))
        noisy: Tensor = image + parameters["strength"] * ((counted - rate) / photons).to(image)
        return noisy.clamp(0, 1)


@dataclass
class MixedNoise(Degradation):
    """BSRGAN's Gaussian noise: of each channel, of all alike, or correlated between channels. Clipped to [0, 1].

    **Paper:** Zhang et al., BSRGAN, ICCV 2021. As in its code, correlated noise has the covariance
    ``sigma[1]**2 * abs(U.T @ D @ U)`` with a random orthogonal U and a diagonal D drawn between 0 and 1.

    Args:
        sigma: Bounds of the standard deviation, whole numbers on the scale of 0...255.
        probabilities: Of noise of each channel, of grey noise, and of correlated noise.
    """

    sigma: Annotated[Sequence[int], number_or_range(0, 255, whole=True)] = (2, 25)
    probabilities: Sequence[float] = (0.4, 0.4, 0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_probabilities("probabilities", self.probabilities, 3)

    @property
    def random(self) -> Literal[True]:
        return True

    def draw(self, generator: np.random.Generator) -> Parameters:
        kind = ("colour", "grey", "correlated")[pick(self.probabilities, generator)]
        sigma = int(generator.integers(self.sigma[0], self.sigma[1], endpoint=True))
        drawn: Parameters = {"kind": kind, "sigma": sigma, "seed": draw_seed(generator)}
        if kind == "correlated":
            turned = np.linalg.svd(generator.random((3, 3)))[0]
            covariance = np.abs(turned.T @ np.diag(generator.random(3)) @ turned)
            drawn |= {"sigma": self.sigma[1], "covariance": covariance.tolist()}
        return drawn

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        n, c, h, w = image.shape
        channels = {"colour": c, "grey": 1, "correlated": 3}[parameters["kind"]]
        noise = torch.randn((n, channels, h, w), generator=noise_generator(parameters["seed"]))
        if parameters["kind"] == "correlated":
            shares, axes = np.linalg.eigh(np.array(parameters["covariance"]))
            root = torch.from_numpy(axes * np.sqrt(shares.clip(0))).float()
            noise = torch.einsum("dc,nchw->ndhw", root, noise)[:, :c]
        noisy: Tensor = image + parameters["sigma"] / 255 * noise.to(image)
        return noisy.clamp(0, 1)


def light_of(image: Tensor, grey: bool) -> Tensor:
    """The picture in [0, 1], in one channel if its light is counted in grey."""
    light = image.clamp(0, 1)
    if grey and image.shape[1] == 3:
        light = grey_of(light)
    return light


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
