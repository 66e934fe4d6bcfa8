"""IMDN: every step of a block keeps a quarter of the features for the end of the block."""

from typing import Any

import torch
from torch import Tensor, nn

from sr_lightning.blocks import ContrastAttention, pixel_shuffle
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout

SLOPE = 0.05  # of every leaky ReLU


class DistillationBlock(nn.Module):
    """Four convolutions; after each of the first three, a quarter of the features is kept and the rest goes on.

    Example:
        >>> DistillationBlock(16, reduction=4)(torch.rand(1, 16, 6, 5)).shape
        torch.Size([1, 16, 6, 5])
    """

    def __init__(self, num_features: int, reduction: int = 16, attention: bool = True) -> None:
        super().__init__()
        self.kept = num_features // 4
        self.rest = num_features - self.kept
        widths = [(num_features, num_features), *[(self.rest, num_features)] * 2, (self.rest, self.kept)]
        self.steps = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in widths)
        self.activation = nn.LeakyReLU(SLOPE)
        self.attention = ContrastAttention(4 * self.kept, reduction) if attention else nn.Identity()
        self.fuse = nn.Conv2d(4 * self.kept, num_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        *first, last = self.steps
        distilled, rest = [], x
        for step in first:
            kept, rest = self.activation(step(rest)).split([self.kept, self.rest], dim=1)
            distilled.append(kept)
        together = torch.cat([*distilled, last(rest)], dim=1)
        return x + self.fuse(self.attention(together))  # type: ignore[no-any-return]


class IMDNNet(nn.Module):
    """Head, a chain of blocks whose outputs are all fused, one long skip and a single pixel shuffle."""

    def __init__(self, args: "IMDN") -> None:
        super().__init__()
        self.head = nn.Conv2d(3, args.num_features, 3, padding=1)
        self.blocks = nn.ModuleList(
            DistillationBlock(args.num_features, args.reduction, args.attention) for _ in range(args.num_blocks)
        )
        if args.fusion:
            self.fuse = nn.Sequential(
                nn.Conv2d(args.num_blocks * args.num_features, args.num_features, 1), nn.LeakyReLU(SLOPE)
            )
        self.fusion = args.fusion
        self.last = nn.Conv2d(args.num_features, args.num_features, 3, padding=1)
        self.tail = pixel_shuffle(args.num_features, 3, args.scale)

    def forward(self, lr: Tensor) -> Tensor:
        x = shallow = self.head(lr)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        deep = self.last(self.fuse(torch.cat(outputs, dim=1)) if self.fusion else x)
        return self.tail(deep + shallow)  # type: ignore[no-any-return]


@network
class IMDN(SuperResolutionModule):
    """IMDN, the information multi-distillation network.

    **Paper:** Hui, Gao, Yang, Wang, Lightweight Image Super-Resolution with Information Multi-distillation Network,
    ACM Multimedia 2019. The authors' weights load with ``weights=FILE``, and so do those of KAIR, whose network is the
    winner of AIM 2019 and the baseline of later challenges: 8 blocks, no ``attention`` and no ``fusion``.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_blocks: Number of distillation blocks.
        reduction: Factor by which the attention narrows the channels.
        attention: Whether the blocks have attention.
        fusion: Whether the outputs of all blocks are fused; otherwise the last one alone goes on.

    Example:
        >>> import torch
        >>> IMDN(scale=2, num_features=16, num_blocks=2, reduction=4)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="IMDN",
            names={
                "fea_conv": "head",
                "IMDB{i}.c5": "blocks.{i-1}.fuse",
                "IMDB{i}.c{j}": "blocks.{i-1}.steps.{j-1}",
                "IMDB{i}.cca.conv_du.{j}": "blocks.{i-1}.attention.gate.{j}",
                "c.0": "fuse.0",
                "LR_conv": "last",
                "upsampler.0": "tail.0",
            },
        ),
        Layout(
            whose="KAIR",
            names={
                "model.0": "head",
                "model.1.sub.{i}.conv{j}.0": "blocks.{i}.steps.{j-1}",
                "model.1.sub.{i}.conv4": "blocks.{i}.steps.3",
                "model.1.sub.{i}.conv1x1": "blocks.{i}.fuse",
                "model.1.sub.{n}": "last",
                "model.2": "tail.0",
            },
            arguments={"attention": False, "fusion": False},
        ),
    )

    scale: int = 4
    num_features: int = 64
    num_blocks: int = 6
    reduction: int = 16
    attention: bool = True
    fusion: bool = True

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        return IMDNNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width, attention = layers.outputs("head"), "blocks.0.attention.gate.0" in layers
        return {
            "scale": layers.shuffled("tail.0"),
            "num_features": width,
            "num_blocks": layers.count("blocks.{i}.fuse"),
            "reduction": width // layers.outputs("blocks.0.attention.gate.0") if attention else cls.reduction,
            "attention": attention,
            "fusion": "fuse.0" in layers,
        }
