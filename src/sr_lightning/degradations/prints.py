"""What prints and films suffer: grain, fading, scratches and dust, and the printer's halftone."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from sr_lightning.degradations.base import (
    Degradation,
    Grid,
    Parameters,
    Range,
    draw_seed,
    is_range,
    noise_generator,
    uniform,
)
from sr_lightning.degradations.kernels import correlate, gaussian_kernel
from sr_lightning.degradations.pictures import grey_of
from sr_lightning.limits import number_or_range

#: Angles of the screens of cyan, magenta and yellow, in degrees, which printers keep apart against moiré.
_SCREENS = (15.0, 75.0, 0.0)


@dataclass
class Grain(Degradation):
    """Grain of film: noise with a size, strongest in the middle tones, alike in all channels. Clipped to [0, 1].

    A point of a film is either developed or not. The variance of such a count is ``x (1 - x)`` at brightness ``x``.

    Args:
        sigma: Standard deviation at middle grey, on the scale of 0...255.
        size: Standard deviation of the Gaussian that a grain looks like, in pixels.
    """

    sigma: Annotated[Range, number_or_range(0, 255)] = (4.0, 16.0)
    size: Annotated[Range, number_or_range(0.1, 5)] = (0.5, 1.2)

    @property
    def random(self) -> Literal[True]:
        return True

    def draw(self, generator: np.random.Generator) -> Parameters:
        sigma, size = uniform(self.sigma, generator), uniform(self.size, generator)
        return {"sigma": sigma, "size": size, "seed": draw_seed(generator)}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        kernel = gaussian_kernel(2 * math.ceil(3 * parameters["size"]) + 1, parameters["size"])
        reach = len(kernel) // 2
        n, _, h, w = image.shape
        white = torch.randn((n, 1, h + 2 * reach, w + 2 * reach), generator=noise_generator(parameters["seed"]))
        grains = correlate(white, kernel)[..., reach : reach + h, reach : reach + w] / float(np.sqrt((kernel**2).sum()))
        light = image.clamp(0, 1)
        # 2 sqrt(x (1 - x)) is 1 at middle grey.
        deviation = (light * (1 - light)).sqrt() * (2 * parameters["sigma"] / 255)
        grainy: Tensor = image + deviation * grains.to(image)
        return grainy.clamp(0, 1)


@dataclass
class Fade(Degradation):
    """Fading of dyes and paper: colours lose strength, black becomes grey, white becomes the colour of the paper.

    ``black + (white * paper - black) * x`` of the picture ``x`` with its colours mixed into grey; ``paper`` is
    ``(1, 1 - warmth / 4, 1 - warmth)``, from white to yellow.

    Args:
        black: Brightness that black becomes, in [0, 1].
        white: Brightness that white becomes.
        saturation: Share of the colours that is left.
        warmth: How yellow the paper is: the part of blue that it swallows.
    """

    black: Annotated[Range, number_or_range(0, 1)] = (0.02, 0.2)
    white: Annotated[Range, number_or_range(0, 1)] = (0.8, 1.0)
    saturation: Annotated[Range, number_or_range(0, 1)] = (0.3, 0.9)
    warmth: Annotated[Range, number_or_range(0, 1)] = (0.0, 0.25)

    @property
    def random(self) -> bool:
        return any(is_range(value) for value in (self.black, self.white, self.saturation, self.warmth))

    def draw(self, generator: np.random.Generator) -> Parameters:
        return {key: uniform(getattr(self, key), generator) for key in ("black", "white", "saturation", "warmth")}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        black, white, warmth = parameters["black"], parameters["white"], parameters["warmth"]
        top = image.new_tensor([white]).view(1, 1, 1, 1)
        if image.shape[1] == 3:
            grey = grey_of(image)
            image = grey + parameters["saturation"] * (image - grey)
            top = image.new_tensor([white, white * (1 - warmth / 4), white * (1 - warmth)]).view(1, 3, 1, 1)
        faded: Tensor = black + (top - black) * image
        return faded


@dataclass
class Marks(Degradation):
    """Scratches, which run along the film, and grains of dust. Both cover the picture, lighter or darker.

    Args:
        scratches: How many at most; each number from 0 is equally likely.
        dust: Likewise.
        width: Of a scratch, and radius of a grain of dust, in pixels.
        opacity: How much of the picture a mark covers.
    """

    scratches: Annotated[int, number_or_range(0, 1000, whole=True)] = 3
    dust: Annotated[int, number_or_range(0, 1000, whole=True)] = 8
    width: Annotated[Range, number_or_range(0.1, 100)] = (0.6, 1.6)
    opacity: Annotated[Range, number_or_range(0, 1)] = (0.3, 0.9)

    @property
    def random(self) -> bool:
        return self.scratches > 0 or self.dust > 0

    def draw(self, generator: np.random.Generator) -> Parameters:
        def mark(slant: float) -> Parameters:
            x, y = generator.random(2).tolist()
            half, opacity = uniform(self.width, generator), uniform(self.opacity, generator)
            bright = float(generator.random() < 0.5)
            return {"x": x, "y": y, "size": half, "opacity": opacity, "level": bright, "slant": slant}

        lines, grains = (int(generator.integers(most, endpoint=True)) for most in (self.scratches, self.dust))
        scratches = [mark(float(generator.uniform(-0.1, 0.1))) for _ in range(lines)]
        return {"scratches": scratches, "dust": [mark(0.0) for _ in range(grains)]}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        h, w = image.shape[-2:]
        y, x = torch.arange(h, device=image.device)[:, None] + 0.5, torch.arange(w, device=image.device)[None] + 0.5
        for kind in ("scratches", "dust"):
            for mark in parameters[kind]:
                if kind == "scratches":
                    # A scratch has no ends in a patch: it is a line through the whole picture.
                    distance, reach = (x - mark["x"] * w - mark["slant"] * (y - mark["y"] * h)).abs(), mark["size"] / 2
                else:
                    distance, reach = torch.hypot(x - mark["x"] * w, y - mark["y"] * h), mark["size"]
                covered = (reach + 0.5 - distance).clamp(0, min(1, 2 * reach)).to(image) * mark["opacity"]
                image = image + covered * (mark["level"] - image)
        return image


@dataclass
class Halftone(Degradation):
    """A printer's screen: dots of ink of one size of grid, whose area is the tone. Cyan, magenta and yellow ink.

    The dots of each ink lie on a square grid at its own angle. A place is inked if the tone is above a threshold that
    depends on the place. Thresholds are equally frequent, so that a tone ``t`` inks the share ``t`` of the paper.

    Args:
        period: Distance of dots in pixels.
        angle: By which all grids are turned, in degrees.
        softness: Range of tones over which ink passes into paper, for rims of dots that are not sharp.
    """

    period: Annotated[Range, number_or_range(1, 100)] = (2.5, 5.0)
    angle: Annotated[Range, number_or_range(-360, 360)] = (0.0, 90.0)
    softness: Annotated[Range, number_or_range(0.01, 2)] = 0.5

    @property
    def random(self) -> Literal[True]:
        return True  # where the grids begin

    def draw(self, generator: np.random.Generator) -> Parameters:
        drawn: Parameters = {key: uniform(getattr(self, key), generator) for key in ("period", "angle", "softness")}
        return drawn | {"begin": generator.random(2).tolist()}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        angles = _SCREENS if image.shape[1] == 3 else (45.0,)
        thresholds = torch.stack([self._thresholds(image, parameters, angle) for angle in angles])
        tone = 1 - image.clamp(0, 1)
        inked = ((tone - thresholds) / parameters["softness"] + 0.5).clamp(0, 1)
        # White stays paper and black stays ink, however soft the rims are.
        steepness = 2 / parameters["softness"]
        ink: Tensor = inked.minimum(tone * steepness).maximum(1 - (1 - tone) * steepness)
        return 1 - ink

    @staticmethod
    def _thresholds(image: Tensor, parameters: Parameters, angle: float) -> Tensor:
        h, w = image.shape[-2:]
        turn = math.radians(parameters["angle"] + angle)
        y = torch.arange(h, dtype=torch.float64)[:, None] / parameters["period"]
        x = torch.arange(w, dtype=torch.float64)[None] / parameters["period"]
        u = x * math.cos(turn) + y * math.sin(turn) + parameters["begin"][0]
        v = y * math.cos(turn) - x * math.sin(turn) + parameters["begin"][1]
        # The distance from the middle of a cell, as diamonds: a sum of two numbers that are equally frequent in [0, 1].
        spot = (2 * (u % 1) - 1).abs() + (2 * (v % 1) - 1).abs()
        # Its distribution function makes it equally frequent, too.
        return torch.where(spot < 1, spot**2 / 2, 1 - (2 - spot) ** 2 / 2).to(image)
