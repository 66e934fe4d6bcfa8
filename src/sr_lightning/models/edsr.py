"""EDSR: residual blocks without normalisation, enlarged by pixel shuffle."""

from typing import Literal, Unpack

from torch import Tensor, nn

from sr_lightning import blocks
from sr_lightning.blocks import MeanShift, PackedRaw, ResidualBlock, weight_normed
from sr_lightning.errors import ConfigError
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.types import Recipe


class EDSRNet(nn.Module):
    """Head, ``num_blocks`` residual blocks with one long skip, upsampler and last convolution.

    Example:
        >>> import torch
        >>> EDSRNet(scale=3, num_features=8, num_blocks=2)(torch.rand(1, 3, 7, 5)).shape
        torch.Size([1, 3, 21, 15])
    """

    def __init__(
        self,
        scale: int = 2,
        num_features: int = 64,
        num_blocks: int = 16,
        res_scale: float = 1.0,
        value_range: float = 255.0,
        attention: str = "none",
        norm: str = "none",
        block: str = "residual",
        upsampler: str = "pixel_shuffle",
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.shift = MeanShift(value_range) if in_channels == 3 else None
        self.head = nn.Conv2d(in_channels, num_features, 3, padding=1)
        self.body = nn.Sequential(
            *(
                ResidualBlock(num_features, res_scale, block=block, attention=attention, norm=norm)
                for _ in range(num_blocks)
            ),
            nn.Conv2d(num_features, num_features, 3, padding=1),
        )
        self.tail = nn.Sequential(
            blocks.upsampler(num_features, scale, upsampler), nn.Conv2d(num_features, 3, 3, padding=1)
        )
        if "weight" in norm:
            weight_normed(self)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(self.shift(lr) if self.shift else lr)
        sr: Tensor = self.tail(self.body(shallow) + shallow)
        return self.shift.undo(sr) if self.shift else sr


class EDSR(SuperResolutionModule):
    """EDSR, baseline (16 blocks of 64 features) or as in the paper (32 of 256, residuals x 0.1).

    **Paper:** Lim, Son, Kim, Nah, Lee, Enhanced Deep Residual Networks for Single Image Super-Resolution,
    CVPRW 2017.

    Args:
        scale: Whole factor of enlargement, gradual by its prime factors.
        num_features: Channels of all blocks.
        num_blocks: Number of residual blocks.
        res_scale: Factor of each residual.
        value_range: What white is inside the network; the authors compute in 0...255.
        attention: On every residual: none, channel, channel_full, spatial, sa, msa, mpr_sa, mix, or a sum of these.
        norm: none, batch, instance or weight.
        block: residual, wide_a, wide_b or asymmetric.
        upsampler: pixel_shuffle, direct, nearest or deconv.
        input: rgb, or raw: a packed mosaic of four channels without mean shift, so that ``value_range`` plays no part,
            and white balance at the end, as the authors of SRNet have it.

    Example:
        >>> import torch
        >>> EDSR(scale=2, num_features=8, num_blocks=2, attention="mix")(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    def __init__(
        self,
        scale: int = 2,
        num_features: int = 64,
        num_blocks: int = 16,
        res_scale: float = 1.0,
        value_range: float = 255.0,
        attention: str = "none",
        norm: str = "none",
        block: str = "residual",
        upsampler: str = "pixel_shuffle",
        input: Literal["rgb", "raw"] = "rgb",
        **recipe: Unpack[Recipe],
    ) -> None:
        if input not in ("rgb", "raw"):
            raise ConfigError(f"input={input}: there are rgb and raw")
        raw = input == "raw"
        net: nn.Module = EDSRNet(
            scale * (1 + raw), num_features, num_blocks, res_scale, value_range, attention, norm, block, upsampler,
            in_channels=4 if raw else 3,
        )  # fmt: skip
        super().__init__(PackedRaw(net, scale) if raw else net, scale=scale, **recipe)
        if raw:
            self.inputs = ("raw", "white_balance")  # type: ignore[misc]  # a class variable, but for this choice
