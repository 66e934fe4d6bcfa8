"""MSRResNet: EDSR's blocks, activated upsampling steps, and the bilinearly enlarged picture added at the end."""

from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import ResidualBlock, upsampler
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout

_activation = partial(nn.LeakyReLU, 0.1)


class MSRResNetNet(nn.Module):
    """Head, residual blocks without a long skip, upsampler and two last convolutions."""

    def __init__(self, args: "MSRResNet") -> None:
        super().__init__()
        self.scale, width = args.scale, args.num_features
        self.head = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), _activation())
        self.body = nn.Sequential(*(ResidualBlock(width) for _ in range(args.num_blocks)))
        self.upsampler = upsampler(
            width, args.scale, activation=_activation if args.upsampler_activation else nn.Identity
        )
        self.tail = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), _activation(), nn.Conv2d(width, 3, 3, padding=1)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):  # small, so that the network begins near the bilinear picture
                nn.init.normal_(layer.weight, std=0.1 * (2 / layer.weight[0].numel()) ** 0.5)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, lr: Tensor) -> Tensor:
        detail: Tensor = self.tail(self.upsampler(self.body(self.head(lr))))
        return detail + F.interpolate(lr, scale_factor=self.scale, mode="bilinear", align_corners=False)


@network
class MSRResNet(SuperResolutionModule):
    """MSRResNet, BasicSR's SRResNet without normalisation.

    **Paper:** Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, ECCVW 2018. It came with
    the paper's code. Files of BasicSR, KAIR and mmagic load with ``weights=FILE``.

    Args:
        scale: Whole factor of enlargement, gradual by its prime factors.
        num_features: Channels of all blocks.
        num_blocks: Number of residual blocks.
        upsampler_activation: Whether an activation follows every step of the upsampler; mmagic's has none.

    Example:
        >>> import torch
        >>> MSRResNet(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 9)).shape
        torch.Size([1, 3, 16, 18])
    """

    layouts = tuple(
        Layout(
            whose=whose,
            names={
                "conv_first": "head.0",
                f"{trunk}.{{i}}.conv{{j}}": "body.{i}.body.{2j-2}",
                step: "upsampler.{3i-3}",
                before_last: "tail.0",
                "conv_last": "tail.2",
            },
            arguments={"upsampler_activation": whose != "mmagic"},
        )
        for whose, trunk, step, before_last in (
            ("BasicSR", "body", "upconv{i}", "conv_hr"),
            ("KAIR", "recon_trunk", "upconv{i}", "HRconv"),
            ("mmagic", "trunk_net", "upsample{i}.upsample_conv", "conv_hr"),
        )
    )

    scale: int = 4
    num_features: int = 64
    num_blocks: int = 16
    upsampler_activation: bool = True

    def build_net(self) -> nn.Module:
        return MSRResNetNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": layers.steps("upsampler.{i}"),
            "num_features": layers.outputs("head.0"),
            "num_blocks": layers.count("body.{i}.body.0"),
        }
