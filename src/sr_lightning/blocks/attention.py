"""Attention: gates between 0 and 1 that a network multiplies its features by."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.errors import ConfigError, nearest
from sr_lightning.functional.geometry import mirrored


def attention(name: str, channels: int, reduction: int = 16) -> nn.Module:
    """An attention by name; several, joined by ``+``, follow one another.

    Args:
        name: ``none``, ``channel`` (RCAN), ``channel_full`` (without reduction), ``spatial``, ``sa``, ``multi_pool``,
            ``msa`` or ``mix``, which is ``channel+msa``. ``msa``, the name in SRNet's ablations, is MPR-SA; ``mpr_sa``
            is the same. ``sa`` has its first pooling alone, and ``multi_pool`` has all poolings and no rotations.
        channels: Channels of the features.
        reduction: Factor by which ``channel`` reduces the channels.

    Example:
        >>> attention("channel+sa", 16)(torch.rand(1, 16, 7, 5)).shape
        torch.Size([1, 16, 7, 5])
    """
    makers: dict[str, Callable[[], nn.Module]] = {
        "none": nn.Identity,
        "channel": lambda: ChannelAttention(channels, reduction),
        "channel_full": lambda: ChannelAttention(channels, reduction=1),
        "spatial": SpatialAttention,
        "sa": lambda: MPRSA(pools=(1,)),
        "multi_pool": lambda: MPRSA(rotate=False),
        "msa": MPRSA,
        "mpr_sa": MPRSA,
        "mix": lambda: MixAttention(channels, reduction),
    }
    parts = name.split("+")
    for part in parts:
        if part not in makers:
            raise ConfigError(f"attention={name}: there is no attention {part!r}; {nearest(part, makers)}")
    return makers[name]() if len(parts) == 1 else nn.Sequential(*(makers[part]() for part in parts))


def channel_groups(x: Tensor, count: int) -> Tensor:
    """Means of ``count`` groups of consecutive channels, ``(N, C, H, W)`` to ``(N, count, H, W)``.

    Example:
        >>> channel_groups(torch.arange(4.0).view(1, 4, 1, 1), 2).flatten()
        tensor([0.5000, 2.5000])
    """
    return torch.stack([group.mean(1) for group in x.tensor_split(count, dim=1)], dim=1)


def reflect_to_square(x: Tensor) -> Tensor:
    """Pads a picture to a square of its longer side. It is mirrored at its short sides, more than once if need be.

    Example:
        >>> reflect_to_square(torch.arange(4.0).view(1, 1, 4, 1)).shape
        torch.Size([1, 1, 4, 4])
    """
    side = max(x.shape[-2:])
    for dim in (-2, -1):
        x = mirrored(x, dim, side, before=(side - x.shape[dim]) // 2)
    return x


def mean_of_map(x: Tensor) -> Tensor:
    """Mean of each channel, ``(N, C, H, W)`` to ``(N, C, 1, 1)``, in float32 or better.

    Example:
        >>> mean_of_map(torch.ones(1, 2, 3, 4).half()).dtype
        torch.float32
    """
    # Half precision cannot hold the sum over a large map.
    return x.mean((2, 3), keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))


class ChannelAttention(nn.Module):
    """One gate for each channel, from the mean of every channel.

    **Paper:** Zhang et al., Image Super-Resolution Using Very Deep Residual Channel Attention Networks, ECCV 2018,
    eq. 5 to 8. DeepResNet and rawSR leave the number of channels as it is: ``reduction=1``.

    Args:
        num_features: Channels in and out.
        reduction: Factor by which the first layer reduces the channels.

    Example:
        >>> ChannelAttention(64)(torch.zeros(1, 64, 4, 4)).shape
        torch.Size([1, 64, 4, 4])
    """

    def __init__(self, num_features: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(num_features // reduction, 1)
        self.gate = nn.Sequential(
            nn.Conv2d(num_features, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, num_features, 1), nn.Sigmoid()
        )

    def statistic(self, x: Tensor) -> Tensor:
        """What the gate of each channel is computed from, ``(N, C, H, W)`` to ``(N, C, 1, 1)``."""
        return mean_of_map(x)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.statistic(x).to(x.dtype))  # type: ignore[no-any-return]


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, ``(N, C, 1, 1)`` in float32; on a processor, much faster than ``var_mean``.

    Example:
        >>> mean, variance = moments(torch.tensor([0.0, 4.0]).view(1, 1, 1, 2))
        >>> mean.item(), variance.item()
        (2.0, 4.0)
    """
    x = x.float()  # half precision cannot hold squares and long sums
    mean = x.mean((2, 3), keepdim=True)
    return mean, (x - mean).square().mean((2, 3), keepdim=True)


class ContrastAttention(ChannelAttention):
    """Channel attention whose gates depend on mean plus standard deviation of each channel (IMDN's CCA).

    **Paper:** Hui, Gao, Yang, Wang, Lightweight Image Super-Resolution with Information Multi-distillation Network,
    ACM Multimedia 2019.

    Example:
        >>> ContrastAttention(16, reduction=4)(torch.rand(2, 16, 5, 7)).shape
        torch.Size([2, 16, 5, 7])
    """

    def statistic(self, x: Tensor) -> Tensor:
        mean, variance = moments(x)
        return (variance + 1e-12).sqrt() + mean  # the gradient of a flat channel is finite


def _at_least(x: Tensor, side: int, **how: Any) -> Tensor:
    """Fills up a map at the bottom and the right to ``side``; exporters keep its height and width open."""
    height, width = x.shape[-2:]
    if torch.jit.is_tracing():  # type: ignore[no-untyped-call, attr-defined]
        missing = [(less + abs(less)) // 2 for less in (side - width, side - height)]  # of numbers that stay open
    elif torch.compiler.is_compiling():
        missing = [torch.sym_max(0, side - length) for length in (width, height)]  # type: ignore[no-untyped-call]
    elif min(height, width) >= side:
        return x
    else:
        missing = [max(0, side - length) for length in (width, height)]
    return F.pad(x, (0, missing[0], 0, missing[1]), **how)


class EnhancedSpatialAttention(nn.Module):
    """Spatial attention (ESA) whose gates are computed from a map of few channels and a sixth of the size.

    **Paper:** Liu, Zhang, Tang, Tang, Wu, Residual Feature Aggregation Network for Image Super-Resolution, CVPR 2020.
    Maps of less than 15 pixels, too small for its strides, are pooled as a whole.

    Args:
        num_features: Channels in and out.
        narrow: Channels of the small map.
        depth: Convolutions on the small map; 3 in the paper and in RFDN, 1 in RLFN.
        conv: Makes the 3x3 convolutions; BSRN's are blueprint convolutions.
        activation: Makes the activations between them.

    Example:
        >>> EnhancedSpatialAttention(8, 2)(torch.rand(1, 8, 20, 5)).shape
        torch.Size([1, 8, 20, 5])
    """

    def __init__(
        self,
        num_features: int,
        narrow: int,
        depth: int = 3,
        conv: Callable[..., nn.Module] = nn.Conv2d,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(num_features, narrow, 1)
        self.stride = conv(narrow, narrow, 3, stride=2)
        coarse = [conv(narrow, narrow, 3, padding=1)]
        for _ in range(depth - 1):
            coarse += [activation(), conv(narrow, narrow, 3, padding=1)]
        self.coarse = nn.Sequential(*coarse)
        self.skip = nn.Conv2d(narrow, narrow, 1)
        self.expand = nn.Conv2d(narrow, num_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        fine = self.reduce(x)
        halved = self.stride(_at_least(fine, 3, mode="replicate"))
        pooled = F.max_pool2d(_at_least(halved, 7, value=-torch.inf), 7, stride=3)
        coarse = F.interpolate(self.coarse(pooled), (height, width), mode="bilinear", align_corners=False)
        return x * self.expand(coarse + self.skip(fine)).sigmoid()  # type: ignore[no-any-return]


class SpatialAttention(nn.Module):
    """One gate for each position: a 7x7 filter over the channels' mean.

    Example:
        >>> SpatialAttention()(torch.zeros(1, 8, 4, 6)).shape
        torch.Size([1, 8, 4, 6])
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv(channel_groups(x, 1)).sigmoid()  # type: ignore[no-any-return]


class PixelAttention(nn.Module):
    """Weighs each feature of each pixel by a sigmoid of a convolution: 1x1 in PAN, 3x3 in PLKSR.

    Example:
        >>> PixelAttention(8)(torch.rand(1, 8, 4, 5)).shape
        torch.Size([1, 8, 4, 5])
    """

    def __init__(self, num_features: int, kernel_size: int = 1) -> None:
        super().__init__()
        self.gate = nn.Conv2d(num_features, num_features, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x).sigmoid()  # type: ignore[no-any-return]


class MPRSA(nn.Module):
    """SRNet's spatial attention over several poolings and the four rotations of the map (MPR-SA).

    For each p in ``pools``: means of p groups of channels, beside their rotations by 90, 180 and 270 degrees, through
    one 7x7 convolution and batch normalisation to 8 maps. The sigmoid of the sum over p gates the features; channel c
    has map c modulo 8. The rotated maps are not turned back, so position (y, x) sees four corners of the picture.

    The rotation needs a square: other maps are mirrored at their short sides, and the gate is cropped back.

    Args:
        pools: Numbers of groups; ``(1,)`` is the ablation SA.
        rotate: Whether the map is rotated; False is ``multi_pool``.

    Example:
        >>> MPRSA()(torch.zeros(1, 64, 5, 9)).shape
        torch.Size([1, 64, 5, 9])
        >>> sum(p.numel() for p in MPRSA().parameters())
        11024
    """

    num_maps = 8

    def __init__(self, pools: tuple[int, ...] = (1, 2, 4), rotate: bool = True) -> None:
        super().__init__()
        self.pools = pools
        self.turns = range(4 if rotate else 1)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(len(self.turns) * count, self.num_maps, 7, padding=3, bias=False),
                nn.BatchNorm2d(self.num_maps, momentum=0.01),
            )
            for count in pools
        )

    def forward(self, x: Tensor) -> Tensor:
        channels, height, width = x.shape[1:]
        maps = x.new_zeros(())
        for count, branch in zip(self.pools, self.branches, strict=True):
            groups = channel_groups(x, count)
            if len(self.turns) > 1:
                groups = reflect_to_square(groups)
            maps = maps + branch(torch.cat([groups.rot90(turn, (2, 3)) for turn in self.turns], dim=1))
        top, left = (maps.shape[-2] - height) // 2, (maps.shape[-1] - width) // 2
        gates = maps[..., top : top + height, left : left + width].sigmoid()
        return x * gates.repeat(1, math.ceil(channels / self.num_maps), 1, 1)[:, :channels]


class MixAttention(nn.Sequential):
    """SRNet's MixAttn: channel attention, then MPR-SA.

    Example:
        >>> sum(p.numel() for p in MixAttention(64).parameters())
        11604
    """

    def __init__(self, num_features: int, reduction: int = 16) -> None:
        super().__init__(ChannelAttention(num_features, reduction), MPRSA())
