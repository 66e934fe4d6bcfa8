"""Bicubic resizing equal to MATLAB's ``imresize``, the resampling that super-resolution is defined by."""

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.functional.levels import round_8bit
from sr_lightning.functional.precision import full_precision
from sr_lightning.functional.whole_steps import whole_step

Edge = Literal["symmetric", "replicate"]
Rounding = Literal["none", "once", "per_pass"]


@whole_step
def imresize(
    image: Tensor,
    scale: float | None = None,
    *,
    size: tuple[int, int] | None = None,
    edge: Edge = "symmetric",
    rounding: Rounding = "none",
) -> Tensor:
    """Bicubic resampling with MATLAB's kernel, phase, antialiasing and border.

    Keys' cubic with a = -0.5, stretched by ``1 / scale`` when shrinking; the sampling grid is aligned to
    the outer edges of the picture; the weights of every output pixel are normalised. Differentiable.

    Args:
        image: ``(..., H, W)``, any floating dtype; half precision is computed in float32.
        scale: Factor of both axes; the output has ``ceil(H * scale)`` rows. Exclusive with ``size``.
        size: Output ``(height, width)``; each axis gets the factor that its sizes imply.
        edge: What lies outside the picture: its mirror image (MATLAB today) or its last pixel
            (MATLAB until 2010s, and the files of several older papers).
        rounding: ``"none"`` leaves the values alone. The others stand for an 8-bit picture in [0, 1]
            and round to multiples of 1/255, halves up: ``"once"`` at the end, ``"per_pass"`` after each
            one-dimensional pass (what MATLAB does with ``uint8``).

    Returns:
        ``(..., H', W')`` of the input's dtype; values may leave [0, 1] unless rounded.

    Raises:
        ValueError: If not exactly one of ``scale`` and ``size`` is given, the result would be empty, or there is no
            such ``edge`` or ``rounding``.

    Example:
        >>> imresize(torch.arange(64.0).reshape(1, 1, 8, 8), 0.5)[0, 0, 0]
        tensor([ 4.0430,  6.0820,  8.1055, 10.1445])
    """
    if (scale is None) == (size is None):
        raise ValueError("imresize needs either scale or size, and not both")
    for name, value, choices in (("edge", edge, get_args(Edge)), ("rounding", rounding, get_args(Rounding))):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    height, width = image.shape[-2:]
    if size is None:
        assert scale is not None
        size, factors = (_enlarged(height, scale), _enlarged(width, scale)), (scale, scale)
    else:
        factors = (size[0] / max(height, 1), size[1] / max(width, 1))
    if min(size) < 1 or min(height, width) < 1:
        raise ValueError(f"imresize cannot make a {size[0]}x{size[1]} picture of a {height}x{width} one")
    if not image.is_floating_point():
        raise ValueError(f"imresize needs a floating-point picture, got {image.dtype}")

    x = image if image.dtype in (torch.float32, torch.float64) else image.float()
    # MATLAB resizes first along the axis with the smaller factor, rows before columns if equal.
    with full_precision(x):
        for axis in sorted((0, 1), key=lambda a: factors[a]):
            x = _resize_axis(x, axis - 2, factors[axis], size[axis], edge)
            if rounding == "per_pass":
                x = round_8bit(x)
    if rounding == "once":
        x = round_8bit(x)
    return x.to(image.dtype)


def _enlarged(length: int, scale: float) -> int:
    # Whole factors without rounding: in an export, lengths are symbols, which have to stay whole.
    return length * int(scale) if scale == int(scale) else math.ceil(length * scale)


def _resize_axis(x: Tensor, dim: int, factor: float, size: int, edge: Edge) -> Tensor:
    if factor == 1 and x.shape[dim] == size:
        return x
    if factor > 1 and factor == int(factor) and x.dtype == torch.float32:
        return _enlarge_by_convolution(x, dim, int(factor), edge)
    # torch misreads the layout of pictures that are one pixel wide.
    if _interpolate_is_exact(factor) and min(x.shape[-2:]) > 1:
        return _resize_by_interpolate(x, dim, factor, size, edge)
    weights = resize_matrix(x.shape[dim], size, factor, edge).to(x)
    return (weights @ x) if dim == -2 else (x @ weights.T)


def _interpolate_is_exact(factor: float) -> bool:
    """Whether torch's own kernel gives MATLAB's values inside the picture.

    It steps through the input by ``1 / factor`` in floating point, which is exact for shrinking by a whole
    factor and for enlarging by a power of two.
    """
    if factor < 1:
        return 1 / factor == round(1 / factor)
    return math.log2(factor).is_integer()


def _enlarge_by_convolution(x: Tensor, dim: int, factor: int, edge: Edge) -> Tensor:
    """Whole factors: one filter of five pixels for each of ``factor`` places within a pixel.

    Nothing here depends on the picture's size, so that exported networks keep it open. In float64 it would show that
    MATLAB computes the weights of each pixel anew, with errors of their own.
    """
    place = (torch.arange(1, factor + 1, dtype=torch.float64) - 0.5) / factor - 0.5
    weight = cubic(place[:, None] - torch.arange(-2, 3))
    weight = (weight / weight.sum(1, keepdim=True)).to(x)
    padded = _pad(x, dim, 2, 2, edge)
    flat = padded.reshape(-1, 1, *padded.shape[-2:])
    if dim == -2:
        y = F.conv2d(flat, weight[:, None, :, None]).transpose(1, 2)  # (N, H, factor, W)
    else:
        y = F.conv2d(flat, weight[:, None, None, :]).permute(0, 2, 3, 1)  # (N, H, W, factor)
    shape = (-1, x.shape[-1]) if dim == -2 else (x.shape[-2], -1)
    return y.reshape(*x.shape[:-2], *shape)


def _resize_by_interpolate(x: Tensor, dim: int, factor: float, size: int, edge: Edge) -> Tensor:
    length = x.shape[dim]
    step = max(1, round(1 / factor))  # input pixels to one output pixel
    before = step * math.ceil(2 * max(1, 1 / factor) / step)  # the kernel reaches two (stretched) pixels
    after = before + size * step - length if factor < 1 else before
    x = _pad(x, dim, before, after, edge)
    grown = round(x.shape[dim] * factor)
    shape = (grown, x.shape[-1]) if dim == -2 else (x.shape[-2], grown)
    flat = x.reshape(-1, 1, *x.shape[-2:])
    y = F.interpolate(flat, size=shape, mode="bicubic", antialias=True)
    start = round(before * factor)
    return y.narrow(dim, start, size).reshape(*x.shape[:-2], *_replaced(shape, dim, size))


def _replaced(shape: tuple[int, int], dim: int, size: int) -> tuple[int, int]:
    return (size, shape[1]) if dim == -2 else (shape[0], size)


def _pad(x: Tensor, dim: int, before: int, after: int, edge: Edge) -> Tensor:
    length = x.shape[dim]
    left, right = x.narrow(dim, 0, min(before, length)), x.narrow(dim, length - min(after, length), min(after, length))
    if edge == "symmetric" and max(before, after) <= length:
        return torch.cat([left.flip(dim), x, right.flip(dim)], dim)
    index = _outside(torch.arange(-before, length + after, device=x.device), length, edge)
    return x.index_select(dim, index)


def _outside(index: Tensor, length: int, edge: Edge) -> Tensor:
    """Maps positions beyond ``[0, length)`` back into it."""
    if edge == "replicate":
        return index.clamp(0, length - 1)
    index = index % (2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)


def resize_matrix(
    length: int,
    size: int,
    factor: float,
    edge: Edge = "symmetric",
    rows: tuple[int, int] | None = None,
    columns: tuple[int, int] | None = None,
) -> Tensor:
    """The dense ``(size, length)`` matrix of one pass of ``imresize``, in float64.

    Here size and factor are both free: the first ``size`` of the pixels that a length enlarged by ``factor`` has.
    ``rows`` and ``columns``, from where to where, give that part alone; outside it, those rows must have no weights.

    Example:
        >>> resize_matrix(4, 3, 0.5).shape
        torch.Size([3, 4])
        >>> torch.equal(resize_matrix(9, 6, 0.5, rows=(3, 5), columns=(2, 9)), resize_matrix(9, 6, 0.5)[3:5, 2:])
        True
    """
    stretch = max(1.0, 1 / factor)
    first, last = rows or (0, size)
    begin, end = columns or (0, length)
    # Centres of the output pixels in the input, counted from 1 and in MATLAB's order of operations: the last
    # digits of an enlargement by three depend on it.
    centre = torch.arange(first + 1, last + 1, dtype=torch.float64) / factor + 0.5 * (1 - 1 / factor)
    index = torch.floor(centre - 2 * stretch)[:, None] + torch.arange(math.ceil(4 * stretch) + 2)
    weight = cubic((centre[:, None] - index) / stretch)
    weight = weight / weight.sum(1, keepdim=True)
    places = (_outside(index.long() - 1, length, edge) - begin).clamp(0, end - begin - 1)  # others weigh nothing
    return torch.zeros(last - first, end - begin, dtype=torch.float64).scatter_add_(1, places, weight)


def cubic(x: Tensor) -> Tensor:
    """Keys, Cubic convolution interpolation, 1981, with a = -0.5."""
    x = x.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, torch.zeros_like(x)))
