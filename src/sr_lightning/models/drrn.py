"""DRRN: residual units of shared weights inside recursive blocks, on the bicubically enlarged picture."""

from typing import Any, ClassVar

from torch import Tensor, nn

from sr_lightning.blocks import luma
from sr_lightning.errors import ConfigError
from sr_lightning.functional import imresize
from sr_lightning.models.arguments import network
from sr_lightning.models.base import ParameterGroup, SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class RecursiveBlock(nn.Module):
    """One convolution, then the same two ``num_units`` times. The output of the first is added each time.

    Each activation comes before its convolution. With batch normalisation every position of the unfolded block has its
    own statistics, although the positions share the convolutions.
    """

    def __init__(
        self, in_channels: int, num_features: int, num_units: int, batch_norm: bool, bias: bool, in_place: bool
    ) -> None:
        super().__init__()
        self.num_units, self.in_place = num_units, in_place
        self.first = _conv(in_channels, num_features, bias)
        self.conv_a = _conv(num_features, num_features, bias)
        self.conv_b = _conv(num_features, num_features, bias)
        self.first_act = _activation(in_channels, batch_norm)
        self.acts = nn.ModuleList(_activation(num_features, batch_norm) for _ in range(2 * num_units))

    def forward(self, x: Tensor) -> Tensor:
        first: Tensor = self.first(self.first_act(x))
        x = first = first.relu() if self.in_place else first
        for act_a, act_b in zip(self.acts[::2], self.acts[1::2], strict=True):
            x = first + self.conv_b(act_b(self.conv_a(act_a(x))))
        return x


class DRRNNet(nn.Module):
    """Bicubic enlargement, plus a residual that recursive blocks and a last convolution compute from it."""

    def __init__(self, args: "DRRN") -> None:
        super().__init__()
        if args.in_place and args.batch_norm:
            raise ConfigError("in_place=true: there the ReLU overwrites a normalised copy; set batch_norm=false")
        self.scale, self.in_place = args.scale, args.in_place
        self.body = nn.Sequential(
            *(
                RecursiveBlock(
                    args.num_features if i else args.channels,
                    args.num_features,
                    args.num_units,
                    args.batch_norm,
                    args.bias,
                    args.in_place,
                )
                for i in range(args.num_blocks)
            ),
            _activation(args.num_features, args.batch_norm),
            _conv(args.num_features, args.channels, args.bias),
        )

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        x = imresize(lr, self.scale if scale is None else scale)
        x = x.relu() if self.in_place else x
        # The enlarged picture keeps the input's precision under autocast, and so does the sum.
        return x + self.body(x)  # type: ignore[no-any-return]


def _conv(in_channels: int, out_channels: int, bias: bool) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def _activation(channels: int, batch_norm: bool) -> nn.Sequential:
    # Never in place: what is activated is also the identity branch.
    return nn.Sequential(*([nn.BatchNorm2d(channels)] if batch_norm else []), nn.ReLU())


@network
class DRRN(SuperResolutionModule):
    """DRRN B1U9 and B1U25, one network for several scales.

    **Paper:** Tai, Yang, Liu, Image Super-Resolution via Deep Recursive Residual Network, CVPR 2017.
    The authors normalise before every ReLU and have biases; without both, as here by default, the network reaches
    the same quality and has the 297 thousand parameters of the paper.

    Args:
        scale: Whole factor of enlargement; ``forward`` takes others too.
        channels: 1 for luma, 3 for RGB.
        num_features: Channels of the hidden layers.
        num_blocks: B, recursive blocks, which share no weights.
        num_units: U, number of times that the residual unit of a block is applied.
        batch_norm: Whether every ReLU follows a normalisation, with separate statistics at every position.
        bias: Whether the convolutions have biases.
        in_place: Whether every ReLU overwrites its input, as in the usual PyTorch ports. The identity branch then adds
            the ReLU of the first convolution, and the end the ReLU of the enlarged picture. Not with ``batch_norm``.
        bias_lr: Learning rate of these biases relative to the weights; the authors' 0.1.

    Example:
        >>> import torch
        >>> DRRN(scale=2, num_features=8, num_units=2)(torch.rand(1, 3, 8, 8), scale=4).shape
        torch.Size([1, 3, 32, 32])
    """

    layouts = (
        Layout(
            whose="DRRN-pytorch",
            names={"input": "body.0.first", "conv1": "body.0.conv_a", "conv2": "body.0.conv_b", "output": "body.2"},
            arguments={"in_place": True},
        ),
        Layout(
            whose="Lornatang's DRRN-PyTorch",
            names={
                "conv1.1": "body.0.first",
                "trunk.residual_unit.1": "body.0.conv_a",
                "trunk.residual_unit.3": "body.0.conv_b",
                "conv2.1": "body.2",
            },
            arguments={"in_place": True},
        ),
    )
    untraced: ClassVar = {"num_units": (9, 25)}

    multi_scale = True
    enlarges_first = True

    scale: int = 2
    channels: int = 1
    num_features: int = 128
    num_blocks: int = 1
    num_units: int = 9
    batch_norm: bool = False
    bias: bool = False
    in_place: bool = False
    bias_lr: float = 0.1

    def build_net(self) -> nn.Module:
        return luma(DRRNNet(self), self.channels, self.scale)

    def parameter_groups(self) -> list[ParameterGroup]:
        # Not slower("bias"): that would take in the shifts of the normalisation.
        slow = {id(m.bias) for m in self.modules() if isinstance(m, nn.Conv2d)}
        trained = [p for p in self.parameters() if p.requires_grad]
        groups: list[ParameterGroup] = [
            {"params": [p for p in trained if id(p) not in slow]},
            {"params": [p for p in trained if id(p) in slow], "lr_scale": self.bias_lr},
        ]
        return [group for group in groups if group["params"]]

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        batch_norm = "body.0.first_act.0" in layers
        return {
            "scale": 2,
            "channels": layers.inputs("body.0.first"),
            "num_features": layers.outputs("body.0.first"),
            "num_blocks": layers.count("body.{i}.first"),
            "batch_norm": batch_norm,
            "bias": layers.has_bias("body.0.first"),
            **({"num_units": layers.count("body.0.acts.{i}.0") // 2} if batch_norm else {}),
        }
