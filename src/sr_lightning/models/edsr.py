"""EDSR: residual blocks without normalisation, enlarged by pixel shuffle."""

from typing import Unpack

from torch import Tensor, nn

from sr_lightning.blocks import MeanShift, ResidualBlock, upsampler
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
    ) -> None:
        super().__init__()
        self.shift = MeanShift(value_range)
        self.head = nn.Conv2d(3, num_features, 3, padding=1)
        self.body = nn.Sequential(
            *(ResidualBlock(num_features, res_scale) for _ in range(num_blocks)),
            nn.Conv2d(num_features, num_features, 3, padding=1),
        )
        self.tail = nn.Sequential(upsampler(num_features, scale), nn.Conv2d(num_features, 3, 3, padding=1))

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(self.shift(lr))
        return self.shift.undo(self.tail(self.body(shallow) + shallow))


class EDSR(SuperResolutionModule):
    """EDSR, baseline (16 blocks of 64 features) or as in the paper (32 of 256, residuals x 0.1).

    **Paper:** Lim, Son, Kim, Nah, Lee, Enhanced Deep Residual Networks for Single Image Super-Resolution,
    CVPRW 2017.

    Args:
        scale: 2, 3, 4 or another power of two or three.
        num_features: Channels of all blocks.
        num_blocks: Number of residual blocks.
        res_scale: Factor of each residual.
        value_range: What white is inside the network; the authors compute in 0...255.

    Example:
        >>> import torch
        >>> EDSR(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    def __init__(
        self,
        scale: int = 2,
        num_features: int = 64,
        num_blocks: int = 16,
        res_scale: float = 1.0,
        value_range: float = 255.0,
        **recipe: Unpack[Recipe],
    ) -> None:
        super().__init__(EDSRNet(scale, num_features, num_blocks, res_scale, value_range), scale=scale, **recipe)
