"""Enlargement, most of it learned."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.errors import ConfigError, nearest
from sr_lightning.functional import imresize


def pixel_shuffle(
    in_channels: int,
    out_channels: int,
    scale: int,
    kernel_size: int = 3,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = None,
) -> nn.Sequential:
    """Convolution to ``scale**2`` times the channels, then their rearrangement in space; any whole scale.

    ``activation`` makes a layer between the two.

    **Paper:** Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network, CVPR 2016.

    Example:
        >>> import torch
        >>> pixel_shuffle(8, 3, 3)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 3, 12, 12])
    """
    conv = nn.Conv2d(in_channels, out_channels * scale**2, kernel_size, padding=kernel_size // 2, groups=groups)
    return nn.Sequential(conv, *([activation()] if activation else []), nn.PixelShuffle(scale))


def unshuffle(picture: Tensor, factor: int) -> Tensor:
    """Pixels of ``factor`` x ``factor`` squares as channels: Real-ESRGAN's way to compute at a smaller size.

    Sides that are no multiple are mirrored at their ends.

    Example:
        >>> import torch
        >>> unshuffle(torch.rand(1, 3, 5, 8), 2).shape
        torch.Size([1, 12, 3, 4])
    """
    if factor == 1:
        return picture
    height, width = picture.shape[-2:]
    columns, rows = -width % factor, -height % factor
    mode = "reflect" if columns < width and rows < height else "replicate"
    return F.pixel_unshuffle(F.pad(picture, (0, columns, 0, rows), mode=mode), factor)


class RepeatedPixels(nn.Conv2d):
    """A 3x3 convolution of each colour to ``scale**2`` channels, which at first repeats the pixel: before a shuffle.

    Example:
        >>> import torch
        >>> picture = torch.rand(1, 3, 4, 5)
        >>> repeated = F.pixel_shuffle(RepeatedPixels(2)(picture), 2)
        >>> torch.equal(repeated, F.interpolate(picture, scale_factor=2))
        True
    """

    def __init__(self, scale: int, channels: int = 3) -> None:
        super().__init__(channels, channels * scale**2, 3, padding=1, groups=channels, bias=False)
        nn.init.zeros_(self.weight)
        nn.init.ones_(self.weight[:, :, 1, 1])


def nearest_conv(in_channels: int, out_channels: int, scale: int) -> nn.Sequential:
    """Repeats every pixel and smoothes with a convolution: no checkerboard.

    **Paper:** Odena, Dumoulin, Olah, Deconvolution and Checkerboard Artifacts, Distill 2016.

    Example:
        >>> import torch
        >>> nearest_conv(8, 3, 3)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 3, 12, 12])
    """
    return nn.Sequential(nn.Upsample(scale_factor=scale), nn.Conv2d(in_channels, out_channels, 3, padding=1))


def deconv(in_channels: int, out_channels: int, scale: int, kernel_size: int | None = None) -> nn.Sequential:
    """Transposed convolution. By default its filters reach half a step beyond the pixels on either side.

    ``kernel_size`` and ``scale`` are both even or both odd, and ``kernel_size`` is not the smaller one.

    Example:
        >>> import torch
        >>> deconv(8, 3, 3)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 3, 12, 12])
    """
    size = kernel_size or scale + 2 * (scale // 2)
    return nn.Sequential(nn.ConvTranspose2d(in_channels, out_channels, size, scale, padding=(size - scale) // 2))


def upsampler(
    num_features: int,
    scale: int,
    kind: str = "pixel_shuffle",
    out_channels: int | None = None,
    activation: Callable[[], nn.Module] | None = None,
) -> nn.Sequential:
    """EDSR's tail: one enlargement for each prime factor of the scale, no activation unless given.

    Args:
        num_features: Channels.
        scale: Any whole number.
        kind: ``pixel_shuffle``, ``nearest``, ``deconv``, or ``direct``, which is one pixel shuffle of the whole scale.
        out_channels: Channels after the last step, default ``num_features``.
        activation: Makes the activation that follows every step.

    Example:
        >>> len(upsampler(64, 4)) // 2
        2
    """
    makers = {"pixel_shuffle": pixel_shuffle, "direct": pixel_shuffle, "nearest": nearest_conv, "deconv": deconv}
    if kind not in makers:
        raise ConfigError(f"upsampler={kind}: there is no such upsampler; {nearest(kind, makers)}")
    steps = [scale] if kind == "direct" else prime_factors(scale)
    widths = [num_features] * len(steps) + [out_channels or num_features]
    layers: list[nn.Module] = []
    for step, before, after in zip(steps, widths, widths[1:], strict=False):
        layers += makers[kind](before, after, step)
        layers += [activation()] if activation else []
    return nn.Sequential(*layers)


def bicubic(kind: str) -> Callable[[Tensor, int], Tensor]:
    """Enlarges a picture before a network sees it.

    Args:
        kind: ``matlab``, with a = -0.5 and mirrored borders, or ``torch``, with a = -0.75 and repeated ones.

    Example:
        >>> import torch
        >>> bicubic("torch")(torch.zeros(1, 3, 4, 5), 2).shape
        torch.Size([1, 3, 8, 10])
    """
    kinds: dict[str, Callable[[Tensor, int], Tensor]] = {"matlab": imresize, "torch": _bicubic_of_torch}
    if kind not in kinds:
        raise ConfigError(f"enlargement={kind}: there is no such enlargement; {nearest(kind, kinds)}")
    return kinds[kind]


def _bicubic_of_torch(lr: Tensor, scale: int) -> Tensor:
    return F.interpolate(lr, scale_factor=scale, mode="bicubic", align_corners=False)


def prime_factors(scale: int) -> list[int]:
    """The steps of a gradual enlargement, its prime factors: 8 is 2, 2, 2; 6 is 2, 3.

    Example:
        >>> prime_factors(4), prime_factors(3), prime_factors(1)
        ([2, 2], [3], [])
    """
    steps, prime = [], 2
    while scale > 1:
        if scale % prime:
            prime += 1
        else:
            steps.append(prime)
            scale //= prime
    return steps
