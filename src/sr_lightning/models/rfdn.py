"""RFDN: distillation by 1x1 convolutions beside shallow residual blocks, and attention over a wide field."""

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sr_lightning.blocks import EnhancedSpatialAttention, MeanShift, ResidualDistillationBlock, pixel_shuffle
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout, State

#: Every activation.
leaky = partial(nn.LeakyReLU, 0.05)


class RFDNNet(nn.Module):
    """Head, a chain of blocks whose outputs are all fused, one long skip and a single pixel shuffle."""

    def __init__(self, args: "RFDN") -> None:
        super().__init__()
        self.range = MeanShift(args.value_range, mean=(0.0, 0.0, 0.0))
        self.head = nn.Conv2d(3, args.num_features, 3, padding=1)
        narrow = args.attention_width or args.num_features // 4
        self.blocks = nn.ModuleList(
            ResidualDistillationBlock(
                args.num_features, leaky, attention=EnhancedSpatialAttention(args.num_features, narrow)
            )
            for _ in range(args.num_blocks)
        )
        self.fuse = nn.Sequential(nn.Conv2d(args.num_blocks * args.num_features, args.num_features, 1), leaky())
        self.last = nn.Conv2d(args.num_features, args.num_features, 3, padding=1)
        self.tail = pixel_shuffle(args.num_features, 3, args.scale)

    def forward(self, lr: Tensor) -> Tensor:
        x = shallow = self.head(self.range(lr))
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        deep = self.last(self.fuse(torch.cat(outputs, dim=1)))
        return self.range.undo(self.tail(deep + shallow))


def _pruned(state: State) -> State | None:
    """Of the pruned network, whose attention kept its width: it has no skips around c1_r, c2_r and c3_r.

    A convolution that subtracts its input undoes the skip that ours has there.
    """
    if state["B1.esa.conv1.weight"].shape[0] == state["fea_conv.weight"].shape[0] // 4:
        return None
    less = State(state)
    for name in (name for name in state if name.endswith("_r.weight")):
        less[name] = state[name].clone()
        less[name][:, :, 1, 1] -= torch.eye(len(state[name]), dtype=state[name].dtype)
    return less


_NAMES = {
    "fea_conv": "head",
    "B{i}.c{j}_d": "blocks.{i-1}.distil.{j-1}",
    "B{i}.c{j}_r": "blocks.{i-1}.refine.{j-1}",
    "B{i}.c4": "blocks.{i-1}.last",
    "B{i}.c5": "blocks.{i-1}.fuse",
    "B{i}.esa.conv1": "blocks.{i-1}.attention.reduce",
    "B{i}.esa.conv2": "blocks.{i-1}.attention.stride",
    "B{i}.esa.conv_max": "blocks.{i-1}.attention.coarse.0",
    "B{i}.esa.conv3": "blocks.{i-1}.attention.coarse.2",
    "B{i}.esa.conv3_": "blocks.{i-1}.attention.coarse.4",
    "B{i}.esa.conv_f": "blocks.{i-1}.attention.skip",
    "B{i}.esa.conv4": "blocks.{i-1}.attention.expand",
    "c.0": "fuse.0",
    "LR_conv": "last",
    "upsampler.0": "tail.0",
}


@network
class RFDN(SuperResolutionModule):
    """RFDN, the residual feature distillation network, as it won AIM 2020.

    **Paper:** Liu, Tang, Wu, Residual Feature Distillation Network for Lightweight Image Super-Resolution, ECCVW 2020.
    The paper's network has 6 blocks of 48 or 52 features; 4 of 50 are those of the AIM 2020 challenge, whose published
    weights load with ``weights=FILE``.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_blocks: Number of distillation blocks.
        value_range: The value of white inside the network.
        attention_width: Channels inside the attention; None for a quarter of ``num_features``. RFDNPrune of the
            NTIRE 2022 challenge has 12 at 40 features.

    Example:
        >>> import torch
        >>> RFDN(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(whose="RFDNPrune", names=_NAMES, prepare=_pruned),
        Layout(whose="RFDN", names=_NAMES),
    )
    untraced: ClassVar = {"value_range": (255.0, 1.0)}

    scale: int = 4
    num_features: int = 50
    num_blocks: int = 4
    value_range: float = 255.0
    attention_width: int | None = None

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        return RFDNNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width, narrow = layers.outputs("head"), layers.outputs("blocks.0.attention.reduce")
        return {
            "scale": layers.shuffled("tail.0"),
            "num_features": width,
            "num_blocks": layers.count("blocks.{i}.fuse"),
            "attention_width": None if narrow == width // 4 else narrow,
        }
