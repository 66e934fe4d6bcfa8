"""SRResNet: the residual network before EDSR, with normalisation."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal, get_args

from torch import Tensor, nn

from sr_lightning.blocks import PackedRaw, ResidualBlock, Standardize, normalization, upsampler
from sr_lightning.errors import ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout

BASELINE = {
    "conv_input": "head.0",
    "residual.{i}.conv1": "body.{i}.body.0",
    "residual.{i}.in1": "body.{i}.body.1",
    "residual.{i}.conv2": "body.{i}.body.3",
    "residual.{i}.in2": "body.{i}.body.4",
    "conv_mid": "body.{n}",
    "bn_mid": "body.{n+1}",
    "conv_output": "tail.1",
}
LAYOUTS = (
    Layout(whose="SRNet-zoom", names={**BASELINE, "upscale.{i}": "tail.0.{i}"}, arguments={"value_range": 255.0}),
    Layout(
        whose="pytorch-SRResNet",
        names={**BASELINE, "upscale4x.{i}": "tail.0.{i}"},
        arguments={"upsampler_activation": True},
    ),
    Layout(
        whose="SRGAN-PyTorch",
        names={
            "conv1.{i}": "head.{i}",
            "trunk.{i}.rcb.{j}": "body.{i}.body.{j}",
            "conv2.0": "body.{n}",
            "conv2.1": "body.{n+1}",
            "upsampling.{i}.upsample_block.0": "tail.0.{3i}",
            "upsampling.{i}.upsample_block.2": "tail.0.{3i+2}",
            "conv3": "tail.1",
        },
        arguments={"upsampler_activation": True},
    ),
    Layout(
        whose="leftthomas's SRGAN",
        names={
            "block1.{i}": "head.{i}",
            "block{i}.conv1": "body.{i-2}.body.0",
            "block{i}.bn1": "body.{i-2}.body.1",
            "block{i}.prelu": "body.{i-2}.body.2",
            "block{i}.conv2": "body.{i-2}.body.3",
            "block{i}.bn2": "body.{i-2}.body.4",
            "block7.{i}": "body.{i+5}",
            "block8.{i}.conv": "tail.0.{3i}",
            "block8.{i}.prelu": "tail.0.{3i+2}",
            "block8.{i}": "tail.1",
        },
        arguments={"upsampler_activation": True, "output": "tanh"},
    ),
    Layout(
        whose="sgrvinod's tutorial",
        names={
            "conv_block1.conv_block.{i}": "head.{i}",
            "residual_blocks.{i}.conv_block1.conv_block.{j}": "body.{i}.body.{j}",
            "residual_blocks.{i}.conv_block2.conv_block.{j}": "body.{i}.body.{j+3}",
            "conv_block2.conv_block.0": "body.{n}",
            "conv_block2.conv_block.1": "body.{n+1}",
            "subpixel_convolutional_blocks.{i}.conv": "tail.0.{3i}",
            "subpixel_convolutional_blocks.{i}.prelu": "tail.0.{3i+2}",
            "conv_block3.conv_block.0": "tail.1",
        },
        arguments={"upsampler_activation": True, "output": "tanh", "standardized": True},
    ),
)

Bias = Literal["all", "unnormalised", "upsampler", "none"]

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky_relu": partial(nn.LeakyReLU, 0.2, inplace=True),
    "prelu": nn.PReLU,
}


class SRResNetNet(nn.Module):
    """9x9 convolution, normalised residual blocks within one long skip, pixel shuffles, 9x9 convolution."""

    def __init__(self, args: "SRResNet") -> None:
        super().__init__()
        if args.activation not in ACTIVATIONS:
            raise ConfigError(f"activation={args.activation}: there are {' and '.join(ACTIVATIONS)}")
        if args.bias not in get_args(Bias):
            raise ConfigError(f"bias={args.bias}: must be one of {', '.join(get_args(Bias))}")
        if args.output not in ("linear", "tanh"):
            raise ConfigError(f"output={args.output}: there are linear and tanh")
        act = ACTIVATIONS[args.activation]
        width, raw, self.value_range = args.num_features, args.input == "raw", args.value_range
        self.standardize, self.tanh = Standardize() if args.standardized else None, args.output == "tanh"
        self.head = nn.Sequential(nn.Conv2d(4 if raw else 3, width, 9, padding=4), act())
        self.body = nn.Sequential(
            *(ResidualBlock(width, norm=args.norm, activation=act) for _ in range(args.num_blocks)),
            nn.Conv2d(width, width, 3, padding=1),
            *normalization(args.norm, width),
        )
        # A packed mosaic has half the size of the mosaic.
        scale = 2 * args.scale if raw else args.scale
        shuffles = upsampler(width, scale, activation=act if args.upsampler_activation else None)
        self.tail = nn.Sequential(shuffles, nn.Conv2d(width, 3, 9, padding=4))
        without: dict[str, list[nn.Module]] = {
            "all": [],
            "unnormalised": [self.body] if args.norm != "none" else [],
            "upsampler": [self.head, self.body, self.tail[1]],
            "none": [self],
        }
        for part in without[args.bias]:
            _drop_biases(part)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(self.standardize(lr) if self.standardize else lr * self.value_range)
        sr: Tensor = self.tail(self.body(shallow) + shallow)
        return (sr.tanh() + 1) / 2 if self.tanh else sr / self.value_range


def _drop_biases(part: nn.Module) -> None:
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_parameter("bias", None)


@network
class SRResNet(SuperResolutionModule):
    """SRResNet as the SRNet authors compare with it.

    That of the paper: ``norm=batch activation=prelu bias=all upsampler_activation=true``.

    **Paper:** Ledig et al., Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network,
    CVPR 2017. The variant of the SRNet authors (selous123/SRNet-zoom-pytorch) has instance normalisation, LeakyReLU
    0.2, none after the shuffles, and biases in the shuffles alone. The statistics of instance normalisation cover the
    whole input, so the result of a tile differs from the same part of the whole picture's result.

    Args:
        scale: Whole factor of enlargement, gradual by its prime factors.
        num_features: Channels of all blocks.
        num_blocks: Number of residual blocks.
        norm: instance, batch or none.
        activation: leaky_relu or prelu.
        bias: Which convolutions have biases: all, those that no normalisation follows (unnormalised), those of the
            upsampler, or none.
        upsampler_activation: Whether an activation follows each shuffle.
        value_range: The value of white inside. Normalisation makes it matter to weights from elsewhere only.
        standardized: Whether the input is standardised by ImageNet's mean colour and deviation, instead of a range.
        output: linear, or tanh from -1...1 to the picture's range.
        input: rgb or raw. With raw, the input is a packed mosaic of four channels, and white balance is the last step.

    Example:
        >>> import torch
        >>> SRResNet(scale=4, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 32, 32])
    """

    layouts = LAYOUTS
    untraced: ClassVar = {"value_range": (1.0, 255.0)}

    earlier_defaults: ClassVar = {"bias": "all", "upsampler_activation": True}

    scale: int = 4
    num_features: int = 64
    num_blocks: int = 16
    norm: str = "instance"
    activation: Literal["leaky_relu", "prelu"] = "leaky_relu"
    bias: Bias = "upsampler"
    upsampler_activation: bool = False
    value_range: float = 1.0
    standardized: bool = False
    output: Literal["linear", "tanh"] = "linear"
    input: Literal["rgb", "raw"] = "rgb"

    def build_net(self) -> nn.Module:
        if self.input not in ("rgb", "raw"):
            raise ConfigError(f"input={self.input}: there are rgb and raw")
        if self.standardized and self.input == "raw":
            raise ConfigError("standardized=true is for colours; set input=rgb, or standardized=false")
        if self.input == "rgb":
            return SRResNetNet(self)
        self.inputs = ("raw", "white_balance")  # type: ignore[misc]  # of all other networks a class variable
        return PackedRaw(SRResNetNet(self), self.scale)

    @property
    def looks_everywhere(self) -> bool:  # type: ignore[override]
        """The statistics of instance normalisation are those of the picture."""
        return self.norm == "instance"

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        raw = layers.inputs("head.0") == 4
        steps = [i for i in layers.numbers("tail.0.{i}") if len(layers.shape(f"tail.0.{i}")) == 4]
        scale = math.prod(math.isqrt(layers.outputs(f"tail.0.{i}") // layers.inputs(f"tail.0.{i}")) for i in steps)
        normalised = "body.0.body.4" in layers
        biased = tuple(layers.has_bias(part) for part in ("head.0", "body.0.body.0", "tail.0.0"))
        biases: dict[tuple[bool, ...], Bias] = {(True, True, True): "all", (True, False, True): "unnormalised"}
        prelu = "head.1" in layers
        return {
            "scale": scale // 2 if raw else scale,
            "num_features": layers.outputs("head.0"),
            "num_blocks": layers.count("body.{i}.body.0"),
            "norm": ("batch" if "body.0.body.1.running_mean" in layers else "instance") if normalised else "none",
            "activation": "prelu" if prelu else "leaky_relu",
            "bias": biases.get(biased, "upsampler" if biased[2] else "none"),
            "upsampler_activation": "tail.0.2" in layers if prelu and len(steps) == 1 else "tail.0.3" in layers,
            "input": "raw" if raw else "rgb",
        }
