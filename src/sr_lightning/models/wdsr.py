"""WDSR: many channels before each activation, weight normalisation, and a skip around everything."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from sr_lightning import blocks
from sr_lightning.blocks import DIV2K_MEAN, MeanShift, ResidualBlock, pixel_shuffle, weight_normed
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout

GREY = (0.5, 0.5, 0.5)


class WDSRNet(nn.Module):
    """Wide blocks and a pixel shuffle; a 5x5 convolution and a pixel shuffle are the skip around them."""

    def __init__(self, args: "WDSR") -> None:
        super().__init__()
        kind = {"A": "wide_a", "B": "wide_b"}.get(args.block, args.block)
        self.scale, self.unshuffle = args.scale, args.unshuffle
        channels, scale = 3 * args.unshuffle**2, args.scale * args.unshuffle
        self.shift = MeanShift(args.value_range, args.mean)
        self.head = nn.Conv2d(channels, args.num_features, 3, padding=1)
        width = args.expansion * args.num_features
        self.body = nn.Sequential(
            *(
                ResidualBlock(
                    args.num_features, args.res_scale, block=kind, attention=args.attention, norm=args.norm, width=width
                )
                for _ in range(args.num_blocks)
            )
        )
        self.tail = blocks.upsampler(args.num_features, scale, args.upsampler, out_channels=3)
        self.skip = pixel_shuffle(channels, 3, scale, kernel_size=5)
        if "weight" in args.norm:
            weight_normed(self)
            self._set_lengths()

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        x = blocks.unshuffle(self.shift(lr), self.unshuffle)
        sr: Tensor = self.shift.undo(self.tail(self.body(self.head(x))) + self.skip(x))
        return sr[..., : height * self.scale, : width * self.scale] if self.unshuffle > 1 else sr

    def _set_lengths(self) -> None:
        """Filters of length 1, but 2 at the start of a block and 1 / sqrt(blocks) at its end, as the authors begin."""
        for conv in (*_convs(self.head), *_convs(self.tail), *_convs(self.skip)):
            _set_length(conv, 1.0)
        for member in self.body:
            first, *middle, last = _convs(member.body)  # type: ignore[arg-type]
            for conv, length in ((first, 2.0), *((conv, 1.0) for conv in middle), (last, len(self.body) ** -0.5)):
                _set_length(conv, length)


def _convs(module: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]


def _set_length(conv: nn.Conv2d, length: float) -> None:
    nn.init.constant_(conv.parametrizations.weight.original0, length)  # type: ignore[union-attr, arg-type]
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]


@network
class WDSR(SuperResolutionModule):
    """WDSR-A and WDSR-B.

    **Paper:** Yu, Fan, Yang, Xu, Wang, Wang, Huang, Wide Activation for Efficient and Accurate Image Super-Resolution,
    2018. The middle convolution of block B begins with length 1, which the authors do not state.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels between the blocks: 32, or 128 of the large network.
        num_blocks: Number of blocks: 16, or 32 of the large network.
        expansion: How many times as many channels there are at the activation: 4 of A, 6 of B.
        block: A, B, or another that EDSR takes: residual, asymmetric, dca.
        res_scale: Factor of each residual.
        value_range: The value of white inside the network; the authors subtract the mean and divide 0...255 by 127.5.
        mean: The colour that is subtracted before, in [0, 1].
        attention: On every residual: none, channel, channel_full, spatial, sa, msa, mpr_sa, mix, or a sum of these.
        norm: none, batch, instance or weight.
        upsampler: Upsampler of the body: direct, pixel_shuffle, nearest or deconv.
        unshuffle: Factor by which the input is reduced into channels first, as in Real-ESRGAN; 1 leaves it as it is.

    Example:
        >>> import torch
        >>> WDSR(scale=2, num_features=8, num_blocks=2, block="B", expansion=6)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="WDSR",
            names={
                "head.0": "head",
                "body.{i}.body.{j}": "body.{i}.body.{j}",
                "tail.0": "tail.0",
                "skip.0": "skip.0",
            },
            constants=("rgb_mean",),
        ),
        Layout(
            whose="ychfan's wdsr",
            names={
                "body.0": "head",
                "body.{i}.body.{j}": "body.{i-1}.body.{j}",
                "body.{n}": "tail.0",
                "skip.0": "skip.0",
            },
            arguments={"value_range": 1.0, "mean": GREY},
        ),
    )
    untraced: ClassVar = {
        "value_range": (2.0, 255.0, 1.0),
        "res_scale": (1.0, 0.1),
        "mean": (DIV2K_MEAN, GREY),
    }

    scale_layers = ("tail", "skip")

    scale: int = 2
    num_features: int = 32
    num_blocks: int = 16
    expansion: int = 4
    block: str = "A"
    res_scale: float = 1.0
    value_range: float = 2.0
    mean: Sequence[float] = DIV2K_MEAN
    attention: str = "none"
    norm: str = "weight"
    upsampler: str = "direct"
    unshuffle: int = 1

    def build_net(self) -> nn.Module:
        return WDSRNet(self)

    @property
    def tile_multiple(self) -> int:
        """Tiles begin on multiples of the factor of unshuffling."""
        return self.unshuffle

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width, inner = layers.outputs("head"), layers.outputs("body.0.body.0")
        wide_b = "body.0.body.3" in layers
        unshuffle = math.isqrt(layers.inputs("head") // 3)
        return {
            "scale": layers.shuffled("skip.0") // unshuffle,
            "unshuffle": unshuffle,
            "num_features": width,
            "num_blocks": layers.count("body.{i}.body.0"),
            "expansion": inner // width,
            "block": "B" if wide_b else "A",
            "norm": "weight" if layers.is_normalised("head") else "none",
        }
