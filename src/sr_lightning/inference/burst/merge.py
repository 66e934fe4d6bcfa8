"""Merges aligned frames by kernel regression: on the mosaic's grid, or on a finer one in colour."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from sr_lightning.data.files.raw import RawPicture
from sr_lightning.functional import to_levels
from sr_lightning.functional.bayer import unpack
from sr_lightning.functional.isp import develop
from sr_lightning.inference.burst.align import to_mosaic
from sr_lightning.inference.burst.frames import Burst, Frame

#: Places (row, column) in a 2x2 block of the packed planes.
_PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))
#: The packed planes of red, green and blue.
_PLANES = ((0,), (1, 2), (3,))
_ROWS = 128  # rows of the mosaic that are computed together
#: Kernels on a finer grid are wider: each place has fewer samples of its colour around it.
_FINER = 1.25


def merged_burst(burst: Burst, on_progress: Callable[[float], None] = lambda share: None) -> RawPicture:
    """One mosaic of less noise, on the grid of the reference.

    Each sample is the weighted mean of those of its colour around its place, in all frames.

    **Paper:** Wronski et al., Handheld Multi-Frame Super-Resolution, ACM ToG (SIGGRAPH) 2019.

    Args:
        burst: The frames.
        on_progress: Told which share is done.
    """
    _, height, width = burst.frames[0].packed.shape
    planes = np.empty((4, height, width), np.float32)
    for row in range(0, height, _ROWS // 2):
        rows = slice(row, min(row + _ROWS // 2, height))
        y, x = np.mgrid[rows, :width].astype(np.float32)
        for plane, (dy, dx) in enumerate(_PLACES):
            planes[plane, rows] = _regressed(burst, (plane,), 2 * y + dy, 2 * x + dx, 1.0)
        on_progress(rows.stop / height)
    return replace(burst.like, mosaic=unpack(torch.from_numpy(planes)))


def enlarged_burst(
    burst: Burst, scale: int = 2, *, bits: int = 16, on_progress: Callable[[float], None] = lambda share: None
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """A picture ``(scale * H, scale * W, 3)`` in sRGB, as the sensor lay, without demosaicing.

    The frames' shifts fill the finer grid: kernel regression, the classical way.

    Args:
        burst: The frames.
        scale: Whole factor.
        bits: Of the result.
        on_progress: Told which share is done.
    """
    height, width = (2 * side for side in burst.frames[0].packed.shape[1:])
    out = np.empty((scale * height, scale * width, 3), np.uint8 if bits == 8 else np.uint16)
    like, step = burst.like, max(1, _ROWS // scale)
    for row in range(0, scale * height, step):
        rows = slice(row, min(row + step, scale * height))
        y, x = np.mgrid[rows, : scale * width].astype(np.float32)
        y, x = ((place + 0.5) / scale - 0.5 for place in (y, x))
        linear = torch.from_numpy(np.stack([_regressed(burst, planes, y, x, _FINER) for planes in _PLANES]))
        picture = develop((linear * 2**like.baseline_exposure).clamp(0, 1), like.gains, like.matrix)
        out[rows] = to_levels(picture, bits).permute(1, 2, 0).numpy()
        on_progress(rows.stop / (scale * height))
    return out


def _regressed(
    burst: Burst, planes: tuple[int, ...], y: NDArray[np.float32], x: NDArray[np.float32], width: float
) -> NDArray[np.float32]:
    """The signal of a colour at places of the reference's mosaic.

    Args:
        burst: The frames.
        planes: The packed planes that have the colour.
        y: Rows.
        x: Columns.
        width: Of the kernels, as a multiple of the usual.
    """
    half_y, half_x = (np.clip(np.rint((place - 0.5) / 2).astype(np.intp), 0, side - 1)
                      for place, side in ((y, burst.kernels.shape[1]), (x, burst.kernels.shape[2])))  # fmt: skip
    kernels = burst.kernels[:, half_y, half_x] / np.float32(2 * width**2)
    total, weights = np.zeros_like(y), np.full_like(y, 1e-12)
    for frame in burst.frames:
        counts = 1 if frame.weight is None else frame.weight[half_y, half_x].astype(np.float32)
        for plane in planes:
            _accumulate(frame, plane, y, x, kernels, counts, total, weights)
    return total / weights


def _accumulate(
    frame: Frame,
    plane: int,
    y: NDArray[np.float32],
    x: NDArray[np.float32],
    kernels: NDArray[np.float32],
    counts: NDArray[np.float32] | int,
    total: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> None:
    """Adds the nine samples of a plane around each place."""
    warp, (dy, dx) = to_mosaic(frame.warp).astype(np.float32), _PLACES[plane]
    v = (warp[1, 0] * x + warp[1, 1] * y + warp[1, 2] - dy) / 2
    u = (warp[0, 0] * x + warp[0, 1] * y + warp[0, 2] - dx) / 2
    rows, columns = frame.packed.shape[1:]
    first = max(0, int(v.min()) - 2)
    samples = frame.planes(slice(first, int(v.max()) + 3))[plane] if v.max() > -2 else None
    if samples is None or not samples.size:
        return
    near_v, near_u = np.rint(v).astype(np.intp), np.rint(u).astype(np.intp)
    for step_v in (-1, 0, 1):
        at_v = near_v + step_v
        off_v = 2 * (at_v - v)
        row = np.clip(at_v, 0, rows - 1) - first
        for step_u in (-1, 0, 1):
            at_u = near_u + step_u
            off_u = 2 * (at_u - u)
            inside = (at_v >= 0) & (at_v < rows) & (at_u >= 0) & (at_u < columns)
            distance = kernels[0] * off_v**2 + 2 * kernels[1] * off_v * off_u + kernels[2] * off_u**2
            weight = np.exp(-distance) * inside * counts
            row_in = np.clip(row, 0, len(samples) - 1)
            total += weight * samples[row_in, np.clip(at_u, 0, columns - 1)]
            weights += weight
