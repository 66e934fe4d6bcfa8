"""SPAN: attention without parameters, an odd function of the features themselves."""

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import MeanShift, pixel_shuffle
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule


class AttentionBlock(nn.Module):
    """Three convolutions; the sum with the input is weighed by a sigmoid of the last (the paper's SPAB).

    Example:
        >>> out, shallow = AttentionBlock(8)(torch.rand(1, 8, 4, 5))
        >>> out.shape, shallow.shape
        (torch.Size([1, 8, 4, 5]), torch.Size([1, 8, 4, 5]))
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(num_features, num_features, 3, padding=1) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The block's output, and its features after the first activation."""
        first, second, third = self.convs
        shallow = F.silu(first(x))
        deep: Tensor = third(F.silu(second(shallow)))
        return (x + deep) * (deep.sigmoid() - 0.5), shallow


class SPANNet(nn.Module):
    """Head, a chain of blocks, four of its maps fused, a single pixel shuffle; no skip around all of it."""

    def __init__(self, args: "SPAN") -> None:
        super().__init__()
        self.shift = MeanShift(args.value_range)
        self.head = nn.Conv2d(3, args.num_features, 3, padding=1)
        self.blocks = nn.ModuleList(AttentionBlock(args.num_features) for _ in range(args.num_blocks))
        self.last = nn.Conv2d(args.num_features, args.num_features, 3, padding=1)
        self.fuse = nn.Conv2d(4 * args.num_features, args.num_features, 1)
        self.tail = pixel_shuffle(args.num_features, 3, args.scale)

    def forward(self, lr: Tensor) -> Tensor:
        head = self.head(self.shift(lr))
        first, shallow = self.blocks[0](head)
        x = first
        for block in self.blocks[1:]:
            x, shallow = block(x)
        together = torch.cat([head, self.last(x), first, shallow], dim=1)
        return self.tail(self.fuse(together))  # type: ignore[no-any-return]


@network
class SPAN(SuperResolutionModule):
    """SPAN, the swift parameter-free attention network, as it won NTIRE 2024.

    **Paper:** Wan, Yu, Li, Chen, Zou, Liu, Yin, Zuo, Swift Parameter-free Attention Network for Efficient
    Super-Resolution, CVPRW 2024. Here every convolution is the single one that the paper's branches are merged into
    after training. The challenge's network is published in this form, and ``weights=FILE`` loads it. The fourth of the
    fused maps comes from the first activation of the last block. The input is shifted and scaled; the output is in
    [0, 1].

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks; 28 in the challenge, 48 or 52 in the paper.
        num_blocks: Number of attention blocks, 2 or more.
        value_range: The value of white at the input of the network.

    Example:
        >>> import torch
        >>> SPAN(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    scale: int = 4
    num_features: int = 28
    num_blocks: int = 6
    value_range: float = 255.0

    def build_net(self) -> nn.Module:
        return SPANNet(self)

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Translates the authors' names, such as ``block_1.c1_r.eval_conv.weight``."""
        outside = {"conv_1": "head", "conv_2": "last", "conv_cat": "fuse", "upsampler.0": "tail.0"}

        def ours(name: str) -> str:
            layer, _, kind = name.rpartition(".")
            layer = layer.removesuffix(".eval_conv")
            if match := re.fullmatch(r"block_(\d+)\.c([123])_r", layer):
                layer = f"blocks.{int(match[1]) - 1}.convs.{int(match[2]) - 1}"
            return f"{outside.get(layer, layer)}.{kind}"

        return super().published_state({ours(name): value for name, value in state.items()})
