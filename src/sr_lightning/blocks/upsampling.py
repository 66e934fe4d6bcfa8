"""Learned enlargement."""

from torch import nn


def pixel_shuffle(in_channels: int, out_channels: int, scale: int) -> nn.Sequential:
    """Convolution to ``scale**2`` times the channels, then their rearrangement in space.

    **Paper:** Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network, CVPR 2016.

    Example:
        >>> import torch
        >>> pixel_shuffle(8, 3, 3)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 3, 12, 12])
    """
    return nn.Sequential(nn.Conv2d(in_channels, out_channels * scale**2, 3, padding=1), nn.PixelShuffle(scale))


def upsampler(num_features: int, scale: int) -> nn.Sequential:
    """EDSR's tail: one pixel shuffle for each prime factor 2 or 3 of the scale, no activation.

    Raises:
        ValueError: If ``scale`` is neither a power of two nor of three.

    Example:
        >>> len(upsampler(64, 4)) // 2
        2
    """
    return nn.Sequential(*(layer for s in stages(scale) for layer in pixel_shuffle(num_features, num_features, s)))


def stages(scale: int) -> list[int]:
    """The steps of a gradual enlargement: 8 is 2, 2, 2; 9 is 3, 3.

    Example:
        >>> stages(4), stages(3), stages(1)
        ([2, 2], [3], [])
    """
    for prime in (2, 3):
        count, rest = 0, scale
        while rest > 1 and rest % prime == 0:
            count, rest = count + 1, rest // prime
        if rest == 1:
            return [prime] * count
    raise ValueError(f"scale {scale} is neither a power of two nor of three")
