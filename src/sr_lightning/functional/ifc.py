"""Information fidelity criterion, one value per picture."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.functional.precision import full_precision
from sr_lightning.functional.psnr import checked_pair
from sr_lightning.functional.steerable import steerable_bands

_LEVELS, _BLOCK = 4, 3
_SMALLEST = 9 * 2 ** (_LEVELS - 1)  # the pyramid's filters have 9 taps
_TINY = 1e-15


def ifc(sr: Tensor, hr: Tensor) -> Tensor:
    """Information that each picture shares with the truth, in bits per pixel, computed in float64.

    **Paper:** Sheikh, Bovik, de Veciana, An Information Fidelity Criterion for Image Quality Assessment Using Natural
    Scene Statistics, IEEE TIP 2005, with Gaussian scale mixtures of 3x3 vectors as in the authors' released code.
    It is not VIF: nothing is divided by the information of the truth, and there is no noise of the eye.

    The value depends much on rounding (6.3 of float pictures, 6.1 of the same in 8 bit), and the two pictures cannot
    change places. Values above 0; equal pictures have a large finite one.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.

    Returns:
        ``(N,)`` float64, the mean over channels.

    Raises:
        ValueError: If the shapes differ or a side is below 72 pixels, where the pyramid has no four levels.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> hr = torch.rand(1, 1, 80, 80)
        >>> bool(ifc(hr + 0.1 * torch.randn_like(hr), hr) > ifc(hr + 0.2 * torch.randn_like(hr), hr))
        True
    """
    sr, hr = checked_pair(sr, hr)
    if min(sr.shape[-2:]) < _SMALLEST:
        raise ValueError(f"IFC needs at least {_SMALLEST}x{_SMALLEST} pixels, got {sr.shape[-2]}x{sr.shape[-1]}")
    # The constants below are meant for 0...255.
    distorted, reference = (image.double().flatten(0, 1)[:, None] * 255 for image in (sr, hr))
    total = reference.new_zeros(len(reference))
    with full_precision(reference):
        pairs = zip(steerable_bands(reference, _LEVELS), steerable_bands(distorted, _LEVELS), strict=True)
        for level, bands in enumerate(pairs):
            window = 2 ** (_LEVELS - level) + 1
            for x, y in zip(*bands, strict=True):
                total += _information(_whole_blocks(x), _whole_blocks(y), window)
    return (total / (sr.shape[-2] * sr.shape[-1])).reshape(sr.shape[:2]).mean(1)


def _whole_blocks(band: Tensor) -> Tensor:
    height, width = (length // _BLOCK * _BLOCK for length in band.shape[-2:])
    return band[..., :height, :width]


def _information(x: Tensor, y: Tensor, window: int) -> Tensor:
    """Bits that a band ``(N, 1, H, W)`` of the distorted picture tells about that of the reference."""
    gain, noise = _channel(x, y, window)
    strength, eigenvalues = _scale_mixture(x)
    edge = math.ceil((window - 1) / 2 / _BLOCK)
    gain, noise, strength = (field[:, edge:-edge, edge:-edge] for field in (gain, noise, strength))
    signal = (gain.square() * strength / (noise + 1e-10))[..., None] * eigenvalues[:, None, None]
    return torch.log2(1 + signal).sum((1, 2, 3))


def _channel(x: Tensor, y: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Gain and noise variance of the distortion around the centre of each 3x3 block."""

    def mean(field: Tensor) -> Tensor:
        padded = F.pad(field, [window // 2] * 4, mode="reflect")[..., 1:, 1:]
        return F.avg_pool2d(padded, window, stride=_BLOCK)[:, 0]

    mean_x, mean_y = mean(x), mean(y)
    # Sums over the window, as in the authors' code; the thresholds refer to them.
    area = window**2
    covariance = (mean(x * y) - mean_x * mean_y) * area
    variance_x = ((mean(x * x) - mean_x.square()) * area).clamp(min=0)
    variance_y = ((mean(y * y) - mean_y.square()) * area).clamp(min=0)
    gain = covariance / (variance_x + _TINY)
    noise = (variance_y - gain * covariance) / area
    flat_x, flat_y = variance_x < _TINY, variance_y < _TINY
    gain, noise = torch.where(flat_x, 0, gain), torch.where(flat_x, variance_y, noise)
    gain, noise = torch.where(flat_y, 0, gain), torch.where(flat_y, 0, noise)
    noise = torch.where(gain < 0, variance_y, noise)
    return gain.clamp(min=0), noise.clamp(min=_TINY)


def _scale_mixture(x: Tensor) -> tuple[Tensor, Tensor]:
    """Local strength of each 3x3 block, and the eigenvalues ``(N, 9)`` of the covariance of all blocks."""
    vectors = F.unfold(x, _BLOCK)
    vectors = vectors - vectors.mean(-1, keepdim=True)
    values, axes = torch.linalg.eigh(vectors @ vectors.mT / vectors.shape[-1])
    blocks = F.unfold(x, _BLOCK, stride=_BLOCK)
    # A direction without variance, as in a flat picture, carries no information.
    empty = values <= values[:, -1:].clamp(min=_TINY) * 1e-14
    weights = torch.where(empty, 0, 1 / torch.where(empty, 1, values))
    strength = ((axes.mT @ blocks).square() * weights[..., None]).sum(1) / _BLOCK**2
    grid = (x.shape[-2] // _BLOCK, x.shape[-1] // _BLOCK)
    return strength.unflatten(-1, grid), torch.where(empty, 0, values)
