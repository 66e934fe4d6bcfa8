"""How far around a place samples count: along edges farther than across, and in even parts farthest."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_lightning.inference.burst.noise import NoiseModel, Planes

#: Standard deviations in pixels of the mosaic: across and along an edge, and where there is nothing but noise.
ACROSS, ALONG, EVEN = 0.5, 0.8, 1.2
_SMOOTH = 1.5
#: Gradients of so many times what noise makes are edges without doubt.
_CERTAIN = 8.0
#: So many frames have the widths above.
_FEW = 4


def kernel_fields(packed: Planes, noise: NoiseModel, frames: int = 1) -> NDArray[np.float32]:
    """Inverse covariances of the kernels, ``(3, H, W)`` (yy, xy, xx), in half-size pixels of the reference.

    **Paper:** Wronski et al., Handheld Multi-Frame Super-Resolution, ACM ToG (SIGGRAPH) 2019, section 5.1; what counts
    as an edge is judged by the noise here.

    Args:
        packed: ``(4, H, W)``: the reference.
        noise: Of one sample.
        frames: How many are merged; the more there are, the less edges need to be smoothed.
    """
    # The width that balances blur and noise goes by the sixth root of how many samples there are.
    narrower = min(1.0, (_FEW / frames) ** (1 / 6))
    green = (packed[1] + packed[2]) / 2
    smooth = cv2.GaussianBlur(green, (0, 0), 1.0)
    gx, gy = (cv2.Sobel(smooth, cv2.CV_32F, *which, ksize=3) / 8 for which in ((1, 0), (0, 1)))
    xx, xy, yy = (cv2.GaussianBlur(product, (0, 0), _SMOOTH) for product in (gx * gx, gx * gy, gy * gy))
    spread = np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    strongest, weakest = (xx + yy) / 2 + spread, np.maximum((xx + yy) / 2 - spread, 0)
    # Blurred by a Gaussian of 1, and Sobel's differences over two pixels: so much of a sample's variance is left.
    from_noise = 0.012 * noise.variance(smooth) / 2 + 1e-12
    certain = np.clip((strongest / from_noise - 1) / (_CERTAIN - 1), 0, 1)
    directed = (strongest - weakest) / np.maximum(strongest + weakest, 1e-12)
    across = certain * narrower * ACROSS + (1 - certain) * EVEN
    along = certain * narrower * (ACROSS + directed * (ALONG - ACROSS)) + (1 - certain) * EVEN
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)  # of the strongest gradient, to the rows
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = 1 / across**2, 1 / along**2
    return np.stack([a * sin**2 + b * cos**2, (a - b) * sin * cos, a * cos**2 + b * sin**2]).astype(np.float32)
