"""ZSSR: eight convolutions that train on one picture alone, from smaller copies of it."""

from typing import Any, Literal, get_args

from torch import Tensor, nn

from sr_lightning.blocks import luma
from sr_lightning.errors import ConfigError
from sr_lightning.functional import imresize
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout

Init = Literal["official", "kaiming", "bicubic"]


class ZSSRNet(nn.Module):
    """Bicubic enlargement, plus a residual that convolutions compute from it."""

    def __init__(self, args: "ZSSR") -> None:
        super().__init__()
        if args.num_layers < 2:
            raise ConfigError(f"model.num_layers={args.num_layers}: ZSSR has at least a first and a last layer")
        if args.init not in get_args(Init):
            raise ConfigError(f"model.init={args.init}: must be one of {', '.join(get_args(Init))}")
        self.scale, self.skip = args.scale, args.skip
        widths = [args.channels, *[args.num_features] * (args.num_layers - 1), args.channels]
        layers: list[nn.Module] = []
        for i in range(args.num_layers):
            conv = nn.Conv2d(widths[i], widths[i + 1], 3, padding=1, bias=args.bias)
            nn.init.normal_(conv.weight, std=((0.1 if args.init == "official" else 2) / (9 * widths[i])) ** 0.5)
            layers += [conv, nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers[:-1])
        if args.init == "bicubic":
            for parameter in self.body[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        x = imresize(lr, self.scale if scale is None else scale)
        detail: Tensor = self.body(x)
        return x + detail if self.skip else detail


@network
class ZSSR(SuperResolutionModule):
    """ZSSR. ``upscale model=zssr`` trains it on the picture itself; on data sets it is a network like others.

    **Paper:** Shocher, Cohen, Irani, "Zero-Shot" Super-Resolution using Deep Internal Learning, CVPR 2018. Without
    biases, as in the authors' code, it has the 225 thousand parameters that the paper quotes.

    Args:
        scale: Whole factor of enlargement; ``forward`` takes others too.
        channels: 3 for RGB, 1 for luma. ``upscale`` trains a network of 1 for a grey picture.
        num_features: Channels of the hidden layers.
        num_layers: Number of convolutions, the first and the last included.
        bias: Whether the convolutions have biases.
        skip: Whether the enlarged picture is added; in jacobgil's port it is not.
        init: ``bicubic``, Kaiming's weights of variance 2 / fan-in with a last layer of zeros, so that training begins
            at the bicubic picture; ``kaiming``, no zeros; or ``official``, weights of variance 0.1 / fan-in as in the
            authors' code, whose activations are so small that many trainings begin late and some never.

    Example:
        >>> import torch
        >>> ZSSR(scale=2, num_features=8)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (Layout(whose="jacobgil's pytorch-zssr", names={"conv{i}": "body.{2i}"}, arguments={"skip": False}),)
    multi_scale = True
    enlarges_first = True
    zero_shot = True

    scale: int = 2
    channels: int = 3
    num_features: int = 64
    num_layers: int = 8
    bias: bool = False
    skip: bool = True
    init: Init = "bicubic"

    def build_net(self) -> nn.Module:
        return luma(ZSSRNet(self), self.channels, self.scale)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": 2,
            "channels": layers.inputs("body.0"),
            "num_features": layers.outputs("body.0"),
            "num_layers": layers.count("body.{i}"),
            "bias": layers.has_bias("body.0"),
        }
