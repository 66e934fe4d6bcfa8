"""MDSR: one body of residual blocks for several scales."""

from collections.abc import Sequence
from typing import ClassVar, Unpack

from torch import Tensor, nn

from sr_lightning.blocks import MeanShift, ResidualBlock, upsampler
from sr_lightning.errors import ConfigError
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.types import Recipe


class MDSRNet(nn.Module):
    """Head, two 5x5 blocks of the scale, common body, upsampler of the scale, last convolution.

    Example:
        >>> import torch
        >>> net = MDSRNet(scale=2, num_features=8, num_blocks=2)
        >>> net(torch.rand(1, 3, 7, 5)).shape, net(torch.rand(1, 3, 7, 5), scale=3).shape
        (torch.Size([1, 3, 14, 10]), torch.Size([1, 3, 21, 15]))
    """

    def __init__(
        self,
        scale: int = 2,
        scales: Sequence[int] = (2, 3, 4),
        num_features: int = 64,
        num_blocks: int = 80,
        res_scale: float = 1.0,
        value_range: float = 255.0,
        attention: str = "none",
    ) -> None:
        super().__init__()
        if scale not in scales:
            raise ConfigError(
                f"scale={scale}: this network has parts for {', '.join(map(str, scales))}; add it to scales"
            )
        self.scale = scale
        self.shift = MeanShift(value_range)
        self.head = nn.Conv2d(3, num_features, 3, padding=1)
        self.preparation = nn.ModuleDict(
            {str(s): nn.Sequential(*(ResidualBlock(num_features, kernel_size=5) for _ in range(2))) for s in scales}
        )
        self.body = nn.Sequential(
            *(ResidualBlock(num_features, res_scale, attention=attention) for _ in range(num_blocks)),
            nn.Conv2d(num_features, num_features, 3, padding=1),
        )
        self.upsamplers = nn.ModuleDict({str(s): upsampler(num_features, s) for s in scales})
        self.tail = nn.Conv2d(num_features, 3, 3, padding=1)

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        key = str(scale or self.scale)
        if key not in self.upsamplers:
            raise ConfigError(f"MDSR has parts for the scales {', '.join(self.upsamplers)}, none for {key}")
        x = self.preparation[key](self.head(self.shift(lr)))
        return self.shift.undo(self.tail(self.upsamplers[key](self.body(x) + x)))


class MDSR(SuperResolutionModule):
    """MDSR, 80 blocks of 64 features as in the paper; the baseline has 16.

    **Paper:** Lim, Son, Kim, Nah, Lee, Enhanced Deep Residual Networks for Single Image Super-Resolution,
    CVPRW 2017, section 3.3.

    Every scale has its own first blocks and upsampler; a batch passes those of its scale, so the others get no
    gradient; ``fit`` tells distributed training so.

    Args:
        scale: The scale where a batch names none.
        scales: All scales that the network has parts for.
        num_features: Channels of all blocks.
        num_blocks: Residual blocks that the scales share.
        res_scale: Factor of each of their residuals.
        value_range: What white is inside the network; the authors compute in 0...255.
        attention: In the body: none, channel, channel_full, spatial, sa, msa, mpr_sa, mix, or a sum of these.

    Example:
        >>> import torch
        >>> MDSR(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8), scale=4).shape
        torch.Size([1, 3, 32, 32])
    """

    multi_scale: ClassVar[bool] = True

    def __init__(
        self,
        scale: int = 2,
        scales: Sequence[int] = (2, 3, 4),
        num_features: int = 64,
        num_blocks: int = 80,
        res_scale: float = 1.0,
        value_range: float = 255.0,
        attention: str = "none",
        **recipe: Unpack[Recipe],
    ) -> None:
        net = MDSRNet(scale, scales, num_features, num_blocks, res_scale, value_range, attention)
        super().__init__(net, scale=scale, **recipe)
