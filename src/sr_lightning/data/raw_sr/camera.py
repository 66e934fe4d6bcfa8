"""A camera with larger pixels: what makes the LR mosaic of an HR one."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from sr_lightning.data.raw_sr.noise import Profile, draw_noise
from sr_lightning.data.raw_synthesis.camera import Range, between, noisy
from sr_lightning.degradations.base import Probability
from sr_lightning.degradations.kernels import Kernel, disk_kernel, gaussian_kernel, motion_kernel
from sr_lightning.functional.packed import PackedGrid, Sampling, reduce_packed
from sr_lightning.limits import check_settings, number_or_range

Blur = Literal["gaussian", "anisotropic", "defocus", "motion"]


class Shot(NamedTuple):
    """The random parameters of one photograph, except the pattern of its noise."""

    kernel: Kernel
    exposure: float
    shot: float
    read: float


@dataclass(frozen=True)
class CoarseCamera:
    """The ranges from which the LR mosaics are drawn: exposure, blur, sampling, noise, clipping, in this order.

    **Papers:** Conde, Vasluianu, Timofte, BSRAW: Improving Blind RAW Image Super-Resolution, WACV 2024, and its
    authors' code in AISP (imresutils), ``y = down(x * k) + n``: blur with probability 1/2, means of 2x2 cells, one of
    two noises, clipping. Their bank of measured kernels is not here: kernels are drawn of four families. ``point``,
    the grids ``sensor`` and ``first``, and the place of exposure are choices made here.

    Args:
        sampling: What a sample is: ``mean``, the mean of the light on its square; ``point``, the light at its centre.
        grid: Where samples lie: ``sensor``, where a sensor of the same view has them; ``cells``, as the challenges
            have it; ``first``, at the first of the cells that one stands for.
        blur: Probability of a blur.
        blurs: The families of kernels, each as probable as the others; named twice, twice as probable.
        sigma: Standard deviation of Gaussians, in cells of the HR mosaic, which are two of its pixels wide.
        radius: Of the disk of defocus, in cells.
        length: Of a straight motion, in cells.
        noise: The profiles of cameras, each as probable as the others, see ``draw_noise``.
        exposure: How much brighter LR and HR are than the file, in EV; what is brighter than white is clipped.

    Raises:
        ConfigError: If a setting is out of its limits.
    """

    sampling: Sampling = "mean"
    grid: PackedGrid = "sensor"
    blur: Probability = 0.5
    blurs: Annotated[Sequence[Blur], Field(min_length=1)] = ("gaussian", "anisotropic", "defocus", "motion")
    sigma: Annotated[Range, number_or_range(0.05, 8)] = (0.3, 1.5)
    radius: Annotated[Range, number_or_range(0, 12)] = (0.5, 2.0)
    length: Annotated[Range, number_or_range(0, 24)] = (1.0, 6.0)
    noise: Annotated[Sequence[Profile], Field(min_length=1)] = ("ntire", "heteroscedastic")
    exposure: Annotated[Range, number_or_range(-8, 8)] = 0.0

    def __post_init__(self) -> None:
        check_settings(self, "data.camera.")

    def draw(self, generator: np.random.Generator) -> Shot:
        """Draws one photograph's parameters. Each has its own random number, so other ranges do not change it."""
        blurred, family, angle, *sizes, profile, exposure = generator.random(9)
        shot, read = draw_noise(self.noise[int(profile * len(self.noise))], generator)
        kernel = self._kernel(family, math.pi * angle, sizes) if blurred < self.blur else np.ones((1, 1))
        return Shot(kernel, between(self.exposure, exposure), shot, read)

    def _kernel(self, family: float, angle: float, shares: Sequence[float]) -> Kernel:
        """A kernel, which is its own mirror image about its middle."""
        ranges = (self.sigma, self.sigma, self.radius, self.length)
        sigma_x, sigma_y, radius, length = map(between, ranges, shares)
        kind = self.blurs[int(family * len(self.blurs))]
        if kind == "defocus":
            return disk_kernel(radius)
        if kind == "motion":
            return motion_kernel(length, angle)
        if kind == "gaussian":
            sigma_y = sigma_x
        return gaussian_kernel(2 * math.ceil(3 * max(sigma_x, sigma_y)) + 1, sigma_x, sigma_y, angle)

    def margin(self, shot: Shot, scale: int) -> int:
        """Cells of the HR mosaic that ``photograph`` needs around, a multiple of ``scale``."""
        return scale * (1 + math.ceil(len(shot.kernel) // 2 / scale))

    def photograph(self, around: Tensor, shot: Shot, scale: int, noise_seed: int) -> tuple[Tensor, Tensor]:
        """LR and HR mosaic of a part of a view.

        Args:
            around: ``(4, scale * H + 2 * margin, scale * W + 2 * margin)``, packed RGGB, with what lies around.
            shot: The parameters.
            scale: Whole factor.
            noise_seed: Decides the noise.

        Returns:
            ``(4, H, W)`` and ``(4, scale * H, scale * W)`` in [0, 1].
        """
        margin, half_size = self.margin(shot, scale), len(shot.kernel) // 2
        light = (around * 2**shot.exposure).clamp(0, 1) if shot.exposure else around
        kernel = torch.from_numpy(shot.kernel).to(light)
        blurred = F.conv2d(light[:, None], kernel[None, None])[:, 0] if half_size else light
        coarse = reduce_packed(blurred, scale, margin - half_size, grid=self.grid, sampling=self.sampling)
        lr = noisy(coarse, shot.shot, shot.read, noise_seed).clamp(0, 1)
        return lr, light[:, margin : light.shape[1] - margin, margin : light.shape[2] - margin]

    def describe(self) -> dict[str, Any]:
        """The settings, for result files."""
        return asdict(self)
