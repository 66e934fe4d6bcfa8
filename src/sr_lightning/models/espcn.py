"""ESPCN: three convolutions at low resolution and one pixel shuffle."""

import math
from typing import Any, Literal

from torch import Tensor, nn

from sr_lightning.blocks import luma, pixel_shuffle
from sr_lightning.errors import ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import ParameterGroup, SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class ESPCNNet(nn.Module):
    """Feature maps with tanh, then the sub-pixel convolution."""

    def __init__(self, args: "ESPCN") -> None:
        super().__init__()
        if args.output not in ("linear", "sigmoid"):
            raise ConfigError(f"output={args.output}: there are linear and sigmoid")
        half = args.num_features // 2
        self.body = nn.Sequential(
            nn.Conv2d(args.channels, args.num_features, 5, padding=2),
            nn.Tanh(),
            nn.Conv2d(args.num_features, half, 3, padding=1),
            nn.Tanh(),
        )
        self.upsampler = pixel_shuffle(half, args.channels, args.scale)
        self.sigmoid = args.output == "sigmoid"
        for conv in (module for module in self.modules() if isinstance(module, nn.Conv2d)):
            last = conv is self.upsampler[0]
            std = 1e-3 if last else math.sqrt(2 / (conv.out_channels * conv.kernel_size[0] ** 2))
            nn.init.normal_(conv.weight, std=std)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, lr: Tensor) -> Tensor:
        sr: Tensor = self.upsampler(self.body(lr))
        return sr.sigmoid() if self.sigmoid else sr


@network
class ESPCN(SuperResolutionModule):
    """ESPCN 5-3-3 with tanh.

    **Paper:** Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network, CVPR 2016.

    Args:
        scale: Whole factor of enlargement.
        channels: 1 for luma, 3 for RGB.
        num_features: Filters of the first layer; the second has half as many.
        output: linear, or sigmoid as in leftthomas's port.
        last_layer_lr: Learning rate of the last layer relative to the others; the paper's 0.1.

    Example:
        >>> import torch
        >>> ESPCN(scale=3)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 24, 24])
    """

    layouts = (
        Layout(
            whose="ESPCN-pytorch",
            names={"first_part.{i}": "body.{i}", "last_part.{i}": "upsampler.{i}"},
        ),
        Layout(
            whose="Lornatang's ESPCN-PyTorch",
            names={"feature_maps.{i}": "body.{i}", "sub_pixel.0": "upsampler.0"},
        ),
        Layout(
            whose="leftthomas's ESPCN",
            names={"conv1": "body.0", "conv2": "body.2", "conv3": "upsampler.0"},
            arguments={"output": "sigmoid"},
        ),
    )

    scale: int = 2
    channels: int = 1
    num_features: int = 64
    output: Literal["linear", "sigmoid"] = "linear"
    last_layer_lr: float = 0.1

    def build_net(self) -> nn.Module:
        return luma(ESPCNNet(self), self.channels, self.scale)

    def parameter_groups(self) -> list[ParameterGroup]:
        return self.slower("upsampler", self.last_layer_lr)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        channels = layers.inputs("body.0")
        return {
            "scale": layers.shuffled("upsampler.0", channels),
            "channels": channels,
            "num_features": layers.outputs("body.0"),
        }
