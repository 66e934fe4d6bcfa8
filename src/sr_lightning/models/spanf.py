"""SPANF: SPAN without a head, and with the input beside the features at its end."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import ParameterFreeBlock, RepeatedPixels
from sr_lightning.blocks.reparameterization import conv3x3
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class SPANFNet(nn.Module):
    """Three convolutions, a chain of blocks, and the fusion of its ends with the repeated pixels."""

    def __init__(self, args: "SPANF") -> None:
        super().__init__()
        width, picture = args.num_features, 3 * args.scale**2
        self.head = nn.ModuleList(conv3x3(before, width, args.branches) for before in (3, width, width))
        self.blocks = nn.ModuleList(ParameterFreeBlock(width, args.branches) for _ in range(args.num_blocks))
        self.repeat = RepeatedPixels(args.scale)
        self.fuse = nn.Conv2d(picture + 2 * width, width, 1)
        self.tail = nn.Sequential(conv3x3(width, picture, args.branches), nn.PixelShuffle(args.scale))

    def forward(self, lr: Tensor) -> Tensor:
        first, second, third = self.head
        x = shallow = third(F.silu(second(F.silu(first(lr)))))
        for block in self.blocks:
            x, _ = block(x)
        return self.tail(self.fuse(torch.cat([self.repeat(lr), x, shallow], dim=1)))  # type: ignore[no-any-return]


@network
class SPANF(SuperResolutionModule):
    """SPANF, the fused SPAN of team 24 of NTIRE 2025.

    **Paper:** The Tenth NTIRE 2025 Efficient Super-Resolution Challenge Report, CVPRW 2025, team 24. The merged
    convolutions alone are published; the network is written here by its weights and the authors' code. Training with
    ``branches=True`` is SPAN's. The authors' weights load with ``weights=FILE``.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_blocks: Number of blocks after the first three convolutions.
        branches: Whether 3x3 convolutions are trained as several.

    Example:
        >>> SPANF(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="SPANF",
            names={
                "block_1.c{j}_r.eval_conv": "head.{j-1}",
                "block_{i}.c{j}_r.eval_conv": "blocks.{i-2}.convs.{j-1}",
                "conv_near": "repeat",
                "conv_cat": "fuse",
                "conv_2.eval_conv": "tail.0",
            },
        ),
    )
    scale_layers: ClassVar[tuple[str, ...]] = ("repeat", "fuse", "tail")

    scale: int = 4
    num_features: int = 32
    num_blocks: int = 4
    branches: bool = False

    def build_net(self) -> nn.Module:
        return SPANFNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        branches = "head.0.skip" in layers
        return {
            "scale": layers.shuffled("tail.0.skip" if branches else "tail.0"),
            "num_features": layers.outputs("fuse"),
            "num_blocks": layers.count("blocks.{i}.convs.0.skip" if branches else "blocks.{i}.convs.0"),
            "branches": branches,
        }
