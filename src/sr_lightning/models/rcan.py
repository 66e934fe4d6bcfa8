"""RCAN: residual groups of residual blocks, each with channel attention."""

from functools import partial

from torch import Tensor, nn

from sr_lightning import blocks
from sr_lightning.blocks import MeanShift, ResidualBlock, weight_normed
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule


class ResidualGroup(nn.Module):
    """Blocks, one convolution and a skip around them; paper eq. 9.

    Example:
        >>> import torch
        >>> ResidualGroup(nn.Identity(), num_features=8)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 8, 4, 4])
    """

    def __init__(self, *members: nn.Module, num_features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*members, nn.Conv2d(num_features, num_features, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)  # type: ignore[no-any-return]


class RCANNet(nn.Module):
    """Head, residual groups within one long skip, upsampler and last convolution."""

    def __init__(self, args: "RCAN") -> None:
        super().__init__()
        self.shift = MeanShift(args.value_range)
        self.head = nn.Conv2d(3, args.num_features, 3, padding=1)
        member = partial(
            ResidualBlock,
            args.num_features,
            args.res_scale,
            block=args.block,
            attention=args.attention,
            norm=args.norm,
            reduction=args.reduction,
        )
        groups = (
            ResidualGroup(*(member() for _ in range(args.num_blocks)), num_features=args.num_features)
            for _ in range(args.num_groups)
        )
        self.body = ResidualGroup(*groups, num_features=args.num_features)
        self.tail = nn.Sequential(
            blocks.upsampler(args.num_features, args.scale, args.upsampler),
            nn.Conv2d(args.num_features, 3, 3, padding=1),
        )
        if "weight" in args.norm:
            weight_normed(self)

    def forward(self, lr: Tensor) -> Tensor:
        return self.shift.undo(self.tail(self.body(self.head(self.shift(lr)))))


@network
class RCAN(SuperResolutionModule):
    """RCAN, 10 groups of 20 blocks; the SRNet authors compare with 10 of 16.

    **Paper:** Zhang, Li, Li, Wang, Zhong, Fu, Image Super-Resolution Using Very Deep Residual Channel Attention
    Networks, ECCV 2018.

    Args:
        scale: Whole factor of enlargement, gradual by its prime factors.
        num_features: Channels of all blocks.
        num_groups: G, residual groups.
        num_blocks: B, blocks in each group.
        reduction: r, the factor by which channel attention reduces the channels.
        res_scale: Factor of each block's residual.
        value_range: The value of white inside the network; the authors compute in 0...255.
        attention: On every residual: none, channel, channel_full, spatial, sa, msa, mpr_sa, mix, or a sum of these.
        norm: none, batch, instance or weight.
        block: residual, wide_a, wide_b, asymmetric or dca.
        upsampler: pixel_shuffle, direct, nearest or deconv.

    Example:
        >>> import torch
        >>> RCAN(scale=2, num_features=8, num_groups=2, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    scale: int = 2
    num_features: int = 64
    num_groups: int = 10
    num_blocks: int = 20
    reduction: int = 16
    res_scale: float = 1.0
    value_range: float = 255.0
    attention: str = "channel"
    norm: str = "none"
    block: str = "residual"
    upsampler: str = "pixel_shuffle"

    def build_net(self) -> nn.Module:
        return RCANNet(self)
