"""The blur of a hand-held camera: defocus and motion."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from sr_lightning.degradations.kernels import disk_kernel

#: Steps of a random walk, and the standard deviation of its turns.
STEPS, TURN = 128, math.pi / 8


def random_walk_kernel(
    size: int, generator: np.random.Generator, centre: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """Motion blur along a random walk, which reaches ``(size - 1) / 2`` pixels from its centre of mass.

    **Paper:** Xu, Ma, Sun, Towards Real Scene Super-Resolution With Raw Images, CVPR 2019, section 3.1, says no more
    than that the motion kernel is random, of 3 to 11 pixels; steps and turns are choices made here.

    Args:
        size: Of the kernel in pixels; 1 does not blur.
        generator: Where the walk is drawn.
        centre: Row and column of the centre of mass, from the middle of the kernel, at most a pixel off.

    Returns:
        An odd square that sums to one.

    Example:
        >>> random_walk_kernel(1, np.random.default_rng(0)).sum()
        np.float64(1.0)
        >>> random_walk_kernel(6, np.random.default_rng(0)).shape
        (7, 7)
    """
    angles = generator.uniform(0, 2 * math.pi) + np.cumsum(generator.normal(0, TURN, STEPS))
    walk = np.cumsum(np.stack([np.sin(angles), np.cos(angles)], axis=1), axis=0)
    walk -= walk.mean(0)
    walk *= (size - 1) / 2 / np.abs(walk).max()
    half_size = math.ceil((size - 1) / 2 + np.abs(centre).max())
    rows, columns = (walk + centre + half_size).T
    kernel = np.zeros((2 * half_size + 2, 2 * half_size + 2))
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    below, right = rows - top, columns - left
    # Shared out to four pixels, which keeps the centre of mass.
    for down, vertical in ((0, 1 - below), (1, below)):
        for across, horizontal in ((0, 1 - right), (1, right)):
            np.add.at(kernel, (top + down, left + across), vertical * horizontal)
    normalised: NDArray[np.float64] = kernel[:-1, :-1] / STEPS
    return normalised


def camera_kernel(radius: float, size: int, walk_seed: int, scale: int) -> torch.Tensor:
    """Disk and random walk together, ``(K, K)`` float32, for sampling at HR pixel ``scale // 2`` of each LR pixel.

    The centre of mass is where the middle of the LR pixel lies on HR, so that LR and HR pictures are aligned as those
    of a bicubic enlargement.

    Args:
        radius: Of the disk in HR pixels; 0 is in focus.
        size: Of the walk in HR pixels; 1 does not move.
        walk_seed: Decides the walk.
        scale: Whole factor of sampling.

    Example:
        >>> camera_kernel(2.0, 5, walk_seed=1, scale=2).shape
        torch.Size([11, 11])
    """
    middle = (scale - 1) / 2 - scale // 2
    walk = random_walk_kernel(size, np.random.default_rng(walk_seed), (middle, middle))
    disk = disk_kernel(radius) if radius else np.ones((1, 1))
    both = np.zeros((len(disk) + len(walk) - 1,) * 2)
    for (row, column), weight in np.ndenumerate(disk):
        both[row : row + len(walk), column : column + len(walk)] += weight * walk
    return torch.from_numpy(both).float()
