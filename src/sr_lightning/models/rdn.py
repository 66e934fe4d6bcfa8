"""RDN: residual dense blocks whose outputs are all fused."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from sr_lightning.blocks import DenseBlock, pixel_shuffle, prime_factors, relu
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout, State


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

    def features(self, lr: Tensor) -> Tensor:
        """What the tail enlarges."""
        first = self.shallow1(lr)
        x, outputs = self.shallow2(first), []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return self.fusion(torch.cat(outputs, dim=1)) + first  # type: ignore[no-any-return]

    def forward(self, lr: Tensor) -> Tensor:
        return self.tail(self.features(lr))  # type: ignore[no-any-return]


def _of_edsr_pytorch(state: State) -> State | None:
    """Another name for the last layer, and biases for white as 1: the authors of these names compute in 0...255."""
    numbers = Layers(state).numbers("UPNet.{i}")
    if not numbers:
        return None
    last = f"UPNet.{numbers[-1]}."
    return {
        name.replace(last, "output."): value / 255 if name.endswith(".bias") else value for name, value in state.items()
    }


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
            whose="RDN-pytorch, torchSR and mmagic",
            names={
                "sfe1": "shallow1",
                "sfe2": "shallow2",
                "rdbs.{i}.layers.{j}.conv": "blocks.{i}.layers.{j}.0",
                "rdbs.{i}.lff": "blocks.{i}.fusion",
                "gff.{i}": "fusion.{i}",
                "upscale.{2i}": "tail.{i}.0",
                "output": "tail.{n}",
            },
        ),
        Layout(
            whose="EDSR-PyTorch",
            names={
                "SFENet{i}": "shallow{i}",
                "RDBs.{i}.convs.{j}.conv.0": "blocks.{i}.layers.{j}.0",
                "RDBs.{i}.LFF": "blocks.{i}.fusion",
                "GFF.{i}": "fusion.{i}",
                "UPNet.{2i}": "tail.{i}.0",
                "output": "tail.{n}",
            },
            prepare=_of_edsr_pytorch,
        ),
        Layout(
            whose="Lornatang's RDN-PyTorch",
            names={
                "conv{i}": "shallow{i}",
                "trunk.{i}.rdb.{j}.rb.0": "blocks.{i}.layers.{j}.0",
                "trunk.{i}.local_feature_fusion": "blocks.{i}.fusion",
                "global_feature_fusion.{i}": "fusion.{i}",
                "upsampling.{i}.upsample_block.0": "tail.{i}.0",
                "output": "tail.{n}",
            },
            prepare=lambda state: {name.replace("conv3.", "output."): value for name, value in state.items()},
        ),
    )

    after_features = ("tail",)

    scale: int = 2
    num_features: int = 64
    growth_rate: int = 64
    num_blocks: int = 16
    num_layers: int = 8

    def build_net(self) -> nn.Module:
        return RDNNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        growth_rate = layers.outputs("blocks.0.layers.0.0")
        return {
            "scale": math.prod(layers.shuffled(f"tail.{i}.0", growth_rate) for i in layers.numbers("tail.{i}.0")),
            "num_features": layers.outputs("shallow1"),
            "growth_rate": growth_rate,
            "num_blocks": layers.count("blocks.{i}.fusion"),
            "num_layers": layers.count("blocks.0.layers.{i}.0"),
        }
