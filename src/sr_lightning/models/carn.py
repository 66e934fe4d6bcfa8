"""CARN: every step of a block, and every block, reads all outputs before it. One body serves three scales."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sr_lightning.blocks import MeanShift, pixel_shuffle, prime_factors, relu
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import MEAN_SHIFT, Layers, Layout, State, mean_of_div2k


class CARNUnit(nn.Module):
    """Residual unit: two 3x3 convolutions; in groups, with a 1x1 convolution that mixes them again (CARN-M).

    Example:
        >>> CARNUnit(8, groups=2)(torch.rand(1, 8, 4, 5)).shape
        torch.Size([1, 8, 4, 5])
    """

    def __init__(self, num_features: int, groups: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(num_features, num_features, 3, padding=1, groups=groups),
            nn.ReLU(inplace=True),
            nn.Conv2d(num_features, num_features, 3, padding=1, groups=groups),
        )
        if groups > 1:
            self.body.extend([nn.ReLU(inplace=True), nn.Conv2d(num_features, num_features, 1)])

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.body(x)).relu()  # type: ignore[no-any-return]


class Cascade(nn.Module):
    """After each step, a 1x1 convolution brings input and all outputs so far back to ``num_features`` channels.

    Args:
        steps: One module for each step, or a single one that all steps share.
        num_features: Channels in and out of a step.
        num_steps: Number of steps.

    Example:
        >>> Cascade([nn.ReLU()], num_features=8, num_steps=3)(torch.rand(1, 8, 4, 5)).shape
        torch.Size([1, 8, 4, 5])
    """

    def __init__(self, steps: Sequence[nn.Module], num_features: int, num_steps: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.fuse = nn.ModuleList(nn.Conv2d((i + 2) * num_features, num_features, 1) for i in range(num_steps))

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for i, fuse in enumerate(self.fuse):
            outputs.append(self.steps[i % len(self.steps)](x))
            x = fuse(torch.cat(outputs, dim=1)).relu()
        return x


class CARNNet(nn.Module):
    """Head, a cascade of three cascades of three residual units, and an upsampler for each scale."""

    def __init__(self, args: "CARN") -> None:
        super().__init__()
        if args.scale not in args.scales:
            raise ConfigError(
                f"scale={args.scale} is not among the scales of CARN, model.scales={list(args.scales)}; add it"
            )
        self.scale, width = args.scale, args.num_features
        self.shift = MeanShift(1.0)
        self.head = nn.Conv2d(3, width, 3, padding=1)

        def block() -> Cascade:
            units = [CARNUnit(width, args.groups) for _ in range(1 if args.recursive else 3)]
            return Cascade(units, width, num_steps=3)

        self.body = Cascade([block() for _ in range(3)], width, num_steps=3)
        step = partial(pixel_shuffle, width, width, groups=args.groups, activation=relu)
        self.upsamplers = nn.ModuleDict(
            {
                str(s): nn.Sequential(*(layer for factor in prime_factors(s) for layer in step(factor)))
                for s in args.scales
            }
        )
        self.tail = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        scale = scale or self.scale
        if str(scale) not in self.upsamplers:
            raise ConfigError(f"this CARN has upsamplers for scales {', '.join(self.upsamplers)}, not for {scale}")
        deep = self.body(self.head(self.shift(lr)))
        return self.shift.undo(self.tail(self.upsamplers[str(scale)](deep)))


def _mean_of_white_1(constants: State) -> dict[str, Any]:
    """Checks that the mean colour is that of DIV2K, of pictures in [0, 1]; it is no argument."""
    stated = mean_of_div2k(constants).get("value_range", 1.0)
    if abs(stated - 1) > 1e-3:
        raise CheckpointError(f"it computes in 0...{stated:g}, and CARN in 0...1")
    return {}


def _with_scale(state: State) -> State:
    """An upsampler for one scale has no number in its name: steps of 2 are for 2 or 4, one of 3 is for 3."""
    first, width = state.get("upsample.up.body.0.weight"), len(state.get("entry.weight", ()))
    if first is None or not width:
        return state
    scale = 4 if "upsample.up.body.3.weight" in state else math.isqrt(len(first) // width)
    return {name.replace("upsample.up.", f"upsample.up{scale}."): value for name, value in state.items()}


@network
class CARN(SuperResolutionModule):
    """CARN, and with groups and shared units its small version CARN-M; one set of weights serves several scales.

    **Paper:** Ahn, Kang, Sohn, Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network,
    ECCV 2018. The ReLU before each pixel shuffle comes from the authors' code. Their weights load with
    ``weights=FILE``. The authors count 24 more parameters, which are the fixed mean colour.

    Args:
        scale: Used if a batch has no scale.
        scales: Scales that have an upsampler.
        num_features: Channels of all blocks.
        groups: Groups of the 3x3 convolutions in units and upsamplers; CARN-M has 4.
        recursive: Whether the three units of a block share their weights, as those of CARN-M do.

    Example:
        >>> import torch
        >>> CARN(scale=2, num_features=8)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    multi_scale: ClassVar[bool] = True
    layouts = (
        Layout(
            whose="CARN",
            names={
                "entry": "head",
                "b{i}.b{j}.body.{k}": "body.steps.{i-1}.steps.{j-1}.body.{k}",
                "b{i}.c{j}.body.0": "body.steps.{i-1}.fuse.{j-1}",
                "c{j}.body.0": "body.fuse.{j-1}",
                "upsample.up{i}.body.{j}": "upsamplers.{i}.{j}",
                "exit": "tail",
            },
            constants=("sub_mean.shifter", "add_mean.shifter", *MEAN_SHIFT),  # the latter in super-image's files
            read_constants=_mean_of_white_1,
            prepare=_with_scale,
        ),
    )

    scale: int = 4
    scales: Sequence[int] = (2, 3, 4)
    num_features: int = 64
    groups: int = 1
    recursive: bool = False

    def build_net(self) -> nn.Module:
        return CARNNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width, scales = layers.outputs("head"), layers.numbers("upsamplers.{i}.0")
        groups = width // layers.inputs("body.steps.0.steps.0.body.0")
        return {
            "scale": scales[-1],
            "scales": scales,
            "num_features": width,
            "groups": groups,
            "recursive": layers.count("body.steps.0.steps.{i}.body.0") == 1,
        }
