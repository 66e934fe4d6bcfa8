"""DeepResNet: a small network whose residual block combines several enhancements."""

import warnings

from torch import Tensor, nn

from sr_lightning import blocks
from sr_lightning.blocks import ResidualBlock, weight_normed
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule


class DeepResNetNet(nn.Module):
    """Convolution, wide blocks, pixel shuffle, convolution; no long skip and no mean shift."""

    def __init__(self, args: "DeepResNet") -> None:
        super().__init__()
        low, high = round(args.num_features / args.wide_activation), round(args.num_features * args.wide_activation)
        if 1.2 * low < 3 * args.scale**2:
            # The authors refuse this, and so their own settings at x4.
            warnings.warn(
                f"{low} features are few for the {3 * args.scale**2} values of a x{args.scale} pixel", stacklevel=2
            )
        self.head = nn.Conv2d(3, low, 3, padding=1)
        self.body = nn.Sequential(
            *(
                ResidualBlock(
                    low, args.res_scale, block=args.block, attention=args.attention, norm=args.norm, width=high
                )
                for _ in range(args.num_blocks)
            )
        )
        self.tail = nn.Sequential(
            blocks.upsampler(low, args.scale, args.upsampler, out_channels=3), nn.Conv2d(3, 3, 3, padding=1)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        # This comes last, because weight normalisation would undo an initialisation afterwards.
        if "weight" in args.norm:
            weight_normed(self)

    def forward(self, lr: Tensor) -> Tensor:
        return self.tail(self.body(self.head(lr)))  # type: ignore[no-any-return]


@network
class DeepResNet(SuperResolutionModule):
    """DeepResNet_SR_MultipleEnhancement, at its trainer's settings.

    **Source:** the open project of that name; there is no paper. Its blocks have wide activation, asymmetric
    convolution, channel attention without reduction and a normalisation. An argument turns off each of them.

    Args:
        scale: Whole factor of enlargement.
        num_features: Geometric mean of the channels between the blocks and at their activations.
        wide_activation: Blocks have ``num_features`` divided by this between them, and multiplied by it inside.
        num_blocks: Number of blocks.
        res_scale: Factor of each residual.
        attention: On every residual: none, channel, channel_full, spatial, sa, msa, mpr_sa, mix, or a sum of these.
        norm: none, batch, instance or weight; batch+weight is both.
        block: asymmetric, or residual without the decomposition; wide_b or dca.
        upsampler: direct, pixel_shuffle, nearest or deconv.

    Example:
        >>> import torch
        >>> DeepResNet(scale=3)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 24, 24])
    """

    scale: int = 3
    num_features: int = 40
    wide_activation: float = 1.2
    num_blocks: int = 1
    res_scale: float = 1.0
    attention: str = "channel_full"
    norm: str = "batch"
    block: str = "asymmetric"
    upsampler: str = "direct"

    def build_net(self) -> nn.Module:
        return DeepResNetNet(self)
