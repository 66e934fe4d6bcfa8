"""RCAN: residual groups of residual blocks, each with channel attention."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sr_lightning import blocks
from sr_lightning.blocks import DIV2K_MEAN, MeanShift, ResidualBlock, ResidualGroup, looks_at_all, weight_normed
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import BLACK, MEAN_SHIFT, Layers, Layout, State, mean_colour

MEAN_OF_255 = tuple(255 * value for value in DIV2K_MEAN)

#: Lornatang's long names, and where they stand in ours.
_LORNATANG, _BLOCK, _OURS = "trunk.{i}.residual_group", "residual_channel_attention_block", "body.body.{i}.body"


class RCANNet(nn.Module):
    """Head, residual groups within one long skip, upsampler and last convolution."""

    def __init__(self, args: "RCAN") -> None:
        super().__init__()
        self.shift = MeanShift(args.value_range, args.mean)
        self.head = nn.Conv2d(3, args.num_features, 3, padding=1)
        member = partial(
            ResidualBlock,
            args.num_features,
            args.res_scale,
            block=args.block,
            attention=args.attention,
            norm=args.norm,
            reduction=args.reduction,
        )
        groups = (
            ResidualGroup(*(member() for _ in range(args.num_blocks)), num_features=args.num_features)
            for _ in range(args.num_groups)
        )
        self.body = ResidualGroup(*groups, num_features=args.num_features)
        self.tail = nn.Sequential(
            blocks.upsampler(args.num_features, args.scale, args.upsampler),
            nn.Conv2d(args.num_features, 3, 3, padding=1),
        )
        if "weight" in args.norm:
            weight_normed(self)

    def features(self, lr: Tensor) -> Tensor:
        """What the tail enlarges, of a picture in the network's own range."""
        return self.body(self.head(lr))  # type: ignore[no-any-return]

    def forward(self, lr: Tensor) -> Tensor:
        return self.shift.undo(self.tail(self.features(self.shift(lr))))


@network
class RCAN(SuperResolutionModule):
    """RCAN, 10 groups of 20 blocks; the SRNet authors compare with 10 of 16.

    **Paper:** Zhang, Li, Li, Wang, Zhong, Fu, Image Super-Resolution Using Very Deep Residual Channel Attention
    Networks, ECCV 2018.

    Args:
        scale: Whole factor of enlargement, gradual by its prime factors.
        num_features: Channels of all blocks.
        num_groups: G, residual groups.
        num_blocks: B, blocks in each group.
        reduction: r, the factor by which channel attention reduces the channels.
        res_scale: Factor of each block's residual.
        value_range: The value of white inside the network; the authors compute in 0...255.
        mean: The colour that is subtracted before, in [0, 1]; super-image subtracts 255 times DIV2K's from [0, 1].
        attention: On every residual: none, channel, channel_full, spatial, sa, msa, mpr_sa, mix, or a sum of these.
        norm: none, batch, instance or weight.
        block: residual, wide_a, wide_b, asymmetric or dca.
        upsampler: pixel_shuffle, direct, nearest or deconv.

    Example:
        >>> import torch
        >>> RCAN(scale=2, num_features=8, num_groups=2, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="RCAN",
            names={
                "head.0": "head",
                "body.{i}.body.{j}.body.{k}": "body.body.{i}.body.{j}.body.{k}",
                "body.{i}.body.{j}.body.3.conv_du.{k}": "body.body.{i}.body.{j}.attention.gate.{k}",
                "body.{i}.body.{j}": "body.body.{i}.body.{j}",
                "body.{i}": "body.body.{i}",
                "tail.0.{i}": "tail.0.{i}",
                "tail.1": "tail.1",
            },
            constants=MEAN_SHIFT,
            read_constants=mean_colour,
        ),
        Layout(
            whose="BasicSR",
            names={
                "conv_first": "head",
                "body.{i}.residual_group.{j}.rcab.{k}": "body.body.{i}.body.{j}.body.{k}",
                "body.{i}.residual_group.{j}.rcab.3.attention.{k}": "body.body.{i}.body.{j}.attention.gate.{k-1}",
                "body.{i}.conv": "body.body.{i}.body.{n}",
                "conv_after_body": "body.body.{n}",
                "upsample.{i}": "tail.0.{i}",
                "conv_last": "tail.1",
            },
        ),
        Layout(
            whose="Lornatang's RCAN-PyTorch",
            names={
                "conv1": "head",
                f"{_LORNATANG}.{{j}}.{_BLOCK}.3.channel_attention_layer.{{k}}": f"{_OURS}.{{j}}.attention.gate.{{k-1}}",
                f"{_LORNATANG}.{{j}}.{_BLOCK}.{{k}}": f"{_OURS}.{{j}}.body.{{k}}",
                f"{_LORNATANG}.{{j}}": f"{_OURS}.{{j}}",
                "conv2": "body.body.{n}",
                "upsampling.{i}.upsample_block.0": "tail.0.{2i}",
                "conv3": "tail.1",
            },
            arguments={"value_range": 1.0},
            constants=("mean",),
        ),
        Layout(
            whose="yjn870's RCAN-pytorch",
            names={
                "sf": "head",
                "rgs.{i}.module.{j}.module.3.module.{k}": "body.body.{i}.body.{j}.attention.gate.{k-1}",
                "rgs.{i}.module.{j}.module.{k}": "body.body.{i}.body.{j}.body.{k}",
                "rgs.{i}.module.{j}": "body.body.{i}.body.{j}",
                "conv1": "body.body.{n}",
                "upscale.0": "tail.0.0",
                "conv2": "tail.1",
            },
            arguments={"value_range": 1.0, "mean": BLACK, "upsampler": "direct"},
        ),
    )
    after_features = ("shift", "tail")
    untraced: ClassVar = {
        "value_range": (255.0, 1.0),
        "res_scale": (1.0, 0.1),
        "mean": (DIV2K_MEAN, MEAN_OF_255),
    }
    spandrel: ClassVar = {
        "scale": (2, 3, 4, 8),
        "res_scale": (1.0,),
        "attention": ("channel",),
        "norm": ("none",),
        "block": ("residual",),
        "upsampler": ("pixel_shuffle",),
    }

    scale: int = 2
    num_features: int = 64
    num_groups: int = 10
    num_blocks: int = 20
    reduction: int = 16
    res_scale: float = 1.0
    value_range: float = 255.0
    mean: Sequence[float] = DIV2K_MEAN
    attention: str = "channel"
    norm: str = "none"
    block: str = "residual"
    upsampler: str = "pixel_shuffle"

    def build_net(self) -> nn.Module:
        return RCANNet(self)

    @property
    def looks_everywhere(self) -> bool:  # type: ignore[override]
        """As its blocks."""
        return looks_at_all(self.block, self.attention, self.norm)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width = layers.outputs("head")
        return {
            "scale": layers.steps("tail.0.{i}"),
            "num_features": width,
            "num_groups": layers.count("body.body.{i}.body.0.body.0"),
            "num_blocks": layers.count("body.body.0.body.{i}.body.0"),
            "reduction": width // layers.outputs("body.body.0.body.0.attention.gate.0"),
        }

    def for_spandrel(self, state: State) -> State:
        """With the mean colour as layers, and the weights at both ends for 0...255, in which spandrel's computes."""
        factor, mean = self.value_range / 255, 255 * torch.tensor([*self.mean])
        ends = {name: state[name] / factor for name in ("tail.1.weight", "tail.1.bias")}
        ends["head.0.weight"] = state["head.0.weight"] * factor
        shift = {f"{side}_mean.weight": torch.eye(3).view(3, 3, 1, 1) for side in ("sub", "add")}
        return {**state, **ends, **shift, "sub_mean.bias": -mean, "add_mean.bias": mean}
