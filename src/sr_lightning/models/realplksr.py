"""RealPLKSR: PLKSR with a normalisation, for pictures that are more than reduced."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import ChannelNorm, DySample, LargeKernelBlock
from sr_lightning.blocks.large_kernel import small_weights
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout, State


def _block(args: "RealPLKSR") -> LargeKernelBlock:
    width = args.num_features
    return LargeKernelBlock(
        width,
        args.num_large,
        args.kernel_size,
        activation=nn.Mish,
        attention=args.attention,
        norm_before=ChannelNorm(width) if args.layer_norm else None,
        norm_after=None if args.layer_norm else nn.GroupNorm(args.norm_groups, width),
    )


class RealPLKSRNet(nn.Module):
    """Head, a chain of blocks, one convolution, the repeated pixels of the input, and the enlargement of both."""

    def __init__(self, args: "RealPLKSR") -> None:
        super().__init__()
        width, scale = args.num_features, args.scale
        self.scale = scale
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(*(_block(args) for _ in range(args.num_blocks)))
        self.tail = nn.Conv2d(width, 3 * scale**2, 3, padding=1)
        self.upsampler: nn.Module = nn.PixelShuffle(scale)
        if args.dysample:
            self.upsampler = DySample(3 * scale**2, 3, scale, groups=3 if scale % 2 else 4)
        small_weights(self.head, self.tail)

    def forward(self, lr: Tensor) -> Tensor:
        repeated = F.pixel_unshuffle(F.interpolate(lr, scale_factor=self.scale), self.scale)
        return self.upsampler(self.tail(self.blocks(self.head(lr))) + repeated)  # type: ignore[no-any-return]


@network
class RealPLKSR(SuperResolutionModule):
    """RealPLKSR, the network of many models of OpenModelDB.

    **Source:** PLKSR's authors proposed it for stable training on real pictures, beside Lee, Yun, Ro, Partial Large
    Kernel CNNs for Efficient Super-Resolution, 2024; the framework neosr trains it. Weights of the community load with
    ``weights=FILE``. Groups of channels are normalised over the whole picture, unless ``layer_norm``.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_blocks: Number of blocks; 12 in the small one.
        kernel_size: Side of the large kernel, odd; 13 in the small one.
        num_large: Channels that the large kernel reads and makes.
        attention: Whether the blocks have attention.
        layer_norm: Whether each pixel is normalised by itself at the beginning of a block, in place of groups of
            channels at its end.
        norm_groups: Groups of channels.
        dysample: Whether the enlargement learns where to look.

    Example:
        >>> RealPLKSR(scale=2, num_features=8, num_blocks=2, num_large=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="RealPLKSR",
            names={
                "feats.{i}.channel_mixer.{k}": "blocks.{i-1}.mixer.{k}",
                "feats.{i}.lk.conv": "blocks.{i-1}.large.layer",
                "feats.{i}.attn.f.0": "blocks.{i-1}.attention.gate",
                "feats.{i}.refine": "blocks.{i-1}.fuse",
                "feats.{i}.layer_norm": "blocks.{i-1}.norm_before",
                "feats.{i}.norm": "blocks.{i-1}.norm_after",
                "feats.0": "head",
                "feats.{n}": "tail",
                "to_img.offset": "upsampler.offset",
                "to_img.scope": "upsampler.scope",
                "to_img.end_conv": "upsampler.fuse",
            },
            constants=("to_img.init_pos",),
        ),
    )
    untraced: ClassVar = {"norm_groups": (4,)}
    spandrel: ClassVar = {"norm_groups": (4,)}

    scale: int = 4
    num_features: int = 64
    num_blocks: int = 28
    kernel_size: int = 17
    num_large: int = 16
    attention: bool = True
    layer_norm: bool = False
    norm_groups: int = 4
    dysample: bool = False

    def build_net(self) -> nn.Module:
        return RealPLKSRNet(self)

    @property
    def looks_everywhere(self) -> bool:  # type: ignore[override]
        """Groups are normalised by the statistics of the picture."""
        return not self.layer_norm

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": layers.shuffled("tail"),
            "num_features": layers.outputs("head"),
            "num_blocks": layers.count("blocks.{i}.fuse"),
            "kernel_size": layers.kernel("blocks.0.large.layer"),
            "num_large": layers.outputs("blocks.0.large.layer"),
            "attention": "blocks.0.attention" in layers,
            "layer_norm": "blocks.0.norm_before" in layers,
            "dysample": "upsampler" in layers,
        }

    def for_spandrel(self, state: State) -> State:
        """With a number left out for the dropout before the last layer, and with the middles of the new pixels."""
        last, after = f"feats.{self.num_blocks + 1}.", f"feats.{self.num_blocks + 2}."
        state = {name.replace(last, after): value for name, value in state.items()}
        if not self.dysample:
            return state
        middles = (torch.arange(self.scale) + 0.5) / self.scale - 0.5
        down, across = torch.meshgrid(middles, middles, indexing="ij")
        groups = 3 if self.scale % 2 else 4
        places = torch.cat([across.flatten().repeat(groups), down.flatten().repeat(groups)])
        return {**state, "to_img.init_pos": places.view(1, -1, 1, 1)}
