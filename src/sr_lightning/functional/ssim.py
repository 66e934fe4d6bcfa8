"""Structural similarity, one value per picture."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.functional.psnr import checked_pair

Window = Literal["valid", "zero_padded"]
Plane = NDArray[np.float64]

_SIZE, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_STRIP = 64  # rows
_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # from the finest scale on


def ssim(sr: Tensor, hr: Tensor, window: Window = "valid") -> Tensor:
    """Structural similarity of each picture, computed in float64.

    **Paper:** Wang, Bovik, Sheikh, Simoncelli, Image Quality Assessment: From Error Visibility to
    Structural Similarity, IEEE TIP 2004. 11x11 Gaussian window with sigma 1.5, K1 = 0.01, K2 = 0.03.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.
        window: ``"valid"`` averages only where the whole window lies inside the picture, as the authors'
            code and most papers do; ``"zero_padded"`` averages everywhere, with zeros outside.

    Returns:
        ``(N,)`` float64, the mean over channels and positions.

    Raises:
        ValueError: If the shapes differ or the picture is smaller than the window.

    Example:
        >>> x = torch.rand(2, 3, 16, 16)
        >>> ssim(x, x)
        tensor([1., 1.], dtype=torch.float64)
    """
    sr, hr = checked_pair(sr, hr)
    if min(sr.shape[-2:]) < _SIZE:
        raise ValueError(f"SSIM needs at least {_SIZE}x{_SIZE} pixels, got {sr.shape[-2]}x{sr.shape[-1]}")
    pad = _SIZE // 2 if window == "zero_padded" else 0
    means = [_mean_terms(x, y)[0] for x, y in zip(_planes(sr, pad), _planes(hr, pad), strict=True)]
    return torch.stack(means).reshape(sr.shape[:2]).mean(1)


def ms_ssim(sr: Tensor, hr: Tensor) -> Tensor:
    """Structural similarity of each picture over five scales, computed in float64.

    **Paper:** Wang, Simoncelli, Bovik, Multiscale Structural Similarity for Image Quality Assessment, Asilomar 2003,
    equation 7: contrast and structure of all scales, luminance of the coarsest, averaged where the whole window lies
    inside. Pictures of odd size are halved as in the authors' code, as if the last row and column stood twice.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.

    Returns:
        ``(N,)`` float64, the mean over channels; 0 where a scale is negatively correlated.

    Raises:
        ValueError: If the shapes differ or a side is below 161 pixels.

    Example:
        >>> x = torch.rand(1, 1, 168, 161)
        >>> ms_ssim(x, x)
        tensor([1.], dtype=torch.float64)
    """
    sr, hr = checked_pair(sr, hr)
    smallest = (_SIZE - 1) * 2 ** (len(_MS_WEIGHTS) - 1) + 1
    if min(sr.shape[-2:]) < smallest:
        raise ValueError(f"MS-SSIM needs at least {smallest}x{smallest} pixels, got {sr.shape[-2]}x{sr.shape[-1]}")
    x, y = (image.double().flatten(0, 1)[:, None] for image in (sr, hr))
    product = x.new_ones(len(x))
    for level, weight in enumerate(_MS_WEIGHTS):
        if level:  # windows beyond the edge count only what lies inside
            x, y = (F.avg_pool2d(image, 2, ceil_mode=True) for image in (x, y))
        means = [_mean_terms(a[0], b[0])[level < len(_MS_WEIGHTS) - 1] for a, b in zip(x, y, strict=True)]
        product = product * torch.stack(means).clamp(min=0) ** weight
    return product.reshape(sr.shape[:2]).mean(1)


def _planes(image: Tensor, pad: int) -> list[Tensor]:
    return list(F.pad(image.double(), [pad] * 4).flatten(0, 1).unbind(0))


def _mean_terms(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Means of SSIM and of its contrast and structure alone, over one channel."""
    rows, columns = (side - _SIZE + 1 for side in x.shape)
    if x.device.type != "cpu" or (torch.is_grad_enabled() and (x.requires_grad or y.requires_grad)):
        total = x.new_zeros(2)
        for top in range(0, rows, _STRIP):  # in strips that stay in the cache: three times faster than at once
            strip = slice(top, min(top + _STRIP, rows) + _SIZE - 1)
            total += torch.stack([term.sum() for term in _term_maps(x[strip], y[strip])])
    else:
        total = torch.tensor(_term_sums(x.detach().numpy(), y.detach().numpy()))
    similarity, contrast = total / (rows * columns)
    return similarity, contrast


def _term_sums(x: Plane, y: Plane) -> Plane:
    """The sums of ``_term_maps`` by OpenCV and NumPy: two thirds of the time on a CPU, on torch's number of threads."""
    rows = x.shape[0] - _SIZE + 1
    count = min(torch.get_num_threads(), rows // _STRIP + 1)
    edges = [rows * i // count for i in range(count + 1)]
    parts = [slice(top, end + _SIZE - 1) for top, end in pairwise(edges)]
    with ThreadPoolExecutor(count) as threads:
        return sum(threads.map(_sums_of_part, [x[part] for part in parts], [y[part] for part in parts]), np.zeros(2))


def _sums_of_part(x: Plane, y: Plane) -> Plane:
    """Works on sum u and difference v of the pictures, as 4 xy = uu - vv and 2 (xx + yy) = uu + vv.

    All strips use the same memory, because asking for new memory would take as long as the arithmetic.
    """
    import cv2

    total, taps, half = np.zeros(2), _taps().numpy(), _SIZE // 2
    given, filtered = (np.empty((4, _STRIP + 2 * half, x.shape[1])) for _ in range(2))
    for top in range(0, x.shape[0] - 2 * half, _STRIP):
        one, two = (picture[top : top + _STRIP + 2 * half] for picture in (x, y))
        planes, blurred = given[:, : len(one)], filtered[:, : len(one)]
        np.add(one, two, out=planes[0])
        np.subtract(one, two, out=planes[1])
        np.multiply(planes[:2], planes[:2], out=planes[2:])
        for plane, result in zip(planes, blurred, strict=True):
            cv2.sepFilter2D(plane, -1, taps, taps, dst=result)
        means, squares = blurred[:2, half:-half], blurred[2:, half:-half]
        means *= means
        squares -= means
        (u, v), (uu, vv), (luminance, contrast) = means, squares, planes[:2, half:-half]
        for (first, second), constant, term in (((u, v), _C1, luminance), ((uu, vv), _C2, contrast)):
            first += 2 * constant
            np.subtract(first, second, out=term)
            first += second
            term /= first
        luminance, contrast = luminance[:, half:-half], contrast[:, half:-half]
        total += np.einsum("hw,hw", luminance, contrast), contrast.sum()
    return total


def _term_maps(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    mean_x, mean_y = _blur(x), _blur(y)
    product, squares = mean_x * mean_y, mean_x.square() + mean_y.square()
    covariance = _blur(x * y) - product
    variances = _blur(x * x + y * y) - squares
    contrast = (2 * covariance + _C2) / (variances + _C2)
    return (2 * product + _C1) / (squares + _C1) * contrast, contrast


def _blur(x: Tensor) -> Tensor:
    """Separable Gaussian by shifted sums: on a CPU 20 times faster than a float64 convolution."""
    first, *others = _taps().tolist()
    for dim in (0, 1):
        length = x.shape[dim] - _SIZE + 1
        total = x.narrow(dim, 0, length) * first
        for shift, tap in enumerate(others, start=1):
            total.add_(x.narrow(dim, shift, length), alpha=tap)
        x = total
    return x


def _taps() -> Tensor:
    """The Gaussian window, along one axis."""
    position = torch.arange(_SIZE, dtype=torch.float64) - _SIZE // 2
    taps = torch.exp(-(position**2) / (2 * _SIGMA**2))
    return taps / taps.sum()
