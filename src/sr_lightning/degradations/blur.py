"""Blur by kernels: drawn, given by numbers, or measured."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from torch import Tensor

from sr_lightning.degradations.base import Degradation, Grid, Parameters, Range, is_range, uniform
from sr_lightning.degradations.kernels import (
    Kernel,
    correlate,
    disk_kernel,
    gaussian_kernel,
    load_kernel,
    motion_kernel,
    moved_kernel,
    sinc_kernel,
)
from sr_lightning.errors import ConfigError
from sr_lightning.limits import number_or_range

Border = Literal["replicate", "reflect"]
Size = Annotated[int | Sequence[int], number_or_range(1, 101, odd=True)]


@dataclass
class GaussianBlur(Degradation):
    """Blur by a Gaussian kernel: round or elliptic, and also generalised or plateau-shaped.

    Args:
        sigma: Standard deviation in pixels.
        size: Odd side of the kernel; of a range the odd numbers are equally likely.
        anisotropic: Draw the two axes of an ellipse and its angle.
        beta: Exponent, see ``gaussian_kernel``. Of a range around 1, half
            of the draws are below 1 and half above, as Real-ESRGAN has it.
        plateau: The plateau-shaped relative.
        border: ``replicate`` or ``reflect``.
    """

    sigma: Annotated[Range, number_or_range(0.01)] = 1.6
    size: Size = 21
    anisotropic: bool = False
    beta: Annotated[Range, number_or_range(0.01)] = 1.0
    plateau: bool = False
    border: Border = "replicate"

    @property
    def random(self) -> bool:
        return self.anisotropic or any(is_range(value) for value in (self.sigma, self.size, self.beta))

    def draw(self, generator: np.random.Generator) -> Parameters:
        drawn: Parameters = {"size": odd_size(self.size, generator), "sigma_x": uniform(self.sigma, generator)}
        if self.anisotropic:
            drawn |= {"sigma_y": uniform(self.sigma, generator), "angle": uniform((-math.pi, math.pi), generator)}
        return drawn | {"beta": _around_one(self.beta, generator)}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        return correlate(image, gaussian_kernel(**parameters, plateau=self.plateau), self.border)


@dataclass
class DefocusBlur(Degradation):
    """Blur by a disk, as of a lens out of focus.

    Args:
        radius: Of the disk in pixels.
        border: ``replicate`` or ``reflect``.
    """

    radius: Annotated[Range, number_or_range(0.5)] = (1.0, 5.0)
    border: Border = "replicate"

    @property
    def random(self) -> bool:
        return is_range(self.radius)

    def draw(self, generator: np.random.Generator) -> Parameters:
        return {"radius": uniform(self.radius, generator)}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        return correlate(image, disk_kernel(**parameters), self.border)


@dataclass
class MotionBlur(Degradation):
    """Blur along a straight line.

    Args:
        length: Of the line in pixels.
        angle: Of the line to the rows, in degrees, counter-clockwise.
        border: ``replicate`` or ``reflect``.
    """

    length: Annotated[Range, number_or_range(0)] = (3.0, 15.0)
    angle: Annotated[Range, number_or_range(-360, 360)] = (0.0, 180.0)
    border: Border = "replicate"

    @property
    def random(self) -> bool:
        return is_range(self.length) or is_range(self.angle)

    def draw(self, generator: np.random.Generator) -> Parameters:
        return {"length": uniform(self.length, generator), "angle": math.radians(uniform(self.angle, generator))}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        return correlate(image, motion_kernel(**parameters), self.border)


@dataclass
class SincBlur(Degradation):
    """Blur by a low-pass filter that rings, see ``sinc_kernel``.

    Args:
        cutoff: In radians per pixel; None draws it as Real-ESRGAN does for its blur, from pi/3 to pi for kernels
            below 13 pixels and from pi/5 to pi for the others.
        size: Odd side of the kernel; of a range the odd numbers are equally likely.
        border: ``replicate`` or ``reflect``.
    """

    cutoff: Annotated[Range, number_or_range(0.01, 3.1416)] | None = None
    size: Size = (7, 21)
    border: Border = "replicate"

    @property
    def random(self) -> bool:
        return self.cutoff is None or is_range(self.cutoff) or is_range(self.size)

    def draw(self, generator: np.random.Generator) -> Parameters:
        size = odd_size(self.size, generator)
        cutoff = self.cutoff or (math.pi / (3 if size < 13 else 5), math.pi)
        return {"size": size, "cutoff": uniform(cutoff, generator)}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        return correlate(image, sinc_kernel(**parameters), self.border)


@dataclass
class KernelBlur(Degradation):
    """Blur by a measured kernel, for instance one that KernelGAN estimated.

    Args:
        file: ``.npy`` or ``.mat``.
        key: Name of the variable in a ``.mat`` file.
        centre: Move the kernel so that, sampled by ``Subsample``, LR lies on HR as a bicubic one does.
        border: ``replicate`` or ``reflect``.

    Raises:
        ConfigError: If there is no file.
        DataError: If it cannot be read.
    """

    file: str | None = None
    key: str = "Kernel"
    centre: bool = True
    border: Border = "replicate"
    kernel: Kernel = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.file:
            raise ConfigError("a measured kernel needs its file: degradation.steps.blur.file=FILE.npy or .mat")
        super().__post_init__()
        self.kernel = load_kernel(Path(self.file), self.key)

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        kernel = moved_kernel(self.kernel, grid.scale) if self.centre else self.kernel
        return correlate(image, kernel, self.border)

    def describe(self) -> dict[str, Any]:
        """Describes the kernel by its content, so that another kernel in a file of the same name is told apart."""
        name = Path(self.file or "").name
        return super().describe() | {"file": name, "kernel": hashlib.sha256(self.kernel.tobytes()).hexdigest()[:16]}


def odd_size(size: int | Sequence[int], generator: np.random.Generator) -> int:
    """Draws the side of a kernel: of a range the odd numbers are equally likely."""
    if isinstance(size, Sequence):
        return int(generator.integers(size[0] // 2, size[1] // 2, endpoint=True)) * 2 + 1
    return size


def _around_one(beta: Range, generator: np.random.Generator) -> float:
    if isinstance(beta, Sequence) and beta[0] <= 1 <= beta[1]:
        beta = (beta[0], 1) if generator.random() < 0.5 else (1, beta[1])
    return uniform(beta, generator)
