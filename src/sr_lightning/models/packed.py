"""Networks from mosaic to mosaic: packed RGGB in, packed RGGB of a finer sensor out."""

from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from sr_lightning import blocks
from sr_lightning.blocks import ChannelNorm, ResidualBlock, ResidualGroup
from sr_lightning.errors import ConfigError
from sr_lightning.functional.packed import PackedGrid, check_grid, enlarge_packed
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule

Trunk = Literal["naf", "rcan", "edsr", "srresnet"]


class SimpleGate(nn.Module):
    """The product of the two halves of the channels, NAFNet's only non-linearity.

    Example:
        >>> SimpleGate()(torch.full((1, 4, 1, 1), 3.0)).flatten()
        tensor([9., 9.])
    """

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return first * second


class MeanGate(nn.Module):
    """NAFNet's simplified channel attention: channels times a linear function of their means over the picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv(x.mean((2, 3), keepdim=True))  # type: ignore[no-any-return]


class NAFBlock(nn.Module):
    """NAFNet's block: a convolution of each channel and then a pointwise part, each with a norm, a gate and a skip.

    Both skips begin as the identity.

    **Paper:** Chen, Chu, Zhang, Sun, Simple Baselines for Image Restoration, ECCV 2022.

    Example:
        >>> x = torch.rand(1, 8, 4, 5)
        >>> torch.equal(NAFBlock(8)(x), x)
        True
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = nn.Sequential(
            ChannelNorm(channels),
            nn.Conv2d(channels, 2 * channels, 1),
            nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels),
            SimpleGate(),
            MeanGate(channels),
            nn.Conv2d(channels, channels, 1),
        )
        self.pointwise = nn.Sequential(
            ChannelNorm(channels),
            nn.Conv2d(channels, 2 * channels, 1),
            SimpleGate(),
            nn.Conv2d(channels, channels, 1),
        )
        self.spatial_factor = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.pointwise_factor = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.spatial_factor * self.spatial(x)
        return x + self.pointwise_factor * self.pointwise(x)  # type: ignore[no-any-return]


class PackedNet(nn.Module):
    """Head, trunk and upsampler, whose result is added to the bicubic enlargement."""

    def __init__(self, args: "Packed") -> None:
        super().__init__()
        width = args.num_features
        self.scale, self.grid = args.scale, args.grid
        self.head = nn.Conv2d(4, width, 3, padding=1)
        self.body = _trunk(args)
        self.tail = blocks.upsampler(width, args.scale, args.upsampler, out_channels=4)

    def features(self, lr: Tensor) -> Tensor:
        """What the tail enlarges."""
        return self.body(self.head(lr))  # type: ignore[no-any-return]

    def forward(self, lr: Tensor) -> Tensor:
        detail: Tensor = self.tail(self.features(lr))
        return enlarge_packed(lr, self.scale, self.grid) + detail


def _trunk(args: "Packed") -> nn.Module:
    """NAFNet's blocks in a row, which have skips of their own, or blocks or RCAN's groups of them within a long one."""
    width, count = args.num_features, args.num_groups * args.num_blocks
    if args.trunk == "naf":
        return nn.Sequential(*(NAFBlock(width) for _ in range(count)))
    if args.trunk in ("edsr", "srresnet"):
        kind: dict[str, Any] = {"norm": "batch", "activation": nn.PReLU} if args.trunk == "srresnet" else {}
        return ResidualGroup(*(ResidualBlock(width, **kind) for _ in range(count)), num_features=width)
    member = partial(ResidualBlock, width, attention="channel", reduction=args.reduction)
    groups = (
        ResidualGroup(*(member() for _ in range(args.num_blocks)), num_features=width) for _ in range(args.num_groups)
    )
    return ResidualGroup(*groups, num_features=width)


@network
class Packed(SuperResolutionModule):
    """A network from packed mosaic to packed mosaic, the task of the NTIRE challenges on RAW image super-resolution.

    It reads ``(N, 4, H, W)``, R, G beside R, G beside B and B, linear in [0, 1], and gives
    ``(N, 4, scale * H, scale * W)``.

    **Papers:** the blocks are those of Chen, Chu, Zhang, Sun, Simple Baselines for Image Restoration, ECCV 2022, in a
    row as in Chu, Chen, Yu, NAFSSR, CVPRW 2022, or those of Zhang et al., RCAN, ECCV 2018; of Lim et al., EDSR, CVPRW
    2017; of Ledig et al., SRResNet, CVPR 2017. The task is that of Conde, Vasluianu, Timofte, BSRAW, WACV 2024. The
    combination is none of a paper.

    Args:
        scale: Whole factor of enlargement.
        trunk: naf, rcan, edsr or srresnet.
        num_features: Channels of all blocks.
        num_groups: Residual groups of rcan; the others have as many blocks as all groups together.
        num_blocks: Blocks in each group.
        reduction: The factor by which rcan's channel attention reduces the channels.
        upsampler: direct, pixel_shuffle, nearest or deconv.
        grid: Where the samples of the input lie: sensor, cells or first, as the data have them.

    Raises:
        ConfigError: If ``trunk`` or ``grid`` is none of these.

    Example:
        >>> Packed(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 4, 8, 8)).shape
        torch.Size([1, 4, 16, 16])
    """

    packed = True

    scale: int = 2
    trunk: Trunk = "naf"
    num_features: int = 48
    num_groups: int = 1
    num_blocks: int = 16
    reduction: int = 16
    upsampler: str = "direct"
    grid: PackedGrid = "sensor"

    def build_net(self) -> nn.Module:
        if self.trunk not in get_args(Trunk):
            raise ConfigError(f"model.trunk={self.trunk}: there are {', '.join(get_args(Trunk))}")
        check_grid(self.grid)
        return PackedNet(self)

    @property
    def looks_everywhere(self) -> bool:  # type: ignore[override]
        """Two of the trunks have attention."""
        return self.trunk in ("naf", "rcan")
