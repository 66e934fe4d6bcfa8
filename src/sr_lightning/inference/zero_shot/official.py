"""What the authors of ZSSR compute in another way, for results that can be laid beside theirs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sr_lightning.functional.resize import cubic
from sr_lightning.inference.zero_shot.fathers import AffineFathers, Factors, Source, smallest_source
from sr_lightning.inference.zero_shot.sampling import Affine, cut


@dataclass
class OfficialFathers(AffineFathers):
    """Fathers as the authors' code draws them, in its order of random numbers.

    The picture is reduced, turned and mirrored about its own centre, and the crop begins where the enlarged picture
    would; so much of a crop can be black. A father has always ``crop_size`` pixels. Whole-pixel maps turn about the
    middle of pixels, so they lose a row or a column. Interpolation is OpenCV's: a cubic with a = -0.75, whose places
    are rounded to 1/32 of a pixel. ``as_is`` crops are moved, too.

    **Paper:** Shocher, Cohen, Irani, "Zero-Shot" Super-Resolution using Deep Internal Learning, CVPR 2018.
    """

    def draw(self, sources: Sequence[Source], factors: Factors, generator: np.random.Generator) -> Tensor:
        kind = generator.random()
        as_is, affine = kind < self.as_is, kind >= self.as_is + self.no_interpolation
        largest = max(min(source.factors) for source in sources) if self.max_scale is None else self.max_scale
        scale = 1.0 if as_is else generator.random() * (largest - self.min_scale) + self.min_scale
        source = smallest_source(sources, scale)
        scale = scale / min(source.factors) if affine else 1.0
        half = generator.normal(0, self.scale_difference) / 2 if affine else 0.0
        mirror = 1.0 if as_is or not self.rotation else math.copysign(1, generator.normal())
        size = np.array(source.picture.shape[-2:])
        across, down = generator.random(2)
        moved = np.array([down, across]) * (scale * size - self.crop_size).clip(0)
        turn = 0.0
        if affine:
            turn = generator.random() * 2 * math.pi
        elif not as_is:
            turn = generator.integers(4) * math.pi / 2
        shear = generator.normal(0, self.shear, 2) if affine else np.zeros(2)
        cos, sin = (math.cos(turn), math.sin(turn)) if self.rotation else (1.0, 0.0)
        # From the picture to the crop, in (row, column).
        forth = (
            np.array([[1, shear[1]], [shear[0], 1]])
            @ np.array([[cos, -sin], [sin, cos]])
            @ np.diag([scale - half, mirror * (scale + half)])
        )
        back, about = np.linalg.inv(forth), size / 2
        if not affine:
            moved, about = moved.round(), about.round()
        centre = about + back @ ((self.crop_size - 1) / 2 - about + moved) + 0.5
        place = Affine((float(centre[0]), float(centre[1])), back)
        return cut(source.picture, place, (self.crop_size, self.crop_size), self.border, opencv=True).clamp(0, 1)


def official_matrix(length: int, size: int, factor: float, antialias: bool) -> Tensor:
    """``functional.resize_matrix`` as the authors' code has it.

    Nothing lies before the first pixel, and the other weights grow for it; behind the last lies the mirror image.

    Example:
        >>> official_matrix(4, 2, 0.5, antialias=True).shape
        torch.Size([2, 4])
    """
    stretch = max(1.0, 1 / factor) if antialias else 1.0
    centre = (torch.arange(size, dtype=torch.float64) + 0.5) / factor - 0.5
    index = torch.floor(centre - 2 * stretch)[:, None] + torch.arange(math.ceil(4 * stretch) + 2)
    weight = cubic((centre[:, None] - index) / stretch) * (index >= 0)
    index = index.long() % (2 * length)
    places = torch.minimum(index, 2 * length - 1 - index)
    weight = weight / weight.sum(1, keepdim=True)
    return torch.zeros(size, length, dtype=torch.float64).scatter_add_(1, places, weight)
