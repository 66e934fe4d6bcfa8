"""MDSR: one body of residual blocks for several scales."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import DIV2K_MEAN, MeanShift, ResidualBlock, upsampler
from sr_lightning.errors import ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import BLACK, MEAN_SHIFT, Layers, Layout, State, mean_colour


class MDSRNet(nn.Module):
    """Head, two 5x5 blocks of the scale, common body, upsampler of the scale, last convolution."""

    def __init__(self, args: "MDSR") -> None:
        super().__init__()
        if args.scale not in args.scales:
            raise ConfigError(
                f"scale={args.scale}: this network has parts for {', '.join(map(str, args.scales))}; add it to scales"
            )
        self.scale = args.scale
        self.shift = MeanShift(args.value_range, args.mean)
        self.head = nn.Conv2d(3, args.num_features, 3, padding=1)
        self.preparation = nn.ModuleDict(
            {
                str(s): nn.Sequential(*(ResidualBlock(args.num_features, kernel_size=5) for _ in range(2)))
                for s in args.scales
            }
        )
        self.body = nn.Sequential(
            *(
                ResidualBlock(args.num_features, args.res_scale, attention=args.attention)
                for _ in range(args.num_blocks)
            ),
            nn.Conv2d(args.num_features, args.num_features, 3, padding=1),
        )
        self.upsamplers = nn.ModuleDict({str(s): upsampler(args.num_features, s) for s in args.scales})
        self.tail = nn.Conv2d(args.num_features, 3, 3, padding=1)

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        key = str(scale or self.scale)
        if key not in self.upsamplers:
            raise ConfigError(f"MDSR has parts for the scales {', '.join(self.upsamplers)}, none for {key}")
        x = self.preparation[key](self.head(self.shift(lr)))
        return self.shift.undo(self.tail(self.upsamplers[key](self.body(x) + x)))


def _of_super_image(state: State) -> State:
    """The first blocks as 5x5 convolutions whose residual is not reduced: it has 3x3, and multiplies it by 0.1."""

    def prepared(name: str, value: Tensor) -> Tensor:
        if not name.startswith("pre_process."):
            return value
        value = F.pad(value, (1, 1, 1, 1)) if value.ndim == 4 and value.shape[-1] == 3 else value
        return 0.1 * value if ".body.2." in name else value

    return {name: prepared(name, value) for name, value in state.items()}


@network
class MDSR(SuperResolutionModule):
    """MDSR, 80 blocks of 64 features as in the paper; the baseline has 16.

    **Paper:** Lim, Son, Kim, Nah, Lee, Enhanced Deep Residual Networks for Single Image Super-Resolution,
    CVPRW 2017, section 3.3.

    Every scale has its own first blocks and upsampler. A batch uses those of its scale, so the others get no gradient.
    ``fit`` tells this to distributed training.

    Args:
        scale: Used if a batch has no scale.
        scales: Scales that the network has parts for.
        num_features: Channels of all blocks.
        num_blocks: Residual blocks that the scales share.
        res_scale: Factor of each of their residuals.
        value_range: The value of white inside the network; the authors compute in 0...255.
        mean: The colour that is subtracted before, in [0, 1].
        attention: In the body: none, channel, channel_full, spatial, sa, msa, mpr_sa, mix, or a sum of these.

    Example:
        >>> import torch
        >>> MDSR(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8), scale=4).shape
        torch.Size([1, 3, 32, 32])
    """

    layouts = (
        Layout(
            whose="EDSR-PyTorch",
            names={
                "head.0": "head",
                "pre_process.{i}.{j}.body.{k}": "preparation.{i+2}.{j}.body.{k}",
                "body.{i}.body.{j}": "body.{i}.body.{j}",
                "body.{i}": "body.{i}",
                "upsample.{i}.{j}": "upsamplers.{i+2}.{j}",
                "tail.0": "tail",
            },
            constants=MEAN_SHIFT,
            read_constants=mean_colour,
        ),
        Layout(
            whose="super-image",
            names={
                "head.0.0": "head",
                "pre_process.{i}.{j}.body.{k}.0": "preparation.{i}.{j}.body.{k}",
                "body.{i}.body.{j}.0": "body.{i}.body.{j}",
                "body.{i}.0": "body.{i}",
                "upsample.{i}.{j}.0": "upsamplers.{i}.{j}",
                "tail.0.0": "tail",
            },
            arguments={"value_range": 1.0, "mean": BLACK, "res_scale": 0.1},
            constants=MEAN_SHIFT,  # in its files, but it does not use them
            prepare=_of_super_image,
        ),
    )
    untraced: ClassVar = {"value_range": (255.0, 1.0), "res_scale": (1.0, 0.1), "mean": (DIV2K_MEAN, BLACK)}

    multi_scale: ClassVar[bool] = True

    scale: int = 2
    scales: Sequence[int] = (2, 3, 4)
    num_features: int = 64
    num_blocks: int = 80
    res_scale: float = 1.0
    value_range: float = 255.0
    mean: Sequence[float] = DIV2K_MEAN
    attention: str = "none"

    def build_net(self) -> nn.Module:
        return MDSRNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        scales = sorted({i for j in (0, 2) for i in range(2, 9) if f"upsamplers.{i}.{j}" in layers})
        return {
            "scale": scales[0],
            "scales": scales,
            "num_features": layers.outputs("head"),
            "num_blocks": layers.count("body.{i}.body.0"),
        }
