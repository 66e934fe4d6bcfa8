"""VDSR: twenty convolutions predict the detail that the bicubically enlarged picture lacks, at every scale."""

import math
from typing import Any

from torch import Tensor, nn

from sr_lightning.blocks import luma
from sr_lightning.functional import imresize
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class VDSRNet(nn.Module):
    """Bicubic enlargement, plus a residual that convolutions compute from it."""

    def __init__(self, args: "VDSR") -> None:
        super().__init__()
        if args.num_layers < 2:
            raise ValueError(f"num_layers={args.num_layers}: VDSR has at least a first and a last layer")
        self.scale = args.scale
        widths = [args.channels, *[args.num_features] * (args.num_layers - 1), args.channels]
        layers: list[nn.Module] = []
        for i in range(args.num_layers):
            conv = nn.Conv2d(widths[i], widths[i + 1], 3, padding=1, bias=args.bias)
            nn.init.normal_(conv.weight, std=math.sqrt(2 / (9 * conv.out_channels)))
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
            layers += [conv, nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers[:-1])

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        x = imresize(lr, self.scale if scale is None else scale)
        # The enlarged picture keeps the input's precision under autocast, and so does the sum.
        return x + self.body(x)  # type: ignore[no-any-return]


@network
class VDSR(SuperResolutionModule):
    """VDSR, one network for several scales.

    **Paper:** Kim, Lee, Lee, Accurate Image Super-Resolution Using Very Deep Convolutional Networks, CVPR 2016.
    Without biases, as in the best-known weights, it has the 665 thousand parameters that are usually quoted.

    Args:
        scale: Whole factor of enlargement; ``forward`` takes others too.
        channels: 1 for luma, 3 for RGB.
        num_features: Channels of the hidden layers.
        num_layers: Number of convolutions, the first and the last included.
        bias: Whether the convolutions have biases.

    Example:
        >>> import torch
        >>> VDSR(scale=2, num_features=8, num_layers=3)(torch.rand(1, 3, 8, 8), scale=4).shape
        torch.Size([1, 3, 32, 32])
    """

    multi_scale = True
    enlarges_first = True
    layouts = (
        Layout(
            whose="pytorch-vdsr",
            names={"input": "body.0", "residual_layer.{i}.conv": "body.{2i+2}", "output": "body.{2n}"},
        ),
        Layout(
            whose="Lornatang's VDSR-PyTorch",
            names={"conv1.0": "body.0", "trunk.{i}.conv": "body.{2i+2}", "conv2": "body.{2n}"},
        ),
        Layout(
            whose="icpm's super-resolution",
            names={"input_conv.0": "body.0", "residual_layers.{i}.0": "body.{2i+2}", "output_conv": "body.{2n}"},
        ),
    )

    scale: int = 2
    channels: int = 1
    num_features: int = 64
    num_layers: int = 20
    bias: bool = False

    def build_net(self) -> nn.Module:
        return luma(VDSRNet(self), self.channels, self.scale)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": 2,
            "channels": layers.inputs("body.0"),
            "num_features": layers.outputs("body.0"),
            "num_layers": layers.count("body.{i}"),
            "bias": layers.has_bias("body.0"),
        }
