"""PAN: attention for every single feature of every pixel, in the blocks and in the upsampler."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import PixelAttention, prime_factors
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout

SLOPE = 0.2  # of every leaky ReLU


class SelfCalibratedBlock(nn.Module):
    """Two halves side by side, one of them with pixel attention in its middle (the paper's SCPA).

    Example:
        >>> SelfCalibratedBlock(8)(torch.rand(1, 8, 4, 5)).shape
        torch.Size([1, 8, 4, 5])
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        half = num_features // 2

        def conv(in_channels: int, out_channels: int, size: int) -> nn.Conv2d:
            return nn.Conv2d(in_channels, out_channels, size, padding=size // 2, bias=False)

        self.plain_in = conv(num_features, half, 1)
        self.plain = conv(half, half, 3)
        self.calibrated_in = conv(num_features, half, 1)
        self.gate = nn.Conv2d(half, half, 1)
        self.gated = conv(half, half, 3)
        self.calibrated = conv(half, half, 3)
        self.fuse = conv(2 * half, num_features, 1)
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        a = self.activation(self.plain(self.activation(self.plain_in(x))))
        b = self.activation(self.calibrated_in(x))
        b = self.activation(self.calibrated(self.gated(b) * self.gate(b).sigmoid()))
        return x + self.fuse(torch.cat([a, b], dim=1))  # type: ignore[no-any-return]


class UpsamplingBlock(nn.Module):
    """Repeats pixels ``factor`` times each way, then two convolutions with pixel attention between them.

    The shared ``upsampler`` has one convolution for each step, and so no place for the attention.

    Example:
        >>> UpsamplingBlock(8, 4, factor=3)(torch.rand(1, 8, 4, 5)).shape
        torch.Size([1, 4, 12, 15])
    """

    def __init__(self, in_channels: int, num_features: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, num_features, 3, padding=1),
            PixelAttention(num_features),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(num_features, num_features, 3, padding=1),
            nn.LeakyReLU(SLOPE),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(F.interpolate(x, scale_factor=self.factor))  # type: ignore[no-any-return]


class PANNet(nn.Module):
    """Head, blocks with one long skip and an upsampling block for each step; their result is added to bilinear SR."""

    def __init__(self, args: "PAN") -> None:
        super().__init__()
        self.scale = args.scale
        self.head = nn.Conv2d(3, args.num_features, 3, padding=1)
        self.body = nn.Sequential(*(SelfCalibratedBlock(args.num_features) for _ in range(args.num_blocks)))
        self.body_last = nn.Conv2d(args.num_features, args.num_features, 3, padding=1)
        widths = [args.num_features, *[args.up_features] * len(prime_factors(args.scale))]
        steps = zip(widths, prime_factors(args.scale), strict=False)
        self.upsampler = nn.Sequential(*(UpsamplingBlock(width, args.up_features, factor) for width, factor in steps))
        self.tail = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr)
        deep = self.body_last(self.body(shallow))
        base = F.interpolate(lr, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return base + self.tail(self.upsampler(shallow + deep))  # type: ignore[no-any-return]


@network
class PAN(SuperResolutionModule):
    """PAN, the pixel attention network.

    **Paper:** Zhao, Kong, He, Qiao, Dong, Efficient Image Super-Resolution Using Pixel Attention, ECCVW 2020.
    The authors' weights load with ``weights=FILE``.

    Args:
        scale: Whole factor of enlargement, gradual by its prime factors.
        num_features: Channels of the blocks.
        up_features: Channels of the upsampler.
        num_blocks: Number of blocks.

    Example:
        >>> import torch
        >>> PAN(scale=2, num_features=8, up_features=4, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="PAN",
            names={
                "conv_first": "head",
                "SCPA_trunk.{i}.conv1_a": "body.{i}.plain_in",
                "SCPA_trunk.{i}.k1.0": "body.{i}.plain",
                "SCPA_trunk.{i}.conv1_b": "body.{i}.calibrated_in",
                "SCPA_trunk.{i}.PAConv.k2": "body.{i}.gate",
                "SCPA_trunk.{i}.PAConv.k3": "body.{i}.gated",
                "SCPA_trunk.{i}.PAConv.k4": "body.{i}.calibrated",
                "SCPA_trunk.{i}.conv3": "body.{i}.fuse",
                "trunk_conv": "body_last",
                "upconv{i}": "upsampler.{i-1}.body.0",
                "att{i}.conv": "upsampler.{i-1}.body.1.gate",
                "HRconv{i}": "upsampler.{i-1}.body.3",
                "conv_last": "tail",
            },
        ),
    )
    untraced: ClassVar = {"scale": (2, 3)}

    scale: int = 4
    num_features: int = 40
    up_features: int = 24
    num_blocks: int = 16

    def build_net(self) -> nn.Module:
        return PANNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": 4 if layers.count("upsampler.{i}.body.0") == 2 else 2,  # x3 has the same shapes as x2
            "num_features": layers.outputs("head"),
            "up_features": layers.outputs("upsampler.0.body.0"),
            "num_blocks": layers.count("body.{i}.fuse"),
        }
