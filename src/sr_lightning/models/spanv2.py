"""SPANV2: SPAN without a head, with a learned gate, and with the input beside the features at its end."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import RepeatedPixels
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class GuidedBlock(nn.Module):
    """Three convolutions; the sum with the input is multiplied by a 1x1 convolution of the last.

    Example:
        >>> GuidedBlock(8)(torch.rand(1, 8, 4, 5)).shape
        torch.Size([1, 8, 4, 5])
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.convs = _three(num_features, num_features)
        self.guide = nn.Conv2d(num_features, num_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = self.convs
        deep = third(F.relu(second(F.relu(first(x)))))
        return (x + deep) * self.guide(deep)  # type: ignore[no-any-return]


def _three(in_channels: int, out_channels: int) -> nn.ModuleList:
    widths = (in_channels, out_channels, out_channels)
    return nn.ModuleList(nn.Conv2d(width, out_channels, 3, padding=1, bias=False) for width in widths)


class SPANV2Net(nn.Module):
    """Three convolutions, a chain of blocks, the repeated pixels beside it, and a separable convolution of both."""

    def __init__(self, args: "SPANV2") -> None:
        super().__init__()
        self.head = _three(3, args.num_features)
        self.blocks = nn.Sequential(*(GuidedBlock(args.num_features) for _ in range(args.num_blocks)))
        self.repeat = RepeatedPixels(args.scale)
        both, picture = args.num_features + 3 * args.scale**2, 3 * args.scale**2
        self.tail = nn.Sequential(
            nn.Conv2d(both, both, 3, padding=1, groups=both, bias=False),
            nn.Conv2d(both, picture, 1, bias=False),
            nn.PixelShuffle(args.scale),
        )

    def forward(self, lr: Tensor) -> Tensor:
        x = lr
        for conv in self.head:
            x = F.relu(conv(x))
        return self.tail(torch.cat([self.repeat(lr), self.blocks(x)], dim=1))  # type: ignore[no-any-return]


@network
class SPANV2(SuperResolutionModule):
    """SPANV2, which won NTIRE 2026, as the team of Xiaomi published it.

    **Paper:** The Eleventh NTIRE 2026 Efficient Super-Resolution Challenge Report, CVPRW 2026, team 22. Of its training
    the merged convolutions alone are published; the network is written here by its weights and the authors' code. Its
    convolutions have no bias, so that black stays black. The authors' weights load with ``weights=FILE``.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_blocks: Number of blocks after the first three convolutions.

    Example:
        >>> import torch
        >>> SPANV2(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="SPANV2",
            names={
                "block_1.c{j}.conv": "head.{j-1}",
                "block_{i}.c{j}.conv": "blocks.{i-2}.convs.{j-1}",
                "block_{i}.guidance_map_conv": "blocks.{i-2}.guide",
                "conv_near": "repeat",
                "depthwise_conv": "tail.0",
                "pointwise_conv": "tail.1",
            },
        ),
    )
    scale_layers: ClassVar[tuple[str, ...]] = ("repeat", "tail")

    scale: int = 4
    num_features: int = 32
    num_blocks: int = 4

    def build_net(self) -> nn.Module:
        return SPANV2Net(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": layers.shuffled("tail.1"),
            "num_features": layers.outputs("head.0"),
            "num_blocks": layers.count("blocks.{i}.guide"),
        }
