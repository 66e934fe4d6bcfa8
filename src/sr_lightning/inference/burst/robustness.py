"""Which parts of a frame show the reference's scene: the others would leave ghosts."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_lightning.inference.burst.align import Warp
from sr_lightning.inference.burst.noise import NoiseModel, Planes

#: Of a part's weight: how soon it counts nothing. Three times the difference that noise explains is too much.
_STEEPNESS, _FLOOR = 1.5, 0.12
_MEAN, _AROUND = 5, 5  # pixels a side of the means that are compared, and of what suffers with a pixel


def robustness(reference: Planes, frame: Planes, warp: Warp, noise: NoiseModel) -> NDArray[np.float16]:
    """How much each part of a frame counts: ``(H, W)`` in [0, 1], in half-size pixels of the reference.

    Means of small squares are compared, in each colour. Noise, and what the picture itself varies by there, explain a
    part of the difference.

    **Paper:** Wronski et al., Handheld Multi-Frame Super-Resolution, ACM ToG (SIGGRAPH) 2019, section 5.2.

    Args:
        reference: ``(4, H, W)``, packed.
        frame: Likewise.
        warp: From the reference to the frame.
        noise: Of one sample.
    """
    height, width = reference.shape[1:]
    distance = np.zeros((height, width), np.float32)
    for own, other in zip(_guide(reference), _guide(frame), strict=True):
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(other, warp, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        mean, moved_mean = (_blurred(plane) for plane in (own, moved))
        varies = _blurred(own**2) - mean**2
        # Interpolated samples differ by a share of what neighbours differ by.
        explained = (2 * noise.variance(mean) + 0.5 * np.maximum(varies, 0)) / _MEAN
        distance = np.maximum(distance, (mean - moved_mean) ** 2 / np.maximum(explained, 1e-9))
    weight = np.clip(_STEEPNESS * np.exp(-distance / 4) - _FLOOR, 0, 1)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u, v = (row[0] * x + row[1] * y + row[2] for row in warp)
    outside = (u < 0) | (v < 0) | (u > width - 1) | (v > height - 1)
    weight[outside] = 0
    return np.asarray(cv2.erode(weight, np.ones((_AROUND, _AROUND))), np.float16)


def _blurred(plane: Any) -> NDArray[np.float32]:
    return np.asarray(cv2.blur(plane, (_MEAN, _MEAN)), np.float32)


def _guide(packed: Planes) -> list[NDArray[np.float32]]:
    red, green_r, green_b, blue = packed
    return [red, (green_r + green_b) / 2, blue]
