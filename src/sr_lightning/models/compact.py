"""Compact: plain convolutions at the size of the LR picture, which is added enlarged."""

import math
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class CompactNet(nn.Module):
    """Convolutions with PReLU, one pixel shuffle, and the repeated pixels of the input."""

    def __init__(self, args: "Compact") -> None:
        super().__init__()
        self.scale, width = args.scale, args.num_features
        layers: list[nn.Module] = []
        for channels in [3, *[width] * args.num_convs]:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.PReLU(width)]
        self.body = nn.Sequential(*layers, nn.Conv2d(width, 3 * args.scale**2, 3, padding=1))

    def forward(self, lr: Tensor) -> Tensor:
        return F.pixel_shuffle(self.body(lr), self.scale) + F.interpolate(lr, scale_factor=self.scale)


@network
class Compact(SuperResolutionModule):
    """Compact (SRVGGNetCompact), Real-ESRGAN's small networks for photographs and anime videos.

    **Paper:** Wang, Xie, Dong, Shan, Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data,
    ICCVW 2021. The paper does not describe this network. It came with its code, and is written here by its weights: a
    slope of PReLU for each channel, and a skip from the nearest pixel of the input.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all convolutions.
        num_convs: Convolutions between the first and the last; 16 for anime videos, 32 for photographs.

    Example:
        >>> import torch
        >>> Compact(scale=2, num_features=8, num_convs=2)(torch.rand(1, 3, 8, 9)).shape
        torch.Size([1, 3, 16, 18])
    """

    layouts = (Layout(whose="Real-ESRGAN", names={"body.{i}": "body.{i}"}),)
    spandrel: ClassVar[dict[str, Any]] = {}

    scale: int = 4
    num_features: int = 64
    num_convs: int = 32

    def build_net(self) -> nn.Module:
        return CompactNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        last = layers.numbers("body.{i}")[-1]
        return {
            "scale": math.isqrt(layers.outputs(f"body.{last}") // 3),
            "num_features": layers.outputs("body.0"),
            "num_convs": last // 2 - 1,
        }
