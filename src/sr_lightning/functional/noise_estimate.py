"""How strong the noise of a picture is, estimated from the picture alone."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.functional.levels import as_unit, check_pictures

_PATCH = 7
#: Patches that are looked at, at most: more hardly change the estimate.
_ENOUGH = 2**15
#: Patches that an estimate rests on, at least: ten for each of the 49 dimensions.
_FEW = 10 * _PATCH**2
_ROUNDS = 10
#: Squared gradient that 999 of 1000 flat patches with noise of variance 1 stay below: the 0.999 quantile of the gamma
#: distribution of shape 45/2 and scale 2 * 35/45, from rank and trace of the gradients' matrix (Liu, equation 12).
_WEAK = 62.281902675


def noise_estimate(image: Tensor) -> Tensor:
    """Standard deviation of the noise of each picture, in levels of 0...255.

    **Papers:** Liu, Tanaka, Okutomi, Single-Image Noise Level Estimation for Blind Denoising, IEEE TIP 2013: patches
    whose gradients could be noise alone are chosen by the estimate, and the estimate is made of them, in turns. Chen,
    Zhu, Heng, An Efficient Statistical Method for Image Noise Level Estimation, ICCV 2015, algorithm 1, makes the
    estimate: of the patches' principal components, those of most variance are left out until the others are as many
    above their mean as below it.

    The noise is taken to be white: JPEG and enlarging leave less of it than was there. Texture as fine as a pixel is
    seen as noise, of 1 to 4 levels in most clean photographs. Patches with black or white are left out where there are
    enough others, because noise is cut off there.

    Args:
        image: ``(N, C, H, W)``, floating point in [0, 1], or uint8 or uint16. Each channel is estimated alone, so that
            noise that is equal in all channels counts as much as other noise.

    Returns:
        ``(N,)`` float64, the mean of the channels.

    Raises:
        ValueError: If a side is below 32 pixels: too few patches;
            if there is no picture, or a value is NaN or infinite.

    Example:
        >>> noise = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(1))
        >>> noise_estimate(0.5 + 10 / 255 * noise).round(), noise_estimate(torch.zeros(1, 1, 64, 64))
        (tensor([10.], dtype=torch.float64), tensor([0.], dtype=torch.float64))
    """
    check_pictures(image, 32, "noise_estimate")
    variances = [_variance(plane) for plane in as_unit(image).flatten(0, 1)]
    return 255 * torch.stack(variances).sqrt().reshape(image.shape[:2]).mean(1)


def _variance(plane: Tensor) -> Tensor:
    # Odd, so that patches lie at all places of the 8x8 grid that a JPEG has.
    stride = math.ceil(math.sqrt(plane.numel() / _ENOUGH)) // 2 * 2 + 1
    patches = F.unfold(plane[None, None], _PATCH, stride=stride)[0]
    whole = ~((patches == 0) | (patches == 1)).any(0)
    patches = patches[:, whole] if whole.sum() >= _FEW else patches
    squares = patches.reshape(_PATCH, _PATCH, -1)
    gradients = sum(((squares[a] - squares[b]) / 2).square().sum((0, 1)) for a, b in _NEIGHBOURS)
    variance = _noise_of(patches)
    for _ in range(_ROUNDS):
        weak = gradients < _WEAK * variance
        if weak.sum() < _FEW:
            break
        before, variance = variance, _noise_of(patches[:, weak])
        if abs(variance - before) < 1e-3 * before:
            break
    return variance


_LATER, _EARLIER, _ALL = slice(2, None), slice(None, -2), slice(None)
_NEIGHBOURS = (((_LATER, _ALL), (_EARLIER, _ALL)), ((_ALL, _LATER), (_ALL, _EARLIER)))


def _noise_of(patches: Tensor) -> Tensor:
    """The variance that all principal components of ``(49, N)`` share; algorithm 1 of Chen et al."""
    components = torch.linalg.eigvalsh(torch.cov(patches, correction=0)).clamp(min=0)
    for count in range(len(components) - 1, 1, -1):
        rest = components[:count]
        variance: Tensor = rest.mean()
        if (rest > variance).sum() == (rest < variance).sum():
            return variance
    least: Tensor = components[0]
    return least
