"""MDSR: one body of residual blocks for several scales."""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from sr_lightning.blocks import MeanShift, ResidualBlock, upsampler
from sr_lightning.errors import ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import MEAN_SHIFT, Layers, Layout, mean_colour


class MDSRNet(nn.Module):
    """Head, two 5x5 blocks of the scale, common body, upsampler of the scale, last convolution."""

    def __init__(self, args: "MDSR") -> None:
        super().__init__()
        if args.scale not in args.scales:
            raise ConfigError(
                f"scale={args.scale}: this network has parts for {', '.join(map(str, args.scales))}; add it to scales"
            )
        self.scale = args.scale
        self.shift = MeanShift(args.value_range)
        self.head = nn.Conv2d(3, args.num_features, 3, padding=1)
        self.preparation = nn.ModuleDict(
            {
                str(s): nn.Sequential(*(ResidualBlock(args.num_features, kernel_size=5) for _ in range(2)))
                for s in args.scales
            }
        )
        self.body = nn.Sequential(
            *(
                ResidualBlock(args.num_features, args.res_scale, attention=args.attention)
                for _ in range(args.num_blocks)
            ),
            nn.Conv2d(args.num_features, args.num_features, 3, padding=1),
        )
        self.upsamplers = nn.ModuleDict({str(s): upsampler(args.num_features, s) for s in args.scales})
        self.tail = nn.Conv2d(args.num_features, 3, 3, padding=1)

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        key = str(scale or self.scale)
        if key not in self.upsamplers:
            raise ConfigError(f"MDSR has parts for the scales {', '.join(self.upsamplers)}, none for {key}")
        x = self.preparation[key](self.head(self.shift(lr)))
        return self.shift.undo(self.tail(self.upsamplers[key](self.body(x) + x)))


@network
class MDSR(SuperResolutionModule):
    """MDSR, 80 blocks of 64 features as in the paper; the baseline has 16.

    **Paper:** Lim, Son, Kim, Nah, Lee, Enhanced Deep Residual Networks for Single Image Super-Resolution,
    CVPRW 2017, section 3.3.

    Every scale has its own first blocks and upsampler. A batch uses those of its scale, so the others get no gradient.
    ``fit`` tells this to distributed training.

    Args:
        scale: Used if a batch has no scale.
        scales: Scales that the network has parts for.
        num_features: Channels of all blocks.
        num_blocks: Residual blocks that the scales share.
        res_scale: Factor of each of their residuals.
        value_range: The value of white inside the network; the authors compute in 0...255.
        attention: In the body: none, channel, channel_full, spatial, sa, msa, mpr_sa, mix, or a sum of these.

    Example:
        >>> import torch
        >>> MDSR(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8), scale=4).shape
        torch.Size([1, 3, 32, 32])
    """

    layouts = (
        Layout(
            whose="EDSR-PyTorch",
            names={
                "head.0": "head",
                "pre_process.{i}.{j}.body.{k}": "preparation.{i+2}.{j}.body.{k}",
                "body.{i}.body.{j}": "body.{i}.body.{j}",
                "body.{i}": "body.{i}",
                "upsample.{i}.{j}": "upsamplers.{i+2}.{j}",
                "tail.0": "tail",
            },
            constants=MEAN_SHIFT,
            read_constants=mean_colour,
        ),
    )
    untraced: ClassVar = {"value_range": (255.0, 1.0), "res_scale": (1.0, 0.1)}

    multi_scale: ClassVar[bool] = True

    scale: int = 2
    scales: Sequence[int] = (2, 3, 4)
    num_features: int = 64
    num_blocks: int = 80
    res_scale: float = 1.0
    value_range: float = 255.0
    attention: str = "none"

    def build_net(self) -> nn.Module:
        return MDSRNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        scales = sorted({i for j in (0, 2) for i in range(2, 9) if f"upsamplers.{i}.{j}" in layers})
        return {
            "scale": scales[0],
            "scales": scales,
            "num_features": layers.outputs("head"),
            "num_blocks": layers.count("body.{i}.body.0"),
        }
