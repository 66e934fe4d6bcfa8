"""BSRN: RFDN's distillation with blueprint separable convolutions and two attentions."""

from typing import Any

import torch
from torch import Tensor, nn

from sr_lightning.blocks import (
    BlueprintConv,
    ContrastAttention,
    EnhancedSpatialAttention,
    ResidualDistillationBlock,
    pixel_shuffle,
)
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class SeparableDistillationBlock(nn.Module):
    """Distillation, spatial attention, attention by contrast, and a skip around all of it (the paper's ESDB).

    Example:
        >>> SeparableDistillationBlock(16)(torch.rand(1, 16, 20, 17)).shape
        torch.Size([1, 16, 20, 17])
    """

    def __init__(self, num_features: int, reduction: int = 16) -> None:
        super().__init__()
        spatial = EnhancedSpatialAttention(num_features, num_features // 4, conv=BlueprintConv, activation=nn.GELU)
        self.body = ResidualDistillationBlock(num_features, nn.GELU, BlueprintConv, attention=spatial)
        self.contrast = ContrastAttention(num_features, reduction)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.contrast(self.body(x))  # type: ignore[no-any-return]


class BSRNNet(nn.Module):
    """Head, a chain of blocks whose outputs are all fused, one long skip and a single pixel shuffle."""

    def __init__(self, args: "BSRN") -> None:
        super().__init__()
        width = args.num_features
        self.copies = args.num_copies
        self.head = BlueprintConv(3 * args.num_copies, width, padding=1)
        self.blocks = nn.ModuleList(SeparableDistillationBlock(width, args.reduction) for _ in range(args.num_blocks))
        self.fuse = nn.Sequential(nn.Conv2d(args.num_blocks * width, width, 1), nn.GELU())
        self.last = BlueprintConv(width, width, padding=1)
        self.tail = pixel_shuffle(width, 3, args.scale)

    def forward(self, lr: Tensor) -> Tensor:
        x = shallow = self.head(torch.cat([lr] * self.copies, dim=1))
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        deep = self.last(self.fuse(torch.cat(outputs, dim=1)))
        return self.tail(deep + shallow)  # type: ignore[no-any-return]


_BLUEPRINT = {"pw": "0", "dw": "1"}


def _blueprints(layers: dict[str, str]) -> dict[str, str]:
    """The authors' names and ours, for both parts of each blueprint convolution."""
    return {
        f"{theirs}.{part}": f"{ours}.{number}" for theirs, ours in layers.items() for part, number in _BLUEPRINT.items()
    }


@network
class BSRN(SuperResolutionModule):
    """BSRN, the blueprint separable residual network.

    **Paper:** Li, Liu, Chen, Cai, Gu, Qiao, Dong, Blueprint Separable Residual Network for Efficient Image
    Super-Resolution, CVPRW 2022. The input is given to the first convolution several times over. The authors' weights
    load with ``weights=FILE``.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_blocks: Number of distillation blocks.
        num_copies: How many times the input is given to the first convolution.
        reduction: Factor by which the attention by contrast narrows the channels.

    Example:
        >>> import torch
        >>> BSRN(scale=2, num_features=16, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="BSRN",
            names=_blueprints(
                {
                    "fea_conv": "head",
                    "B{i}.c{j}_r": "blocks.{i-1}.body.refine.{j-1}",
                    "B{i}.c4": "blocks.{i-1}.body.last",
                    "B{i}.esa.conv2": "blocks.{i-1}.body.attention.stride",
                    "B{i}.esa.conv_max": "blocks.{i-1}.body.attention.coarse.0",
                    "B{i}.esa.conv3": "blocks.{i-1}.body.attention.coarse.2",
                    "B{i}.esa.conv3_": "blocks.{i-1}.body.attention.coarse.4",
                    "c2": "last",
                }
            )
            | {
                "B{i}.c{j}_d": "blocks.{i-1}.body.distil.{j-1}",
                "B{i}.c5": "blocks.{i-1}.body.fuse",
                "B{i}.esa.conv1": "blocks.{i-1}.body.attention.reduce",
                "B{i}.esa.conv_f": "blocks.{i-1}.body.attention.skip",
                "B{i}.esa.conv4": "blocks.{i-1}.body.attention.expand",
                "B{i}.cca.conv_du.{j}": "blocks.{i-1}.contrast.gate.{j}",
                "c1": "fuse.0",
                "upsampler.upsampleOneStep.0": "tail.0",
            },
        ),
    )

    scale: int = 4
    num_features: int = 64
    num_blocks: int = 8
    num_copies: int = 4
    reduction: int = 16

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        return BSRNNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width = layers.outputs("head.0")
        return {
            "scale": layers.shuffled("tail.0"),
            "num_features": width,
            "num_blocks": layers.count("blocks.{i}.body.fuse"),
            "num_copies": layers.inputs("head.0") // 3,
            "reduction": width // layers.outputs("blocks.0.contrast.gate.0"),
        }
