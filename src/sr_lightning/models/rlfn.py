"""RLFN: three plain convolutions to a block, without distillation, and attention over a wide field."""

from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from sr_lightning.blocks import EnhancedSpatialAttention, MeanShift, pixel_shuffle
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class ResidualLocalBlock(nn.Module):
    """Three convolutions with a skip around them, a 1x1 convolution and attention (the paper's RLFB).

    Example:
        >>> import torch
        >>> ResidualLocalBlock(8, 6, 2)(torch.rand(1, 8, 20, 17)).shape
        torch.Size([1, 8, 20, 17])
    """

    def __init__(self, num_features: int, mid_features: int, attention_width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = (num_features, mid_features, mid_features, num_features)
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.LeakyReLU(0.05, inplace=True)]
        self.body = nn.Sequential(*layers)
        self.fuse = nn.Conv2d(num_features, num_features, 1)
        self.attention = EnhancedSpatialAttention(num_features, attention_width, depth=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.fuse(x + self.body(x)))  # type: ignore[no-any-return]


class RLFNNet(nn.Module):
    """Head, a chain of blocks, one long skip and a single pixel shuffle."""

    def __init__(self, args: "RLFN") -> None:
        super().__init__()
        width = args.num_features
        self.range = MeanShift(args.value_range, mean=(0.0, 0.0, 0.0))
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(
            *(
                ResidualLocalBlock(width, args.mid_features or width, args.attention_width)
                for _ in range(args.num_blocks)
            )
        )
        self.last = nn.Conv2d(width, width, 3, padding=1)
        self.tail = pixel_shuffle(width, 3, args.scale)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(self.range(lr))
        return self.range.undo(self.tail(self.last(self.blocks(shallow)) + shallow))


@network
class RLFN(SuperResolutionModule):
    """RLFN, the residual local feature network.

    **Paper:** Kong, Li, Liu, Liu, He, Bai, Chen, Fu, Residual Local Feature Network for Efficient Super-Resolution,
    CVPRW 2022. The network that won the runtime track of NTIRE 2022 has 4 blocks of 46 features with 48 between the
    convolutions, ``model=rlfn_ntire``. The authors' weights load with ``weights=FILE``.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks; 48 in RLFN-S.
        num_blocks: Number of blocks.
        mid_features: Channels between the convolutions of a block; None for ``num_features``.
        attention_width: Channels inside the attention.
        value_range: The value of white inside the network.

    Example:
        >>> import torch
        >>> RLFN(scale=2, num_features=8, num_blocks=2, attention_width=4)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="RLFN",
            names={
                "conv_1": "head",
                "block_{i}.c{j}_r": "blocks.{i-1}.body.{2j-2}",
                "block_{i}.c5": "blocks.{i-1}.fuse",
                "block_{i}.esa.conv1": "blocks.{i-1}.attention.reduce",
                "block_{i}.esa.conv2": "blocks.{i-1}.attention.stride",
                "block_{i}.esa.conv3": "blocks.{i-1}.attention.coarse.0",
                "block_{i}.esa.conv_f": "blocks.{i-1}.attention.skip",
                "block_{i}.esa.conv4": "blocks.{i-1}.attention.expand",
                "conv_2": "last",
                "upsampler.0": "tail.0",
            },
        ),
    )
    untraced: ClassVar = {"value_range": (255.0, 1.0)}

    scale: int = 4
    num_features: int = 52
    num_blocks: int = 6
    mid_features: int | None = None
    attention_width: int = 16
    value_range: float = 255.0

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        return RLFNNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width, mid = layers.outputs("head"), layers.outputs("blocks.0.body.0")
        return {
            "scale": layers.shuffled("tail.0"),
            "num_features": width,
            "num_blocks": layers.count("blocks.{i}.fuse"),
            "mid_features": None if mid == width else mid,
            "attention_width": layers.outputs("blocks.0.attention.reduce"),
        }
