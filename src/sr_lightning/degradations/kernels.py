"""Blur kernels: odd squares of float64 that sum to one."""

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.atomic import AnyPath
from sr_lightning.degradations.pictures import each_picture, is_plain
from sr_lightning.errors import ConfigError, DataError

Kernel = NDArray[np.float64]
#: What lies outside a picture, see ``correlate``.
_BORDERS = ("replicate", "reflect", "symmetric")


def gaussian_kernel(
    size: int,
    sigma_x: float,
    sigma_y: float | None = None,
    angle: float = 0.0,
    *,
    beta: float = 1.0,
    plateau: bool = False,
) -> Kernel:
    """A Gaussian kernel, or a generalised one: ``exp(-q^beta / 2)``, where q is the squared Mahalanobis distance.

    **Paper:** generalised and plateau-shaped: Liu et al., Estimating Generalized Gaussian Blur Kernels for
    Out-of-Focus Image Deblurring, TCSVT 2020, as used by Wang et al., Real-ESRGAN, ICCVW 2021.

    Args:
        size: Odd number of rows and columns.
        sigma_x: Standard deviation in pixels along the first axis of the ellipse.
        sigma_y: Along the second; by default the same.
        angle: Of the first axis to the rows of the picture, in radians.
        beta: 1 is the Gaussian, less has a sharper peak, more a flatter one.
        plateau: ``1 / (1 + q^beta)`` instead.

    Example:
        >>> gaussian_kernel(3, 1.0).round(3)
        array([[0.075, 0.124, 0.075],
               [0.124, 0.204, 0.124],
               [0.075, 0.124, 0.075]])
    """
    x, y = _grid(size)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    q = ((u / sigma_x) ** 2 + (v / (sigma_y or sigma_x)) ** 2) ** beta
    return _normalised(1 / (1 + q) if plateau else np.exp(-q / 2))


def disk_kernel(radius: float) -> Kernel:
    """A disk of even brightness, for defocus. A pixel's weight is the part of it that the disk covers.

    Example:
        >>> disk_kernel(1.0).round(2)
        array([[0.03, 0.15, 0.03],
               [0.15, 0.32, 0.15],
               [0.03, 0.15, 0.03]])
    """
    fine = 32  # samples of a pixel along each axis
    half_size = max(1, math.ceil(radius - 0.5))
    place = (np.arange((2 * half_size + 1) * fine) + 0.5) / fine - half_size - 0.5
    # A disk between samples would cover none; all disks inside a pixel are that pixel.
    inside = (place[:, None] ** 2 + place**2 <= max(radius, 1 / fine) ** 2).astype(np.float64)
    return _normalised(inside.reshape(2 * half_size + 1, fine, 2 * half_size + 1, fine).mean((1, 3)))


def motion_kernel(length: float, angle: float) -> Kernel:
    """Motion in a straight line.

    Args:
        length: Of the line in pixels; 0 does not blur.
        angle: Of the line to the rows of the picture, in radians, counter-clockwise.

    Example:
        >>> motion_kernel(2.0, 0.0).round(2)
        array([[0.  , 0.  , 0.  ],
               [0.25, 0.5 , 0.25],
               [0.  , 0.  , 0.  ]])
    """
    half_size = max(1, math.ceil(length / 2))
    count = 64 * max(1, math.ceil(length))
    along = ((np.arange(count) + 0.5) / count - 0.5) * length
    kernel = np.zeros((2 * half_size + 2, 2 * half_size + 2))
    rows, columns = half_size - along * math.sin(angle), half_size + along * math.cos(angle)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    below, right = rows - top, columns - left
    for down in (0, 1):
        for across in (0, 1):
            weight = np.where(down, below, 1 - below) * np.where(across, right, 1 - right)
            np.add.at(kernel, (top + down, left + across), weight)
    return _normalised(kernel[:-1, :-1])


def sinc_kernel(size: int, cutoff: float) -> Kernel:
    """A circular low-pass filter. It imitates the ringing and overshoot that sharpening and JPEG cause.

    **Paper:** Wang et al., Real-ESRGAN, ICCVW 2021, equation 6: ``cutoff / (2 pi r) J1(cutoff r)``.

    Args:
        size: Odd number of rows and columns.
        cutoff: Angular frequency in radians per pixel, up to pi.
    """
    r, places = _radii(size)
    values = cutoff * torch.special.bessel_j1(torch.from_numpy(cutoff * r)).numpy() / (2 * math.pi * r)
    values[0] = cutoff**2 / (4 * math.pi)
    return _normalised(values[places])


def load_kernel(path: AnyPath, key: str = "Kernel") -> Kernel:
    """Reads a measured kernel from a ``.npy`` or MATLAB file. No code in the file is run.

    Args:
        path: The file.
        key: Name of the variable in a ``.mat`` file.

    Raises:
        DataError: If the file cannot be read, or is no kernel.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".mat":
            from scipy.io import loadmat

            kernel = loadmat(path, variable_names=[key]).get(key)
            if kernel is None:
                raise DataError(f"{path}: has no variable {key!r}; name the one that holds the kernel with key=")
        else:
            kernel = np.load(path, allow_pickle=False)
        kernel = np.asarray(kernel, dtype=np.float64)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    # Readers raise whatever they trip over; MATLAB 7.3 files are HDF5, which scipy refuses.
    except Exception as error:
        raise DataError(f"{path}: cannot be read as a .npy or .mat (up to version 7) file ({error})") from None
    if kernel.ndim != 2 or not kernel.size or not np.isfinite(kernel).all() or abs(kernel.sum()) < 1e-6:
        raise DataError(f"{path}: a kernel is a table of rows and columns of numbers whose sum is not 0")
    return _normalised(kernel)


def moved_kernel(kernel: Kernel, scale: float | tuple[float, float], phase: int | None = None) -> Kernel:
    """Shifts a kernel, so that an LR picture made with it lies on the same sampling grid as a bicubic one.

    Measured kernels lie anywhere in their table. Of the ``scale`` HR pixels that an LR pixel stands for, sampling
    takes number ``phase``, but their middle is at ``(scale - 1) / 2``.

    Args:
        kernel: Any table of numbers that sum to one.
        scale: Factor that the blurred picture will be sampled with, or those of rows and columns.
        phase: ``scale // 2`` by default.
    """
    from scipy.ndimage import center_of_mass, shift

    scales = scale if isinstance(scale, tuple) else (scale, scale)
    phases = [s // 2 if phase is None else phase for s in scales]
    to = [n // 2 + (s - 1) / 2 - p for n, s, p in zip(kernel.shape, scales, phases, strict=True)]
    move = np.array(to) - center_of_mass(kernel)
    room = int(np.ceil(np.abs(move).max())) + 1
    return _normalised(shift(np.pad(kernel, room), move))


def correlate(image: Tensor, kernel: Kernel, border: str = "replicate") -> Tensor:
    """Correlates a picture with a kernel, as MATLAB's ``imfilter`` and OpenCV do.

    Args:
        image: ``(N, C, H, W)`` float.
        kernel: Its middle is element ``n // 2`` along each axis.
        border: What lies outside the picture: its last pixel (``replicate``), its mirror image without the last pixel
            (``reflect``), or its mirror image with the last pixel (``symmetric``).
    """
    if border not in _BORDERS:
        raise ConfigError(f"degradation border={border}: must be {', '.join(_BORDERS)}")
    if image.dtype in (torch.float32, torch.float64) and is_plain(image):
        return _correlate_on_cpu(image, kernel, border)
    from kornia.filters import filter2d  # late, because kornia is slow to import

    rows, columns = kernel.shape
    # Padded here: kornia has no symmetric border, and its reflected one is limited to the size of the picture.
    x = image.index_select(-2, _outside(image.shape[-2], rows, border).to(image.device))
    x = x.index_select(-1, _outside(image.shape[-1], columns, border).to(image.device))
    weight = torch.from_numpy(np.ascontiguousarray(kernel)).to(image)[None]
    return filter2d(x, weight, padding="valid")


def _correlate_on_cpu(image: Tensor, kernel: Kernel, border: str) -> Tensor:
    """OpenCV's: several times as fast as convolutions, and nearer to exact sums."""
    import cv2

    cv_border = {"replicate": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101, "symmetric": cv2.BORDER_REFLECT}
    weight: Kernel = np.ascontiguousarray(kernel, dtype=np.float64)
    factors = _factors(weight)
    if factors:
        return each_picture(image, lambda pixels: cv2.sepFilter2D(pixels, -1, *factors, borderType=cv_border[border]))
    return each_picture(image, lambda pixels: cv2.filter2D(pixels, -1, weight, borderType=cv_border[border]))


def _factors(kernel: Kernel) -> tuple[Kernel, Kernel] | None:
    """The row and the column whose product the kernel is, as every round Gaussian is one; else None."""
    row, column = kernel[len(kernel) // 2], kernel[:, kernel.shape[1] // 2]
    middle = row[kernel.shape[1] // 2]
    rounding = 1e-15 * middle
    # The corner alone tells most of the others.
    if middle <= 0 or abs(column[0] * row[0] - middle * kernel[0, 0]) > rounding:
        return None
    if np.abs(column[:, None] * row - middle * kernel).max() > rounding:
        return None
    return row, column / middle


def _outside(length: int, size: int, border: str) -> Tensor:
    index = torch.arange(-(size // 2), length + size - 1 - size // 2)
    if border == "replicate":
        return index.clamp(0, length - 1)
    if border == "symmetric":
        index = index % (2 * length)
        return torch.minimum(index, 2 * length - 1 - index)
    index = index.abs() % max(1, 2 * length - 2)
    return torch.minimum(index, (2 * length - 2 - index).abs())


@lru_cache(maxsize=64)  # of a chain's sizes, thousands of times
def _grid(size: int) -> tuple[Kernel, Kernel]:
    if size < 1 or size % 2 == 0:
        raise ConfigError(f"degradation size={size}: the size of a kernel must be an odd number")
    place = np.arange(size) - size // 2.0
    x, y = np.broadcast_arrays(place, place[:, None])  # read only
    return x, y


@lru_cache(maxsize=64)
def _radii(size: int) -> tuple[Kernel, NDArray[np.intp]]:
    """The distances from the middle that occur, and for each pixel which it is. The first stands for the middle."""
    x, y = _grid(size)
    squares, places = np.unique(x**2 + y**2, return_inverse=True)
    squares[0] = 1  # instead of 0, by which nobody can divide
    return np.sqrt(squares), places.reshape(size, size)


def _normalised(kernel: Kernel) -> Kernel:
    normalised: Kernel = kernel / kernel.sum()
    return normalised
