"""Judges aligned shots: over-exposed, moved and blurred ones make no pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_lightning.data.srraw.seen import Grey

# Luma from which a pixel is clipped, and below which it is not even nearly.
_CLIPPED, _DETAILED = 250 / 255, 235 / 255
# Standard deviations of blurs, in pixels: what stays tells brightness, and whether something moved; two of detail.
_COARSE, _MIDDLE, _FINE = 4.0, 2.0, (0.7, 2.0)


class Figures(NamedTuple):
    """What is measured of an aligned shot, in the part that the reference sees.

    Attributes:
        clipped: Share of its pixels that are clipped where the reference has detail.
        residual: What the reference, as bright as the shot, leaves unexplained, as a share of the shot's contrast
            (standard deviations, of slightly blurred pictures): 0 for the same picture, 1 for another.
        sharpness: Its detail / that of the reference in the same pixels, in the direction in which it has least.
    """

    clipped: float
    residual: float
    sharpness: float


@dataclass(frozen=True)
class Limits:
    """The figures that a shot may have."""

    max_clipped: float = 0.05
    max_residual: float = 0.3
    min_sharpness: float = 0.3


def compare(seen: Grey, rendered: Grey, mask: NDArray[np.uint8]) -> Figures:
    """The figures of a shot.

    Args:
        seen: Its luma.
        rendered: That of the reference, in the same pixels.
        mask: 255 where both are known.

    Example:
        >>> reference = np.random.default_rng(1).random((40, 60), dtype=np.float32)
        >>> darker = reference / 2 + 0.1
        >>> figures = compare(darker, reference, np.full((40, 60), 255, dtype=np.uint8))
        >>> [round(float(figure), 3) for figure in figures]
        [0.0, 0.0, 1.0]
    """
    inside = cv2.erode(mask, np.ones((9, 9))) > 0  # whose neighbours are known, too
    clipped = float(np.mean((seen[inside] >= _CLIPPED) & (rendered[inside] < _DETAILED))) if inside.any() else 0.0
    (a, b), (coarse, other) = (
        [cv2.GaussianBlur(image, (0, 0), sigma)[inside].astype(np.float64) for image in (seen, rendered)]
        for sigma in (_MIDDLE, _COARSE)
    )
    if not (inside.any() and a.std() > 0 and other.std() > 0):
        return Figures(clipped, 1.0, 0.0)
    gain = np.mean((coarse - coarse.mean()) * (other - other.mean())) / other.var()
    residual = (a - a.mean() - gain * (b - b.mean())).std() / a.std()
    ours, theirs = _detail(seen, inside), gain**2 * _detail(rendered, inside)
    ratios = np.linalg.eigvals(np.linalg.pinv(theirs) @ ours).real
    return Figures(clipped, float(residual), float(np.sqrt(max(ratios.min(), 0.0))))


def faults(figures: Mapping[int, Figures], limits: Limits) -> dict[int, str]:
    """Why shots make no pairs, by number."""
    found = {}
    for frame, (clipped, residual, sharpness) in figures.items():
        if clipped > limits.max_clipped:
            found[frame] = (
                f"{clipped:.0%} of it is clipped where others are not, and data.max_clipped is {limits.max_clipped:g}"
            )
        elif residual > limits.max_residual:
            found[frame] = (
                f"it differs from the others by {residual:.2f} of its contrast, as if something had moved, and "
                f"data.max_residual is {limits.max_residual:g}"
            )
        elif sharpness < limits.min_sharpness:
            found[frame] = (
                f"it has {sharpness:.2f} of the detail of the others, as if blurred, and data.min_sharpness is "
                f"{limits.min_sharpness:g}"
            )
    return found


def _detail(image: Grey, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Second moments ``(2, 2)`` of the gradient of what is finer than two pixels and coarser than noise."""
    fine, coarse = (cv2.GaussianBlur(image, (0, 0), sigma) for sigma in _FINE)
    gradient = np.stack([step[inside] for step in np.gradient(fine - coarse)]).astype(np.float64)
    return np.asarray(gradient @ gradient.T / gradient.shape[1])
