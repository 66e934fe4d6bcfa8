"""Which parts of a picture a network learns from: fathers, whose reductions, the sons, it learns to enlarge."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional import dihedral, resize_matrix
from sr_lightning.inference.zero_shot.sampling import Affine, Border, cut
from sr_lightning.limits import check_settings

#: Factors along rows and columns.
Factors = tuple[float, float]


class Source(NamedTuple):
    """A picture that fathers are cut from: the input itself, or what became of it at an earlier factor."""

    picture: Tensor  # (C, H, W) in [0, 1]
    factors: Factors  # how much larger it is than the input


@runtime_checkable
class Fathers(Protocol):
    """Draws fathers ``(C, h, w)`` in [0, 1]."""

    def draw(self, sources: Sequence[Source], factors: Factors, generator: np.random.Generator) -> Tensor:
        """A father, for a network that learns to enlarge by ``factors``."""
        ...


@dataclass
class AffineFathers:
    """Crops of the picture as it is, turned and mirrored, or mapped by a random affine map.

    **Paper:** Shocher, Cohen, Irani, "Zero-Shot" Super-Resolution using Deep Internal Learning, CVPR 2018, and the
    authors' code. There the picture is turned about its own centre and then moved; here a crop is turned about its
    own centre, which lies inside the picture: less of it is empty.

    Args:
        crop_size: Side of a crop; less where no source is as long.
        as_is: How often the crop is the centre of the picture.
        no_interpolation: How often it is moved by whole pixels, turned by quarters and mirrored, and no more.
        min_scale: The least that the affine map reduces the picture to.
        max_scale: The largest; by default that of the largest source.
        scale_difference: Standard deviation of the difference between the scales of rows and columns.
        shear: Standard deviation along each axis.
        rotation: Whether crops are turned and mirrored, which a kernel that is not symmetric forbids.
        border: What lies outside the picture: ``zeros`` as in the authors' code, or ``mirror``.
    """

    crop_size: Annotated[int, Field(ge=16)] = 128
    as_is: NonNegativeFloat = 0.05
    no_interpolation: NonNegativeFloat = 0.45
    min_scale: PositiveFloat = 0.5
    max_scale: float | None = None
    scale_difference: NonNegativeFloat = 0.25
    shear: NonNegativeFloat = 0.1
    rotation: bool = True
    border: Border = "zeros"

    def __post_init__(self) -> None:
        check_settings(self, "zero_shot.fathers.")
        if self.as_is + self.no_interpolation > 1:
            raise ConfigError(
                f"zero_shot.fathers: as_is={self.as_is} and no_interpolation={self.no_interpolation} must be "
                "probabilities whose sum is at most 1"
            )
        if self.max_scale is not None and self.max_scale < self.min_scale:
            raise ConfigError(
                f"zero_shot.fathers.min_scale={self.min_scale}: must be at most max_scale={self.max_scale}"
            )

    def draw(self, sources: Sequence[Source], factors: Factors, generator: np.random.Generator) -> Tensor:
        kind = generator.random()
        affine = kind >= self.as_is + self.no_interpolation
        scale = 1.0
        if affine:
            largest = max(min(source.factors) for source in sources) if self.max_scale is None else self.max_scale
            scale = generator.uniform(min(self.min_scale, largest), largest)
        source = smallest_source(sources, scale)
        side = min(self.crop_size, max(max(s.picture.shape[-2:]) for s in sources))
        if kind < self.as_is:
            matrix, centre = np.eye(2), [self._centre(n, side, True, None) for n in source.picture.shape[-2:]]
        else:
            matrix = self._matrix(scale, source.factors, affine, generator)
            seen = [side * factor / scale for factor in source.factors] if affine else [side, side]
            lengths = zip(source.picture.shape[-2:], seen, strict=True)
            centre = [self._centre(n, reach, not affine, generator) for n, reach in lengths]
        father = cut(source.picture, Affine((centre[0], centre[1]), matrix), (side, side), self.border)
        return father.clamp(0, 1)

    def _matrix(
        self, scale: float, of_source: Factors, affine: bool, generator: np.random.Generator
    ) -> NDArray[np.float64]:
        """From offsets in the crop to offsets in the source."""
        forth = np.eye(2)
        if affine:
            half = generator.normal(0, self.scale_difference) / 2
            forth = np.diag([max(0.1, scale - half) / of_source[0], max(0.1, scale + half) / of_source[1]])
        if self.rotation:
            turn = generator.uniform(0, 2 * math.pi) if affine else generator.integers(4) * math.pi / 2
            cos, sin = math.cos(turn), math.sin(turn)
            mirror = np.diag([1, generator.choice([-1, 1])])
            forth = np.array([[cos, -sin], [sin, cos]]) @ mirror @ forth
        if affine:
            shear = generator.normal(0, self.shear, 2)
            forth = np.array([[1, shear[0]], [shear[1], 1]]) @ forth
        return np.linalg.inv(forth).astype(np.float64)

    def _centre(self, length: int, seen: float, whole: bool, generator: np.random.Generator | None) -> float:
        """Of a crop that sees so many pixels of the source: in the middle, or wherever it still fits."""
        room = length - seen
        if not whole:
            return float((0.5 if generator is None else generator.random()) * room + seen / 2)
        low, high = sorted((0, round(room)))
        begin = (low + high) // 2 if generator is None else int(generator.integers(low, high, endpoint=True))
        return begin + seen / 2


@dataclass
class ZoomedFathers:
    """Crops of the picture at all its smaller sizes, large ones more often, turned by quarters and mirrored.

    The variant of a widespread reimplementation. Sizes are those from ``min_scale`` of the shorter side on, a pixel
    apart, that the factor divides; a size is drawn in proportion to its area. Nothing is kept but the picture: a crop
    is computed when it is drawn, and turned after it is cut, so that none has black corners.

    Args:
        crop_size: Side of a crop. Of a size with a shorter side that is smaller, half of each side is taken.
        min_scale: The smallest size.
    """

    crop_size: Annotated[int, Field(ge=16)] = 128
    min_scale: Annotated[float, Field(gt=0, le=1)] = 0.2

    def __post_init__(self) -> None:
        check_settings(self, "zero_shot.fathers.")

    def draw(self, sources: Sequence[Source], factors: Factors, generator: np.random.Generator) -> Tensor:
        picture = sources[0].picture
        height, width = picture.shape[-2:]
        choices = zoomed_sizes(height, width, factors, self.min_scale)
        areas = np.array([h * w for h, w in choices], dtype=np.float64)
        size = choices[generator.choice(len(choices), p=areas / areas.sum())]
        crop = [min(self.crop_size, n) for n in size] if min(size) >= self.crop_size else [n // 2 for n in size]
        top, left = (int(generator.integers(n - c + 1)) for n, c in zip(size, crop, strict=True))
        rows = resize_matrix(height, size[0], size[0] / height)[top : top + crop[0]].to(picture)
        columns = resize_matrix(width, size[1], size[1] / width)[left : left + crop[1]].to(picture)
        return dihedral((rows @ picture @ columns.T).clamp(0, 1), int(generator.integers(8))).contiguous()


def smallest_source(sources: Sequence[Source], scale: float) -> Source:
    """The smallest source that is at least ``scale`` times as large as the input, or else the largest."""
    by_size = sorted(sources, key=lambda source: source.factors[0] * source.factors[1])
    return next((source for source in by_size if min(source.factors) >= scale - 1e-9), by_size[-1])


def zoomed_sizes(height: int, width: int, factors: Factors, min_scale: float) -> list[tuple[int, int]]:
    """The sizes of a picture, from ``min_scale`` to its own, whose sides the factor divides.

    Raises:
        ConfigError: If the factor is no whole number.
        DataError: If there is no such size.

    Example:
        >>> zoomed_sizes(20, 30, (2, 2), 0.5)
        [(12, 18), (16, 24), (20, 30)]
    """
    factor = round(factors[0])
    if factors != (factor, factor):
        raise ConfigError(
            f"zero_shot=simple takes whole factors, not {factors[0]:g} x {factors[1]:g}; others: zero_shot=default"
        )
    short, long = sorted((height, width))
    sizes = [(i, round(i / short * long)) for i in range(max(1, int(short * min_scale)), short + 1)]
    sizes = [(i, j) for i, j in sizes if i % factor == 0 and j % factor == 0 and i >= 4 * factor]
    if not sizes:
        raise DataError(f"a picture of {width}x{height} has no smaller size that {factor} divides; crop it a little")
    return sizes if height <= width else [(j, i) for i, j in sizes]
