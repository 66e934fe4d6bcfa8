"""Bursts of RAW frames of a scene that is known at every place, whatever shift and turn a frame has."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.data.files.raw import RawPicture, write_mosaic_dng
from sr_lightning.functional.bayer import mosaic

Places = NDArray[np.float64]
#: As ISO 3200 has them.
SHOT, READ = 0.01, 0.0001
GAINS = (2.0, 1.0, 1.6)
MATRIX = ((1.6, -0.4, -0.2), (-0.2, 1.5, -0.3), (0.0, -0.5, 1.5))
STAYS = np.eye(3)[:2]


def scene(y: Places, x: Places) -> Places:
    """Linear camera RGB ``(3, *y.shape)`` in [0.02, 0.5] at places of the reference: boxes with soft edges."""
    rng, total = np.random.default_rng(5), np.zeros((3, *y.shape))
    for _ in range(200):
        middle, angle, half, light = (
            rng.uniform(-20, 230, 2),
            rng.uniform(0, np.pi),
            rng.uniform(2, 20, 2),
            2.5 * rng.normal(),
        )
        cos, sin = np.cos(angle), np.sin(angle)
        u, v = cos * (x - middle[0]) + sin * (y - middle[1]), cos * (y - middle[1]) - sin * (x - middle[0])
        box = 1 / (1 + np.exp(np.clip(np.maximum(abs(u) - half[0], abs(v) - half[1]) / 0.6, -30, 30)))
        total += (light + 0.3 * rng.standard_normal(3))[:, None, None] * box
    return 0.02 + 0.48 / (1 + np.exp(-total))


def moved(shift: Sequence[float] = (0.0, 0.0), degrees: float = 0.0, size: tuple[int, int] = (96, 128)) -> Places:
    """The rows that take places (x, y) of the reference to those of a frame, turned about the middle."""
    angle, middle = np.deg2rad(degrees), np.array(size[::-1]) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, np.asarray(shift) + middle - turn @ middle])


def photograph(
    warp: Places = STAYS,
    *,
    size: tuple[int, int] = (96, 128),
    what: Callable[[Places, Places], Places] = scene,
    seed: int | None = 0,
    pattern: str = "RGGB",
    brightness: float = 1.0,
) -> Tensor:
    """The mosaic ``(1, H, W)`` of a frame; without noise if ``seed`` is None."""
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    back = np.linalg.inv(warp[:, :2])
    x, y = (row[0] * (x - warp[0, 2]) + row[1] * (y - warp[1, 2]) for row in back)
    clean = brightness * mosaic(torch.from_numpy(what(y, x)).float(), pattern)
    if seed is None:
        return clean
    normal = np.random.default_rng(seed).standard_normal(clean.shape, np.float32)
    return clean + torch.from_numpy(normal) * (SHOT * clean + READ).sqrt()


def write_burst(folder: Path, mosaics: Sequence[Tensor], pattern: str = "RGGB", flip: int = 0) -> list[Path]:
    """DNG files ``0.dng``, ``1.dng``, …"""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.dng" for number in range(len(mosaics))]
    for path, samples in zip(paths, mosaics, strict=True):
        like = RawPicture(samples, pattern, GAINS, MATRIX, flip)
        write_mosaic_dng(path, samples, pattern=pattern, like=like)
    return paths


def some_warps(count: int, size: tuple[int, int] = (96, 128)) -> list[Places]:
    """The reference, and frames that are moved by up to six pixels and turned a little."""
    rng = np.random.default_rng(3)
    return [STAYS, *(moved(rng.uniform(-6, 6, 2), rng.normal(0, 0.2), size) for _ in range(count - 1))]
