"""RDN: residual dense blocks whose outputs are all fused."""

from typing import Any

import torch
from torch import Tensor, nn

from sr_lightning.blocks import DenseBlock, pixel_shuffle, prime_factors, relu
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class RDNNet(nn.Module):
    """Two shallow layers, residual dense blocks, global fusion and the up-sampling net."""

    def __init__(self, args: "RDN") -> None:
        super().__init__()
        self.shallow1 = nn.Conv2d(3, args.num_features, 3, padding=1)
        self.shallow2 = nn.Conv2d(args.num_features, args.num_features, 3, padding=1)
        self.blocks = nn.ModuleList(
            DenseBlock(args.num_features, args.growth_rate, args.num_layers, relu) for _ in range(args.num_blocks)
        )
        self.fusion = nn.Sequential(
            nn.Conv2d(args.num_blocks * args.num_features, args.num_features, 1),
            nn.Conv2d(args.num_features, args.num_features, 3, padding=1),
        )
        widths = [args.num_features] + [args.growth_rate] * len(prime_factors(args.scale))
        self.tail = nn.Sequential(
            *(
                pixel_shuffle(width, args.growth_rate, s)
                for width, s in zip(widths, prime_factors(args.scale), strict=False)
            ),
            nn.Conv2d(widths[-1], 3, 3, padding=1),
        )

    def forward(self, lr: Tensor) -> Tensor:
        first = self.shallow1(lr)
        x, outputs = self.shallow2(first), []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return self.tail(self.fusion(torch.cat(outputs, dim=1)) + first)  # type: ignore[no-any-return]


@network
class RDN(SuperResolutionModule):
    """RDN: configuration B (16 blocks of 8 layers, growth 64) or A (20 of 6, growth 32).

    **Paper:** Zhang, Tian, Kong, Zhong, Fu, Residual Dense Network for Image Super-Resolution, CVPR 2018.

    Args:
        scale: Whole factor of enlargement, gradual by its prime factors.
        num_features: G0, channels between the blocks.
        growth_rate: G, channels that each dense layer adds.
        num_blocks: D, residual dense blocks.
        num_layers: C, dense layers in each block.

    Example:
        >>> RDN(scale=2, num_features=8, growth_rate=4, num_blocks=2, num_layers=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="RDN-pytorch",
            names={
                "sfe1": "shallow1",
                "sfe2": "shallow2",
                "rdbs.{i}.layers.{j}.conv": "blocks.{i}.layers.{j}.0",
                "rdbs.{i}.lff": "blocks.{i}.fusion",
                "gff.{i}": "fusion.{i}",
                "upscale.{i}": "tail.{i}.0",
                "output": "tail.{n}",
            },
        ),
    )

    scale: int = 2
    num_features: int = 64
    growth_rate: int = 64
    num_blocks: int = 16
    num_layers: int = 8

    def build_net(self) -> nn.Module:
        return RDNNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": layers.steps("tail.{i}.0"),
            "num_features": layers.outputs("shallow1"),
            "growth_rate": layers.outputs("blocks.0.layers.0.0"),
            "num_blocks": layers.count("blocks.{i}.fusion"),
            "num_layers": layers.count("blocks.0.layers.{i}.0"),
        }
