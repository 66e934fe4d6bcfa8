"""EDSR: residual blocks without normalisation, enlarged by pixel shuffle."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from sr_lightning import blocks
from sr_lightning.blocks import DIV2K_MEAN, MeanShift, PackedRaw, ResidualBlock, weight_normed
from sr_lightning.errors import ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import BLACK, MEAN_SHIFT, MIX_ATTENTION, Layers, Layout, mean_colour

EDSR_PYTORCH = {
    "head.0": "head",
    "body.{i}.body.{j}": "body.{i}.body.{j}",
    "body.{i}": "body.{i}",
    "tail.0.{i}": "tail.0.{i}",
    "tail.1": "tail.1",
}
MIX = {f"body.{{i}}.body.3.{theirs}": f"body.{{i}}.attention.{ours}" for theirs, ours in MIX_ATTENTION.items()}
LAYOUTS = (
    Layout(whose="EDSR-PyTorch", names=EDSR_PYTORCH, constants=MEAN_SHIFT, read_constants=mean_colour),
    Layout(whose="SRNet-zoom", names={**EDSR_PYTORCH, **MIX}, constants=MEAN_SHIFT, read_constants=mean_colour),
    Layout(
        whose="BasicSR",
        names={
            "conv_first": "head",
            "body.{i}.conv1": "body.{i}.body.0",
            "body.{i}.conv2": "body.{i}.body.2",
            "conv_after_body": "body.{n}",
            "upsample.{i}": "tail.0.{i}",
            "conv_last": "tail.1",
        },
    ),
    Layout(
        whose="mmagic",
        names={
            "conv_first": "head",
            "body.{i}.conv1": "body.{i}.body.0",
            "body.{i}.conv2": "body.{i}.body.2",
            "conv_after_body": "body.{n}",
            "upsample.{i}.upsample_conv": "tail.0.{2i}",
            "conv_last": "tail.1",
        },
        arguments={"value_range": 1.0},
    ),
    Layout(
        whose="Lornatang's EDSR-PyTorch",
        names={
            "conv1": "head",
            "trunk.{i}.rcb.{j}": "body.{i}.body.{j}",
            "conv2": "body.{n}",
            "upsampling.{i}.upsample_block.0": "tail.0.{2i}",
            "conv3": "tail.1",
        },
        arguments={"value_range": 255.0, "res_scale": 0.1},
        constants=("mean",),
    ),
)


class EDSRNet(nn.Module):
    """Head, ``num_blocks`` residual blocks with one long skip, upsampler and last convolution."""

    def __init__(self, args: "EDSR") -> None:
        super().__init__()
        width, raw = args.num_features, args.input == "raw"
        self.shift = None if raw else MeanShift(args.value_range, args.mean)
        self.head = nn.Conv2d(4 if raw else 3, width, 3, padding=1)
        member = partial(
            ResidualBlock, width, args.res_scale, block=args.block, attention=args.attention, norm=args.norm
        )
        self.body = nn.Sequential(*(member() for _ in range(args.num_blocks)), nn.Conv2d(width, width, 3, padding=1))
        # A packed mosaic has half the size of the mosaic.
        scale = 2 * args.scale if raw else args.scale
        self.tail = nn.Sequential(blocks.upsampler(width, scale, args.upsampler), nn.Conv2d(width, 3, 3, padding=1))
        if "weight" in args.norm:
            weight_normed(self)

    def features(self, lr: Tensor) -> Tensor:
        """What the tail enlarges, of a picture in the network's own range."""
        shallow = self.head(lr)
        return self.body(shallow) + shallow  # type: ignore[no-any-return]

    def forward(self, lr: Tensor) -> Tensor:
        sr: Tensor = self.tail(self.features(self.shift(lr) if self.shift else lr))
        return self.shift.undo(sr) if self.shift else sr


@network
class EDSR(SuperResolutionModule):
    """EDSR, baseline (16 blocks of 64 features) or as in the paper (32 of 256, residuals x 0.1).

    **Paper:** Lim, Son, Kim, Nah, Lee, Enhanced Deep Residual Networks for Single Image Super-Resolution,
    CVPRW 2017.

    Args:
        scale: Whole factor of enlargement, gradual by its prime factors.
        num_features: Channels of all blocks.
        num_blocks: Number of residual blocks.
        res_scale: Factor of each residual.
        value_range: The value of white inside the network; the authors compute in 0...255.
        mean: The colour that is subtracted before, in [0, 1]; super-image's networks have zeros.
        attention: On every residual: none, channel, channel_full, spatial, sa, msa, mpr_sa, mix, or a sum of these.
        norm: none, batch, instance or weight.
        block: residual, wide_a, wide_b, asymmetric or dca.
        upsampler: pixel_shuffle, direct, nearest or deconv.
        input: rgb or raw. With raw, the input is a packed mosaic of four channels. There is no mean shift, so
            ``value_range`` and ``mean`` have no effect, and white balance is the last step, as in SRNet's code.

    Example:
        >>> import torch
        >>> EDSR(scale=2, num_features=8, num_blocks=2, attention="mix")(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = LAYOUTS
    after_features = ("shift", "tail")
    untraced: ClassVar = {"value_range": (255.0, 1.0), "res_scale": (1.0, 0.1), "mean": (DIV2K_MEAN, BLACK)}

    scale: int = 2
    num_features: int = 64
    num_blocks: int = 16
    res_scale: float = 1.0
    value_range: float = 255.0
    mean: Sequence[float] = DIV2K_MEAN
    attention: str = "none"
    norm: str = "none"
    block: str = "residual"
    upsampler: str = "pixel_shuffle"
    input: Literal["rgb", "raw"] = "rgb"

    def build_net(self) -> nn.Module:
        if self.input not in ("rgb", "raw"):
            raise ConfigError(f"input={self.input}: there are rgb and raw")
        if self.input == "rgb":
            return EDSRNet(self)
        self.inputs = ("raw", "white_balance")  # type: ignore[misc]  # of all other networks a class variable
        return PackedRaw(EDSRNet(self), self.scale)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": layers.steps("tail.0.{i}"),
            "num_features": layers.outputs("head"),
            "num_blocks": layers.count("body.{i}.body.0"),
            "attention": "mix" if "body.0.attention.1" in layers else "none",
            "res_scale": 0.1 if layers.outputs("head") == 256 else 1.0,  # as the authors train the large one
        }
