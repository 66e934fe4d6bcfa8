"""What noise a frame has, and what differences it explains."""

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.float32]

_BINS, _SAMPLES = 16, 200
#: The standard deviation of normal numbers is so many times the median of their sizes.
_MAD = 1.4826


class NoiseModel(NamedTuple):
    """Noise of the variance ``shot * x + read`` at the signal ``x``."""

    shot: float
    read: float

    def variance(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of one sample."""
        return np.asarray(self.shot * np.maximum(signal, 0) + self.read, np.float32)


def noise_of(packed: Planes) -> NoiseModel:
    """Estimates the noise of a mosaic from what its two greens differ by.

    In even parts of the picture, they differ by noise alone. The median of each brightness is of such parts.

    Args:
        packed: ``(4, H, W)``: red, the greens beside red and beside blue, blue.
    """
    _, green_r, green_b, _ = packed
    signal = cv2.blur((green_r + green_b) / 2, (3, 3))
    if packed.shape[2] > 2:  # the mean of two neighbours takes away slopes
        difference = green_r[:, 1:] - (green_b[:, 1:] + green_b[:, :-1]) / 2
        signal, samples = signal[:, 1:], 1.5
    else:
        difference, samples = green_r - green_b, 2.0
    edges = np.quantile(signal, np.linspace(0, 1, _BINS + 1))
    points = []
    for low, high in pairwise(edges):
        inside = (signal >= low) & (signal <= high)
        of_it = difference[inside]
        if len(of_it) >= _SAMPLES:
            sigma = _MAD * np.median(np.abs(of_it - np.median(of_it)))
            points.append((float(signal[inside].mean()), sigma**2 / samples))
    if not points:
        return NoiseModel(0.0, float(np.var(difference)) / samples + 1e-8)
    x, variance = np.array(points).T
    # Relative errors are alike, so bright parts do not decide alone.
    weights = 1 / np.maximum(variance, 1e-9)
    shot, read = np.linalg.lstsq(np.stack([x * weights, weights], 1), variance * weights, rcond=None)[0]
    if shot < 0:
        return NoiseModel(0.0, float(np.mean(variance)))
    return NoiseModel(float(shot), float(max(read, 1e-8)))
