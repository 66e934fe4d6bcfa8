"""VDSR: twenty convolutions predict the detail that the bicubically enlarged picture lacks, at every scale."""

import math
from typing import Any, ClassVar

from torch import Tensor, nn

from sr_lightning.blocks import MeanShift, bicubic, luma
from sr_lightning.errors import ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import MEAN_SHIFT, Layers, Layout, State, mean_of_div2k


class VDSRNet(nn.Module):
    """Bicubic enlargement, plus a residual that convolutions compute from it."""

    def __init__(self, args: "VDSR") -> None:
        super().__init__()
        if args.num_layers < 2:
            raise ValueError(f"num_layers={args.num_layers}: VDSR has at least a first and a last layer")
        if args.mean_shift and args.channels != 3:
            raise ConfigError(f"mean_shift=true: the mean is a colour, and channels={args.channels}; set channels=3")
        self.scale = args.scale
        self.enlarge = bicubic(args.enlargement)
        self.shift = MeanShift(args.value_range) if args.mean_shift else None
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
        x = self.enlarge(lr, self.scale if scale is None else scale)
        x = self.shift(x) if self.shift else x
        # The enlarged picture keeps the input's precision under autocast, and so does the sum.
        sr: Tensor = x + self.body(x)
        return self.shift.undo(sr) if self.shift else sr


def _torchsr(constants: State) -> dict[str, Any]:
    # Without a mean colour these are the names of this library.
    return {"mean_shift": True, "enlargement": "torch", **mean_of_div2k(constants)} if constants else {}


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
        mean_shift: Whether DIV2K's mean colour is subtracted around the network, as EDSR-PyTorch and torchSR do.
        value_range: With ``mean_shift``, the value of white inside; EDSR-PyTorch computes in 0...255.
        enlargement: matlab, or torch as in torchSR, whose bicubic kernel is sharper.

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
        Layout(
            whose="EDSR-PyTorch",
            names={"body.{i}.0": "body.{2i}"},
            arguments={"mean_shift": True},
            constants=MEAN_SHIFT,
            read_constants=mean_of_div2k,
        ),
        Layout(whose="torchSR", names={"body.{i}": "body.{i}"}, constants=MEAN_SHIFT, read_constants=_torchsr),
    )
    untraced: ClassVar = {"value_range": (255.0, 1.0)}

    scale: int = 2
    channels: int = 1
    num_features: int = 64
    num_layers: int = 20
    bias: bool = False
    mean_shift: bool = False
    value_range: float = 255.0
    enlargement: str = "matlab"

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
