"""Steps of BSRGAN's chain: halving first, a shuffle that keeps two steps in order, blur and sampling by the scale.

**Paper:** Zhang et al., Designing a Practical Degradation Model for Deep Blind Image Super-Resolution, ICCV 2021. Where
the paper and its authors' code differ, the code is followed. The camera's processing is left out: it needs a network,
which their code leaves to the user, too.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, InstanceOf
from torch import Tensor

from sr_lightning.degradations.base import Degradation, Grid, Parameters, Parts, Probability
from sr_lightning.degradations.blur import Border, Size, odd_size
from sr_lightning.degradations.kernels import Kernel, correlate, gaussian_kernel
from sr_lightning.degradations.pictures import each_picture
from sr_lightning.errors import ConfigError
from sr_lightning.functional import imresize
from sr_lightning.limits import number_or_range

CVMethod = Literal["bilinear", "bicubic", "area"]
Methods = Annotated[Sequence[CVMethod], Field(min_length=1)]
#: A bound that grows with the scale: ``base + slope * scale``.
Growing = Annotated[Sequence[float], Field(min_length=2, max_length=2)]


@dataclass
class HalvedAtFour(Degradation):
    """At scale 4, sometimes halves the picture first; what follows then makes LR of it at scale 2.

    Args:
        step: What follows.
        probability: That the picture is halved.
        matlab: The share of MATLAB's ``imresize`` in this; else one of ``methods`` is drawn.
        methods: OpenCV's.
    """

    step: InstanceOf[Degradation]
    probability: Probability = 0.25
    matlab: Probability = 0.5
    methods: Methods = ("bilinear", "bicubic", "area")

    @property
    def random(self) -> Literal[True]:
        return True

    def draw(self, generator: np.random.Generator) -> Parameters:
        halved, matlab = (bool(generator.random() < share) for share in (self.probability, self.matlab))
        method = "matlab" if matlab else _one_of(self.methods, generator)
        return {"halved": halved, "method": method, "parameters": self.step.draw(generator)}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        if grid.scale == 4 and parameters["halved"]:
            half = (image.shape[-2] // 2, image.shape[-1] // 2)
            by_matlab = parameters["method"] == "matlab"
            image = imresize(image, size=half) if by_matlab else cv_resize(image, half, parameters["method"])
            image, grid = image.clamp(0, 1), grid._replace(scale=2)
        return self.step.apply(image, parameters["parameters"], grid)


@dataclass
class Shuffled(Degradation):
    """Applies named steps in an order that is drawn anew each time.

    Args:
        steps: A dictionary; null leaves a step out.
        in_order: Names of two steps: where the draw has them the other way round, they change places.
    """

    steps: Parts
    in_order: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.steps, Mapping):
            raise ConfigError("degradation steps of Shuffled need names: write them as a dictionary")
        self.steps = {name: step for name, step in self.steps.items() if step is not None}
        super().__post_init__()
        if len(self.in_order) not in (0, 2) or not {*self.in_order} <= {*self.steps}:
            raise ConfigError(
                f"degradation in_order={list(self.in_order)}: must be the names of two of {', '.join(self.steps)}"
            )

    @property
    def random(self) -> Literal[True]:
        return True

    def draw(self, generator: np.random.Generator) -> Parameters:
        assert isinstance(self.steps, Mapping)
        names = list(self.steps)
        order = [names[i] for i in generator.permutation(len(names))]
        if self.in_order:
            first, second = (order.index(name) for name in self.in_order)
            if first > second:
                order[first], order[second] = order[second], order[first]
        return {"steps": [[name, self.steps[name].draw(generator)] for name in order]}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        assert isinstance(self.steps, Mapping)
        for name, drawn in parameters["steps"]:
            image = self.steps[name].apply(image, drawn, grid)
        return image


@dataclass
class ScaledGaussianBlur(Degradation):
    """Gaussian blur whose widest width grows with the scale.

    Args:
        anisotropic: Probability of an ellipse.
        sigma: ``[base, slope]``: a round kernel's standard deviation is drawn between 0 and ``base + slope * scale``.
        variance: Likewise the two variances of an elliptic kernel.
        size: Odd side of the kernel; of a range the odd numbers are equally likely.
        border: ``replicate`` or ``reflect``.
    """

    anisotropic: Probability = 0.5
    sigma: Growing = (2.0, 0.2)
    variance: Growing = (4.0, 1.0)
    size: Size = (7, 25)
    border: Border = "reflect"

    @property
    def random(self) -> Literal[True]:
        return True

    def draw(self, generator: np.random.Generator) -> Parameters:
        elliptic = bool(generator.random() < self.anisotropic)
        widths = generator.random(2 if elliptic else 1).tolist()
        angle = float(generator.uniform(0, math.pi)) if elliptic else 0.0
        return {"size": odd_size(self.size, generator), "widths": widths, "angle": angle}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        return correlate(image, self.kernel(parameters, grid.scale), self.border)

    def kernel(self, parameters: Parameters, scale: int) -> Kernel:
        """The kernel at a scale."""
        widths, size, angle = parameters["widths"], parameters["size"], parameters["angle"]
        if len(widths) == 1:
            return gaussian_kernel(size, max(widths[0] * _grown(self.sigma, scale), _NARROWEST))
        first, second = (max(math.sqrt(width * _grown(self.variance, scale)), _NARROWEST) for width in widths)
        return gaussian_kernel(size, first, second, angle)


@dataclass
class BlindReduce(Degradation):
    """Makes the picture smaller by a drawn factor, or blurs it and keeps every ``scale``-th pixel.

    The size that this leaves is not LR's: ``CVResize`` follows.

    Args:
        resized: Probability of resizing; by a factor between 1 and ``2 * scale``.
        methods: OpenCV's.
        sigma: Of the blur before sampling, from ``sigma[0]`` to ``sigma[1] * scale``.
        size: Odd side of its kernel, which lies on the middle of the pixels that LR's stands for.
    """

    resized: Probability = 0.75
    methods: Methods = ("bilinear", "bicubic", "area")
    sigma: Growing = (0.1, 0.6)
    size: Annotated[int, number_or_range(3, 101, odd=True)] = 25

    @property
    def random(self) -> Literal[True]:
        return True

    def draw(self, generator: np.random.Generator) -> Parameters:
        resized = bool(generator.random() < self.resized)
        return {"resized": resized, "place": float(generator.random()), "method": _one_of(self.methods, generator)}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        scale, place = grid.scale, parameters["place"]
        if parameters["resized"]:
            factor = 1 / (1 + place * (2 * scale - 1))
            size = (max(1, int(factor * image.shape[-2])), max(1, int(factor * image.shape[-1])))
            return cv_resize(image, size, parameters["method"]).clamp(0, 1)
        sigma = self.sigma[0] + place * (self.sigma[1] * scale - self.sigma[0])
        blurred = correlate(image, sampling_kernel(self.size, sigma, scale), "reflect")
        return blurred[..., ::scale, ::scale].clamp(0, 1)


@dataclass
class CVResize(Degradation):
    """Resizes to LR's size, by OpenCV and a method that is drawn.

    Args:
        methods: ``bilinear``, ``bicubic``, ``area``.
    """

    methods: Methods = ("bilinear", "bicubic", "area")

    @property
    def random(self) -> bool:
        return len(self.methods) > 1

    def draw(self, generator: np.random.Generator) -> Parameters:
        return {"method": _one_of(self.methods, generator)}

    def apply(self, image: Tensor, parameters: Parameters, grid: Grid) -> Tensor:
        return cv_resize(image, (grid.height, grid.width), parameters["method"]).clamp(0, 1)


def sampling_kernel(size: int, sigma: float, scale: int) -> Kernel:
    """A round Gaussian that lies ``(scale - 1) / 2`` pixels right of and below the middle, for sampling at phase 0.

    Between its pixels it is linear, as the authors' code interpolates it.

    Example:
        >>> sampling_kernel(5, 0.5, 2)[2].round(2)
        array([0.  , 0.02, 0.2 , 0.2 , 0.02])
    """
    places = np.arange(size) - size // 2
    row = np.exp(-(places**2) / (2 * sigma**2))
    # The authors shift to the left and convolve, which turns the kernel round; here it is correlated.
    moved = np.interp(np.minimum(places + (scale - 1) / 2, size // 2), places, row)[::-1]
    kernel: Kernel = np.outer(moved, moved) / moved.sum() ** 2
    return kernel


def cv_resize(image: Tensor, size: tuple[int, int], method: CVMethod) -> Tensor:
    """Resizes ``(N, C, H, W)`` on the CPU as OpenCV does. Its ``area`` weighs the parts of pixels, unlike torch's."""
    import cv2

    how = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}[method]
    plain = image.detach().cpu()
    return each_picture(plain, lambda pixels: cv2.resize(pixels, size[::-1], interpolation=how)).to(image)


#: Below this width a kernel is one pixel, and an ellipse of width 0 is no number.
_NARROWEST = 1e-3


def _grown(bound: Growing, scale: int) -> float:
    return bound[0] + bound[1] * scale


def _one_of(methods: Sequence[CVMethod], generator: np.random.Generator) -> CVMethod:
    return methods[int(generator.integers(len(methods)))]
