"""PLKSR: a large kernel for a quarter of the channels."""

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import LargeKernelBlock, pixel_shuffle
from sr_lightning.blocks.large_kernel import small_weights
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout


class PLKSRNet(nn.Module):
    """Head, a chain of blocks, a single pixel shuffle, and the repeated pixels of the input."""

    def __init__(self, args: "PLKSR") -> None:
        super().__init__()
        self.scale = args.scale
        self.head = nn.Conv2d(3, args.num_features, 3, padding=1)
        self.blocks = nn.Sequential(
            *(
                LargeKernelBlock(
                    args.num_features,
                    args.num_large,
                    args.kernel_size,
                    expand_kernel=args.expand_kernel,
                    shrink_kernel=args.shrink_kernel,
                    attention=args.attention,
                )
                for _ in range(args.num_blocks)
            )
        )
        self.tail = pixel_shuffle(args.num_features, 3, args.scale)
        small_weights(self.head, self.tail)

    def forward(self, lr: Tensor) -> Tensor:
        repeated = F.interpolate(lr, scale_factor=self.scale)
        return self.tail(self.blocks(self.head(lr))) + repeated  # type: ignore[no-any-return]


@network
class PLKSR(SuperResolutionModule):
    """PLKSR, the partial large kernel network.

    **Paper:** Lee, Yun, Ro, Partial Large Kernel CNNs for Efficient Super-Resolution, 2024. The authors' weights load
    with ``weights=FILE``, but for those of their ablations with several kernels.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_blocks: Number of blocks; 12 in PLKSR-tiny.
        kernel_size: Side of the large kernel, odd; 13 in PLKSR-tiny.
        num_large: Channels that the large kernel reads and makes.
        expand_kernel: Side of a block's first convolution, to twice the channels.
        shrink_kernel: And of the second one, back; 1 is the default of the authors' class ("CCM"), and 3 is what the
            paper trains ("DCCM").
        attention: Whether the blocks have attention.

    Example:
        >>> import torch
        >>> PLKSR(scale=2, num_features=8, num_blocks=2, num_large=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="PLKSR",
            names={
                "feats.{i}.channe_mixer.{k}": "blocks.{i-1}.mixer.{k}",
                "feats.{i}.lk.conv": "blocks.{i-1}.large.layer",
                "feats.{i}.attn.f.0": "blocks.{i-1}.attention.gate",
                "feats.{i}.refine": "blocks.{i-1}.fuse",
                "feats.0": "head",
                "feats.{n}": "tail.0",
            },
        ),
    )
    spandrel: ClassVar = {"expand_kernel": (1, 3), "shrink_kernel": (1, 3)}

    scale: int = 4
    num_features: int = 64
    num_blocks: int = 28
    kernel_size: int = 17
    num_large: int = 16
    expand_kernel: int = 3
    shrink_kernel: int = 1
    attention: bool = True

    def build_net(self) -> nn.Module:
        return PLKSRNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": layers.shuffled("tail.0"),
            "num_features": layers.outputs("head"),
            "num_blocks": layers.count("blocks.{i}.fuse"),
            "kernel_size": layers.kernel("blocks.0.large.layer"),
            "num_large": layers.outputs("blocks.0.large.layer"),
            "expand_kernel": layers.kernel("blocks.0.mixer.0"),
            "shrink_kernel": layers.kernel("blocks.0.mixer.2"),
            "attention": "blocks.0.attention" in layers,
        }
