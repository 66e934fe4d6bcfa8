"""DeepResNet: a small network that collects enhancements of the residual block."""

import warnings
from typing import Unpack

from torch import Tensor, nn

from sr_lightning import blocks
from sr_lightning.blocks import ResidualBlock, weight_normed
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.types import Recipe


class DeepResNetNet(nn.Module):
    """Convolution, wide blocks, pixel shuffle, convolution; no long skip and no mean shift.

    Example:
        >>> import torch
        >>> DeepResNetNet(scale=3, num_features=30)(torch.rand(1, 3, 7, 5)).shape
        torch.Size([1, 3, 21, 15])
    """

    def __init__(
        self,
        scale: int = 3,
        num_features: int = 40,
        wide_activation: float = 1.2,
        num_blocks: int = 1,
        res_scale: float = 1.0,
        attention: str = "channel_full",
        norm: str = "batch",
        block: str = "asymmetric",
        upsampler: str = "direct",
    ) -> None:
        super().__init__()
        low, high = round(num_features / wide_activation), round(num_features * wide_activation)
        if 1.2 * low < 3 * scale**2:
            # The authors refuse this, and so their own settings at x4.
            warnings.warn(f"{low} features are few for the {3 * scale**2} values of a x{scale} pixel", stacklevel=2)
        self.head = nn.Conv2d(3, low, 3, padding=1)
        self.body = nn.Sequential(
            *(
                ResidualBlock(low, res_scale, block=block, attention=attention, norm=norm, width=high)
                for _ in range(num_blocks)
            )
        )
        self.tail = nn.Sequential(
            blocks.upsampler(low, scale, upsampler, out_channels=3), nn.Conv2d(3, 3, 3, padding=1)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        # Last: the authors initialise afterwards, which weight normalisation overwrites.
        if "weight" in norm:
            weight_normed(self)

    def forward(self, lr: Tensor) -> Tensor:
        return self.tail(self.body(self.head(lr)))  # type: ignore[no-any-return]


class DeepResNet(SuperResolutionModule):
    """DeepResNet_SR_MultipleEnhancement, at its trainer's settings.

    **Source:** the open project of that name; there is no paper. Wide activation, asymmetric convolution, channel
    attention without reduction and a normalisation are all in the blocks, and each can be turned off.

    Args:
        scale: Any whole factor of enlargement.
        num_features: Between the number of channels that blocks pass on and the number inside them.
        wide_activation: Blocks pass on ``num_features`` divided by this, and have as many times it inside.
        num_blocks: Number of blocks.
        res_scale: Factor of each residual.
        attention: On every residual: none, channel, channel_full, spatial, sa, msa, mpr_sa, mix, or a sum of these.
        norm: none, batch, instance or weight; batch+weight is both.
        block: asymmetric, or residual without the decomposition; wide_b.
        upsampler: direct, pixel_shuffle, nearest or deconv.

    Example:
        >>> import torch
        >>> DeepResNet(scale=3)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 24, 24])
    """

    def __init__(
        self,
        scale: int = 3,
        num_features: int = 40,
        wide_activation: float = 1.2,
        num_blocks: int = 1,
        res_scale: float = 1.0,
        attention: str = "channel_full",
        norm: str = "batch",
        block: str = "asymmetric",
        upsampler: str = "direct",
        **recipe: Unpack[Recipe],
    ) -> None:
        net = DeepResNetNet(
            scale, num_features, wide_activation, num_blocks, res_scale, attention, norm, block, upsampler
        )
        super().__init__(net, scale=scale, **recipe)
