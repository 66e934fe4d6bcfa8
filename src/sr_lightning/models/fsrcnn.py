"""FSRCNN: shrinking, mapping and expanding at low resolution, then one deconvolution."""

import math
from typing import Any, ClassVar

from torch import Tensor, nn

from sr_lightning.blocks import luma
from sr_lightning.models.arguments import network
from sr_lightning.models.base import ParameterGroup, SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class FSRCNNNet(nn.Module):
    """FSRCNN(d, s, m) of the paper. Each convolution has its own PReLU."""

    def __init__(self, args: "FSRCNN") -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv(args.channels, args.num_features, 5),
            *_conv(args.num_features, args.num_shrunk, 1),
            *(layer for _ in range(args.num_mapping) for layer in _conv(args.num_shrunk, args.num_shrunk, 3)),
            *_conv(args.num_shrunk, args.num_features, 1),
        )
        # Padding 4 and output padding scale - 1 crop the full deconvolution to exactly scale times the input. The
        # shared deconv has no output padding, which a 9x9 filter needs at even scales.
        self.deconv = nn.ConvTranspose2d(
            args.num_features, args.channels, 9, args.scale, padding=4, output_padding=args.scale - 1
        )
        nn.init.normal_(self.deconv.weight, std=1e-3)
        nn.init.zeros_(self.deconv.bias)  # type: ignore[arg-type]

    def forward(self, lr: Tensor) -> Tensor:
        return self.deconv(self.body(lr))  # type: ignore[no-any-return]


def _conv(in_channels: int, out_channels: int, kernel: int) -> tuple[nn.Conv2d, nn.PReLU]:
    conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2)
    nn.init.normal_(conv.weight, std=math.sqrt(2 / (out_channels * kernel**2)))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv, nn.PReLU(out_channels, init=0.25)


@network
class FSRCNN(SuperResolutionModule):
    """FSRCNN, and FSRCNN-s with (d, s, m) = (32, 5, 1).

    **Paper:** Dong, Loy, Tang, Accelerating the Super-Resolution Convolutional Neural Network, ECCV 2016.
    Here the deconvolution keeps the border, so that the output is exactly ``scale`` times the input.

    Args:
        scale: Whole factor of enlargement.
        channels: 1 for luma, 3 for RGB.
        num_features: d, channels of the low-resolution features.
        num_shrunk: s, channels of the mapping layers.
        num_mapping: m, number of mapping layers.
        deconv_lr: Learning rate of the deconvolution relative to the other layers; the paper's 0.1.

    Example:
        >>> import torch
        >>> FSRCNN(scale=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="FSRCNN-pytorch",
            names={"first_part.{i}": "body.{i}", "mid_part.{i}": "body.{i+2}", "last_part": "deconv"},
        ),
        Layout(
            whose="Lornatang's FSRCNN-PyTorch",
            names={
                "feature_extraction.{i}": "body.{i}",
                "shrink.{i}": "body.{i+2}",
                "map.{i}": "body.{i+4}",
                "expand.0": "body.{2n}",
                "expand.1": "body.{2n+1}",
                "deconv": "deconv",
            },
        ),
    )
    untraced: ClassVar = {"scale": (2, 3, 4)}

    scale: int = 2
    channels: int = 1
    num_features: int = 56
    num_shrunk: int = 12
    num_mapping: int = 4
    deconv_lr: float = 0.1

    def build_net(self) -> nn.Module:
        return luma(FSRCNNNet(self), self.channels, self.scale)

    def parameter_groups(self) -> list[ParameterGroup]:
        return self.slower("deconv", self.deconv_lr)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        convolutions = [i for i in layers.numbers("body.{i}") if i % 2 == 0]
        return {
            "scale": 2,
            "channels": layers.inputs("body.0"),
            "num_features": layers.outputs("body.0"),
            "num_shrunk": layers.outputs("body.2"),
            "num_mapping": len(convolutions) - 3,
        }
