"""HAT: attention within windows beside attention to channels, and attention to windows that overlap."""

from math import isqrt
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sr_lightning.blocks import ChannelAttention
from sr_lightning.blocks.transformer import (
    StochasticDepth,
    TransformerNet,
    WindowBody,
    feed_forward,
    rising,
    to_channels,
    to_map,
)
from sr_lightning.blocks.windows import (
    RelativeBias,
    WindowAttention,
    attend,
    check_windows,
    from_windows,
    overlapping_windows,
    relative_positions,
    to_windows,
)
from sr_lightning.errors import ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import SHUFFLED_TAIL, Layers, Layout, State, tail_of

CONV_WEIGHT = 0.01  # of the channel attention beside the attention in windows


def overlapping_positions(window: int, size: int) -> Tensor:
    """Where each pair of a pixel and a key of a larger window stands in the authors' table, ``(pixels, keys)``.

    The authors' numbers begin below zero, which counts from the end of the table.

    Example:
        >>> overlapping_positions(1, 3)
        tensor([[5, 6, 7, 8, 0, 1, 2, 3, 4]])
    """
    side = window + size - 1
    along = torch.arange(size) - torch.arange(window)[:, None] + window - size + 1
    index = along[:, None, :, None] * side + along[None, :, None, :]
    return index.flatten(2).flatten(0, 1) % side**2


class HybridBlock(nn.Module):
    """Attention within windows and to channels, both of the same features, then a feed-forward layer (HAB).

    Example:
        >>> args = HAT(num_features=12, num_groups=1, num_blocks=1, num_heads=3, window=4, key_window=6, reduction=4)
        >>> HybridBlock(args, shift=0, drop=0.0)(torch.rand(1, 8, 4, 12)).shape
        torch.Size([1, 8, 4, 12])
    """

    def __init__(self, args: "HAT", shift: int, drop: float) -> None:
        super().__init__()
        width, narrow = args.num_features, args.num_features // args.compression
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = WindowAttention(width, args.num_heads, args.window, shift)
        self.channels = nn.Sequential(
            nn.Conv2d(width, narrow, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(narrow, width, 3, padding=1),
            ChannelAttention(width, args.reduction),
        )
        self.mlp = feed_forward(width, int(width * args.mlp_ratio))
        self.drop = StochasticDepth(drop)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        normed = self.norm1(x)
        of_channels = to_map(self.channels(to_channels(normed)))
        x = x + self.drop(self.attention(normed, mask)) + CONV_WEIGHT * of_channels
        return x + self.drop(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class OverlappingBlock(nn.Module):
    """Pixels of each window attend to a larger window around it (OCAB)."""

    def __init__(self, args: "HAT") -> None:
        super().__init__()
        width = args.num_features
        self.num_heads, self.window, self.key_window = args.num_heads, args.window, args.key_window
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        distances = (args.window + args.key_window - 1) ** 2
        self.bias = RelativeBias(args.num_heads, overlapping_positions(args.window, args.key_window), distances)
        self.proj = nn.Linear(width, width)
        self.mlp = feed_forward(width, int(width * args.mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        size, (_, height, width, channels) = (self.window, self.window), x.shape
        queries, keys = self.qkv(self.norm1(x)).split((channels, 2 * channels), -1)
        k, v = overlapping_windows(keys, self.window, self.key_window).chunk(2, -1)
        out = attend(to_windows(queries, size), k, v, self.num_heads, self.bias())
        x = x + self.proj(from_windows(out, size, height, width))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class HybridGroup(nn.Module):
    """Hybrid blocks, an overlapping one, a convolution, and a skip around them (RHAG)."""

    def __init__(self, args: "HAT", drops: list[float]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            HybridBlock(args, (i % 2) * (args.window // 2), drop) for i, drop in enumerate(drops)
        )
        self.overlapping = OverlappingBlock(args)
        self.conv = nn.Conv2d(args.num_features, args.num_features, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        deep = x
        for block in self.blocks:
            deep = block(deep, mask)
        return x + to_map(self.conv(to_channels(self.overlapping(deep))))


_GROUP = "layers.{i}.residual_group"
_BLOCK, _OURS = f"{_GROUP}.blocks.{{j}}", "body.groups.{i}.blocks.{j}"
_NAMES = {
    "conv_first": "head",
    "patch_embed.norm": "first_norm",
    f"{_BLOCK}.norm1": f"{_OURS}.norm1",
    f"{_BLOCK}.attn.relative_position_bias_table": f"{_OURS}.attention.bias.table",
    f"{_BLOCK}.attn.qkv": f"{_OURS}.attention.qkv",
    f"{_BLOCK}.attn.proj": f"{_OURS}.attention.proj",
    f"{_BLOCK}.conv_block.cab.{{k}}": f"{_OURS}.channels.{{k}}",
    f"{_BLOCK}.conv_block.cab.3.attention.{{k}}": f"{_OURS}.channels.3.gate.{{k-1}}",
    f"{_BLOCK}.norm2": f"{_OURS}.norm2",
    f"{_BLOCK}.mlp.fc1": f"{_OURS}.mlp.0",
    f"{_BLOCK}.mlp.fc2": f"{_OURS}.mlp.2",
    f"{_GROUP}.overlap_attn.relative_position_bias_table": "body.groups.{i}.overlapping.bias.table",
    f"{_GROUP}.overlap_attn.mlp.fc1": "body.groups.{i}.overlapping.mlp.0",
    f"{_GROUP}.overlap_attn.mlp.fc2": "body.groups.{i}.overlapping.mlp.2",
    **{
        f"{_GROUP}.overlap_attn.{layer}": f"body.groups.{{i}}.overlapping.{layer}"
        for layer in ("norm1", "norm2", "qkv", "proj")
    },
    "layers.{i}.conv": "body.groups.{i}.conv",
    "norm": "last_norm",
    "conv_after_body": "last",
    **SHUFFLED_TAIL,
}


@network
class HAT(SuperResolutionModule):
    """HAT, the hybrid attention transformer.

    **Paper:** Chen, Wang, Zhou, Qiao, Dong, Activating More Pixels in Image Super-Resolution Transformer, CVPR 2023.
    ``model=hat_s`` is the small network of the paper. The authors' files load with ``weights=FILE``. The picture is
    mirrored at the bottom and the right to whole windows.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_groups: Number of groups; 12 in HAT-L.
        num_blocks: Hybrid blocks of each group; every other one has shifted windows.
        num_heads: Heads of the attention.
        window: Side of a window, even.
        key_window: Side of the larger window that the overlapping block attends to.
        compression: Factor by which the channel attention beside the windows narrows the channels first.
        reduction: Factor by which its gates reduce them.
        mlp_ratio: Factor by which the feed-forward layers widen the channels.
        drop_path: In training, the part of pictures for which the last block is left out.

    Example:
        >>> import torch
        >>> tiny = {"num_features": 12, "num_groups": 1, "num_blocks": 2, "num_heads": 3, "reduction": 4}
        >>> HAT(scale=2, window=4, key_window=6, **tiny)(torch.rand(1, 3, 9, 6)).shape
        torch.Size([1, 3, 18, 12])
    """

    layouts = (
        Layout(
            whose="HAT",
            names=_NAMES,
            constants=("relative_position_index_SA", "relative_position_index_OCA"),
        ),
    )
    after_features = ("shift", "tail")
    untraced: ClassVar = {"drop_path": (0.1, 0.0)}
    spandrel: ClassVar = {"scale": (2, 3, 4, 8)}

    scale: int = 4
    num_features: int = 180
    num_groups: int = 6
    num_blocks: int = 6
    num_heads: int = 6
    window: int = 16
    key_window: int = 24
    compression: int = 3
    reduction: int = 30
    mlp_ratio: float = 2.0
    drop_path: float = 0.1

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        check_windows(self.num_features, self.num_heads, self.window)
        if self.key_window < self.window or self.key_window % 2:
            raise ConfigError(f"key_window={self.key_window}: must be even, and no less than window={self.window}")
        drops, per = rising(self.drop_path, self.num_groups * self.num_blocks), self.num_blocks
        groups = (HybridGroup(self, drops[i * per : (i + 1) * per]) for i in range(self.num_groups))
        body = WindowBody(groups, self.window)
        return TransformerNet(body, self.num_features, self.scale, tail="pixel_shuffle", multiple=self.window)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        block, width = "body.groups.0.blocks.0", layers.outputs("head")
        rows, heads = layers.shape(f"{block}.attention.bias.table")
        window = (isqrt(rows) + 1) // 2
        return {
            "scale": tail_of(layers)["scale"],
            "num_features": width,
            "num_groups": layers.count("body.groups.{i}.conv"),
            "num_blocks": layers.count("body.groups.0.blocks.{j}.norm1"),
            "num_heads": heads,
            "window": window,
            "key_window": isqrt(layers.shape("body.groups.0.overlapping.bias.table")[0]) + 1 - window,
            "compression": width // layers.outputs(f"{block}.channels.0"),
            "reduction": width // layers.outputs(f"{block}.channels.3.gate.0"),
            "mlp_ratio": layers.outputs(f"{block}.mlp.0") / width,
        }

    def for_spandrel(self, state: State) -> State:
        """With the positions by which spandrel recognises it."""
        return state | {
            "relative_position_index_SA": relative_positions((self.window, self.window)),
            "relative_position_index_OCA": overlapping_positions(self.window, self.key_window),
        }
