"""SwinIR: attention within windows of the picture, which are shifted by half a window in every other block."""

from math import isqrt
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sr_lightning.blocks.transformer import (
    StochasticDepth,
    TransformerNet,
    WindowBody,
    feed_forward,
    group_conv,
    rising,
    to_channels,
    to_map,
)
from sr_lightning.blocks.windows import WindowAttention, added_by, check_windows, relative_positions, shifted_mask
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import DIRECT_TAIL, SHUFFLED_TAIL, Layers, Layout, State, tail_of


class SwinBlock(nn.Module):
    """Attention within windows, then a feed-forward layer, each normalised before and added to its input.

    Example:
        >>> import torch
        >>> SwinBlock(12, num_heads=3, window=4, hidden=24)(torch.rand(1, 8, 4, 12)).shape
        torch.Size([1, 8, 4, 12])
    """

    def __init__(
        self, num_features: int, num_heads: int, window: int, hidden: int, shift: int = 0, drop: float = 0
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(num_features), nn.LayerNorm(num_features)
        self.attention = WindowAttention(num_features, num_heads, window, shift)
        self.mlp = feed_forward(num_features, hidden)
        self.drop = StochasticDepth(drop)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.drop(self.attention(self.norm1(x), mask))
        return x + self.drop(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class SwinGroup(nn.Module):
    """Blocks, a convolution and a skip around them (the paper's RSTB)."""

    def __init__(self, args: "SwinIR", drops: list[float]) -> None:
        super().__init__()
        hidden = int(args.num_features * args.mlp_ratio)
        self.blocks = nn.ModuleList(
            SwinBlock(args.num_features, args.num_heads, args.window, hidden, (i % 2) * (args.window // 2), drop)
            for i, drop in enumerate(drops)
        )
        self.conv = group_conv(args.num_features, args.narrow_convs)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        deep = x
        for block in self.blocks:
            deep = block(deep, mask)
        return x + to_map(self.conv(to_channels(deep)))


_BLOCK, _OURS = "layers.{i}.residual_group.blocks.{j}", "body.groups.{i}.blocks.{j}"
_NAMES = {
    "conv_first": "head",
    "patch_embed.norm": "first_norm",
    f"{_BLOCK}.norm1": f"{_OURS}.norm1",
    f"{_BLOCK}.attn.relative_position_bias_table": f"{_OURS}.attention.bias.table",
    f"{_BLOCK}.attn.qkv": f"{_OURS}.attention.qkv",
    f"{_BLOCK}.attn.proj": f"{_OURS}.attention.proj",
    f"{_BLOCK}.norm2": f"{_OURS}.norm2",
    f"{_BLOCK}.mlp.fc1": f"{_OURS}.mlp.0",
    f"{_BLOCK}.mlp.fc2": f"{_OURS}.mlp.2",
    "layers.{i}.conv": "body.groups.{i}.conv",
    "layers.{i}.conv.{k}": "body.groups.{i}.conv.{k}",
    "norm": "last_norm",
    "conv_after_body": "last",
    "conv_after_body.{k}": "last.{k}",
}
_CONSTANTS = (f"{_BLOCK}.attn_mask", f"{_BLOCK}.attn.relative_position_index")


@network
class SwinIR(SuperResolutionModule):
    """SwinIR, groups of Swin transformer blocks.

    **Paper:** Liang, Cao, Sun, Zhang, Van Gool, Timofte, SwinIR: Image Restoration Using Swin Transformer, ICCVW 2021.
    ``model=swinir_light`` is the light network. Files of the authors, of KAIR and of BasicSR load with
    ``weights=FILE``, those for real photographs too (``upsampler: nearest``). The picture is mirrored at the bottom and
    the right to whole windows; the authors repeat its last row there, too.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_groups: Number of groups.
        num_blocks: Blocks of each group; every other one has shifted windows.
        num_heads: Heads of the attention.
        window: Side of a window, even.
        mlp_ratio: Factor by which the feed-forward layers widen the channels.
        upsampler: ``pixel_shuffle``, ``direct`` or ``nearest``.
        narrow_convs: Whether three narrow convolutions end each group, in place of one.
        drop_path: In training, the part of pictures for which the last block is left out.

    Example:
        >>> import torch
        >>> net = SwinIR(scale=2, num_features=12, num_groups=1, num_blocks=2, num_heads=3, window=4)
        >>> net(torch.rand(1, 3, 9, 6)).shape
        torch.Size([1, 3, 18, 12])
    """

    layouts = (
        Layout(whose="SwinIR", names=_NAMES | DIRECT_TAIL, constants=_CONSTANTS),
        Layout(
            whose="SwinIR",
            names=_NAMES | SHUFFLED_TAIL,
            constants=_CONSTANTS,
        ),
        Layout(
            whose="SwinIR for real photographs",
            names=_NAMES
            | {
                "conv_before_upsample.0": "tail.0.0",
                "conv_up{i}": "tail.1.{3i-2}",
                "conv_hr": "tail.2.0",
                "conv_last": "tail.3",
            },
            constants=_CONSTANTS,
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
    window: int = 8
    mlp_ratio: float = 2.0
    upsampler: str = "pixel_shuffle"
    narrow_convs: bool = False
    drop_path: float = 0.1

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        check_windows(self.num_features, self.num_heads, self.window)
        drops, per = rising(self.drop_path, self.num_groups * self.num_blocks), self.num_blocks
        groups = (SwinGroup(self, drops[i * per : (i + 1) * per]) for i in range(self.num_groups))
        body, last = WindowBody(groups, self.window), group_conv(self.num_features, self.narrow_convs)
        return TransformerNet(body, self.num_features, self.scale, self.upsampler, last, self.window)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        table, width = layers.shape("body.groups.0.blocks.0.attention.bias.table"), layers.outputs("head")
        return {
            **tail_of(layers),
            "num_features": width,
            "num_groups": layers.count("body.groups.{i}.blocks.0.norm1"),
            "num_blocks": layers.count("body.groups.0.blocks.{j}.norm1"),
            "num_heads": table[1],
            "window": (isqrt(table[0]) + 1) // 2,
            "mlp_ratio": layers.outputs("body.groups.0.blocks.0.mlp.0") / width,
            "narrow_convs": "last.0" in layers,
        }

    def for_spandrel(self, state: State) -> State:
        """With the positions and the masks by which spandrel recognises it."""
        side, size = 2 * self.window, (self.window, self.window)
        mask = added_by(shifted_mask(side, side, size, (self.window // 2, self.window // 2), like=torch.zeros(1)))
        for name in [name for name in state if name.endswith("attn.relative_position_bias_table")]:
            state[name.replace("bias_table", "index")] = relative_positions(size)
            if int(name.split(".")[4]) % 2:
                state[name.replace("attn.relative_position_bias_table", "attn_mask")] = mask.clone()
        return state
