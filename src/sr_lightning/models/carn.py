"""CARN: every step of a block, and every block, reads all outputs before it. One body serves three scales."""

import re
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from sr_lightning.blocks import MeanShift, pixel_shuffle, prime_factors, relu
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule


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

    scale: int = 4
    scales: Sequence[int] = (2, 3, 4)
    num_features: int = 64
    groups: int = 1
    recursive: bool = False

    def build_net(self) -> nn.Module:
        return CARNNet(self)

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Translates the authors' names, such as ``b1.b1.body.0.weight`` and ``upsample.up2.body.0.weight``."""
        outside = {"entry": "head", "exit": "tail"}

        def ours(name: str) -> str:
            name = re.sub(r"\bb(\d)\.", lambda m: f"steps.{int(m[1]) - 1}.", name)
            name = re.sub(r"\bc(\d)\.body\.0\.", lambda m: f"fuse.{int(m[1]) - 1}.", name)
            name = re.sub(r"^(?=steps|fuse)", "body.", name)
            name = re.sub(r"^upsample\.up(\d+)\.body\.", r"upsamplers.\1.", name)
            first, dot, rest = name.partition(".")
            return outside.get(first, first) + dot + rest

        fixed = {name: value for name, value in state.items() if name.startswith(("sub_mean.", "add_mean."))}
        self._check_shift(fixed)
        return super().published_state({ours(name): value for name, value in state.items() if name not in fixed})

    def _check_shift(self, fixed: dict[str, Tensor]) -> None:
        """The authors store the mean colour as 1x1 convolutions. Here it is fixed, so theirs must be equal."""
        mean = self.net.shift.mean.flatten().cpu()  # type: ignore[union-attr,operator]
        meant = {
            "sub_mean.shifter.weight": torch.eye(3), "sub_mean.shifter.bias": -mean,
            "add_mean.shifter.weight": torch.eye(3), "add_mean.shifter.bias": mean,
        }  # fmt: skip
        for name, value in fixed.items():
            same = name in meant and value.numel() == meant[name].numel()
            if not same or not torch.allclose(value.flatten().float().cpu(), meant[name].flatten(), atol=1e-4):
                raise CheckpointError(f"{name} is not the mean colour of DIV2K that CARN subtracts")
