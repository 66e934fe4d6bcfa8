"""Resizing on the way from HR to LR."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt
from torch import Tensor

from sr_lightning.degradations.base import (
    Degradation,
    Grid,
    Parameters,
    Range,
    check_probabilities,
    is_range,
    pick,
    uniform,
)
from sr_lightning.degradations.pictures import each_picture, is_plain
from sr_lightning.devices import in_float64
from sr_lightning.errors import ConfigError
from sr_lightning.functional import imresize
from sr_lightning.functional.levels import rounded
from sr_lightning.functional.resize import Edge, Rounding
from sr_lightning.limits import number_or_range

Method = Literal["area", "bilinear", "bicubic", "nearest", "matlab"]


@dataclass
class Bicubic(Degradation):
    """MATLAB's ``imresize`` to the LR size, on 8-bit pictures: the degradation of most papers ("BI").

    Pictures of 16 bit are rounded to their own levels, once.

    Args:
        edge: See ``functional.imresize``.
        rounding: Likewise; ``per_pass`` is what MATLAB does with ``uint8``.
    """

    edge: Edge = "symmetric"
    rounding: Rounding = "per_pass"

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        # In float64, as the LR pictures of the store: float32 would round some halves the other way.
        exact = in_float64(image)
        if grid.levels == 255:
            return imresize(exact, size=grid[:2], edge=self.edge, rounding=self.rounding).to(image)
        small = imresize(exact, size=grid[:2], edge=self.edge)
        return (small if self.rounding == "none" else rounded(small, grid.levels)).to(image)


@dataclass
class Subsample(Degradation):
    """Keeps every ``scale``-th pixel.

    Args:
        phase: Number of the first row and column kept; None is that of MATLAB's ``imresize(..., 'nearest')``,
            ``scale // 2``.
    """

    phase: NonNegativeInt | None = None

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        start = grid.scale // 2 if self.phase is None else self.phase
        if start >= grid.scale:
            raise ConfigError(f"degradation phase={start}: must be below scale={grid.scale}")
        return image[..., start :: grid.scale, start :: grid.scale]


@dataclass
class Resize(Degradation):
    """Resizes by a factor and a method, both of which may be drawn.

    Args:
        of: What the factor multiplies: the picture as it is (``input``), the ``lr`` or the ``hr`` size.
        factor: One number, or the range it is drawn from.
        probabilities: Of enlarging by up to the largest factor, shrinking down to the smallest, and keeping the
            size; None draws from the whole range alike.
        methods: ``matlab`` is antialiased, ``bilinear`` and ``bicubic`` (a = -0.75) are not: their aliasing is
            wanted in real-world chains.
    """

    of: Literal["input", "lr", "hr"] = "lr"
    factor: Annotated[Range, number_or_range(0.001, 16)] = 1.0
    probabilities: Sequence[float] | None = None
    methods: Annotated[Sequence[Method], Field(min_length=1)] = ("area", "bilinear", "bicubic")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probabilities is not None:
            check_probabilities("probabilities", self.probabilities, 3)
            if not isinstance(self.factor, Sequence) or not self.factor[0] <= 1 <= self.factor[1]:
                raise ConfigError(f"degradation factor={self.factor}: probabilities need a range around 1")

    @property
    def random(self) -> bool:
        return is_range(self.factor) or len(self.methods) > 1

    def draw(self, generator: np.random.Generator) -> Parameters:
        factor = self.factor
        if self.probabilities is not None and isinstance(factor, Sequence):
            ranges: list[Range] = [(1.0, factor[1]), (factor[0], 1.0), 1.0]
            factor = ranges[pick(self.probabilities, generator)]
        return {
            "factor": uniform(factor, generator),
            "method": self.methods[int(generator.integers(len(self.methods)))],
        }

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        basis = {
            "input": tuple(image.shape[-2:]),
            "lr": (grid.height, grid.width),
            "hr": (grid.height * grid.scale, grid.width * grid.scale),
        }[self.of]
        height, width = (max(1, math.floor(n * parameters["factor"] + 0.5)) for n in basis)
        return resize(image, (height, width), parameters["method"])


def resize(image: Tensor, size: tuple[int, int], method: str) -> Tensor:
    """Resizes ``(N, C, H, W)`` to ``(N, C, *size)`` by one of the methods.

    Example:
        >>> resize(torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]]), (1, 1), "area")
        tensor([[[[4.]]]])
    """
    if tuple(image.shape[-2:]) == size:
        return image
    if method == "matlab":
        return imresize(image, size=size)
    if method in ("bilinear", "bicubic") and image.dtype == torch.float32 and is_plain(image):
        import cv2

        how = cv2.INTER_LINEAR if method == "bilinear" else cv2.INTER_CUBIC
        return each_picture(image, lambda pixels: cv2.resize(pixels, size[::-1], interpolation=how))
    if method in ("bilinear", "bicubic"):
        return F.interpolate(image, size=size, mode=method, align_corners=False)
    return F.interpolate(image, size=size, mode="nearest-exact" if method == "nearest" else method)
