"""DAT: attention between pixels and attention between channels, in turn, each beside a convolution."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks.attention import mean_of_map
from sr_lightning.blocks.transformer import (
    StochasticDepth,
    TransformerNet,
    group_conv,
    rising,
    to_channels,
    to_map,
)
from sr_lightning.blocks.windows import (
    Size,
    added_by,
    attend,
    check_windows,
    from_windows,
    relative_positions,
    shifted_mask,
    to_windows,
)
from sr_lightning.errors import ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import DIRECT_TAIL, SHUFFLED_TAIL, Layers, Layout, State, tail_of


class ComputedBias(nn.Module):
    """A number for every distance between two pixels of a window, for each head; a small network computes it.

    **Paper:** Wang et al., CrossFormer: A Versatile Vision Transformer Hinging on Cross-scale Attention, ICLR 2022.

    Example:
        >>> ComputedBias(8, 2, (2, 4))().shape
        torch.Size([2, 8, 8])
    """

    index: Tensor
    distances: Tensor

    def __init__(self, width: int, num_heads: int, size: Size) -> None:
        super().__init__()
        rows, columns = (torch.arange(1 - length, length) for length in size)
        self.register_buffer("distances", torch.cartesian_prod(rows, columns).float(), persistent=False)
        self.register_buffer("index", relative_positions(size), persistent=False)
        layers: list[nn.Module] = [nn.Linear(2, width)]
        for outputs in (width, width, num_heads):
            layers += [nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, outputs)]
        self.layers = nn.Sequential(*layers)

    def forward(self) -> Tensor:
        """The numbers ``(heads, pixels, pixels)``."""
        numbers = self.layers(self.distances).t()
        return numbers.index_select(1, self.index.flatten()).view(-1, *self.index.shape)  # type: ignore[no-any-return]


class Interaction(nn.Module):
    """Adds two maps; a gate for each channel of the first comes of the second, one for each pixel of it of the first.

    Example:
        >>> Interaction(16).eval()(torch.rand(1, 16, 4, 5), torch.rand(1, 16, 4, 5)).shape
        torch.Size([1, 16, 4, 5])
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.of_channels = _gate(num_features, num_features // 8, num_features)
        self.of_pixels = _gate(num_features, num_features // 16, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        gate = self.of_channels(mean_of_map(second).to(second.dtype))
        return first * gate + second * self.of_pixels(first)  # type: ignore[no-any-return]


def _gate(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, hidden, 1), nn.BatchNorm2d(hidden), nn.GELU(), nn.Conv2d(hidden, outputs, 1), nn.Sigmoid()
    )


class BesideConv(nn.Module):
    """What both kinds of attention have: their queries, keys and values, and a convolution of the values beside."""

    def __init__(self, num_features: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(num_features, 3 * num_features)
        self.proj = nn.Linear(num_features, num_features)
        conv = nn.Conv2d(num_features, num_features, 3, padding=1, groups=num_features)
        self.conv = nn.Sequential(conv, nn.BatchNorm2d(num_features), nn.GELU())
        self.interaction = Interaction(num_features)


class PixelAttention(BesideConv):
    """Half of the heads attend within windows of h x w pixels, the others within windows of w x h.

    Example:
        >>> PixelAttention(16, 2, (2, 4)).eval()(torch.rand(1, 5, 6, 16), [None, None]).shape
        torch.Size([1, 5, 6, 16])
    """

    def __init__(self, num_features: int, num_heads: int, window: Size) -> None:
        super().__init__(num_features, num_heads)
        self.sizes = [window, window[::-1]]
        self.biases = nn.ModuleList(
            ComputedBias(num_features // 2 // 4 // 4, num_heads // 2, size) for size in self.sizes
        )

    def forward(self, x: Tensor, masks: list[Tensor | None]) -> Tensor:
        height, width = x.shape[1:3]
        qkv = self.qkv(x)
        # Zeros follow the map, which pixels attend to as well.
        bottom, right = (whole(length, self.sizes[0]) - length for length in (height, width))
        padded = F.pad(qkv, (0, 0, 0, right, 0, bottom))
        halves = padded.view(*padded.shape[:3], 3, 2, -1).unbind(-2)
        out = torch.cat([self.attend(half, i, masks[i]) for i, half in enumerate(halves)], -1)
        conv = self.conv(to_channels(qkv.chunk(3, -1)[2]))
        return self.proj(to_map(self.interaction(to_channels(out[:, :height, :width]), conv)))  # type: ignore[no-any-return]

    def attend(self, qkv: Tensor, i: int, mask: Tensor | None) -> Tensor:
        """Attention of one half of the heads, from ``(N, H, W, 3, C)`` to ``(N, H, W, C)``; with a mask, shifted."""
        size, (height, width) = self.sizes[i], qkv.shape[1:3]
        shift = [length // 2 for length in size]
        if mask is not None:
            qkv = qkv.roll([-length for length in shift], (1, 2))
        q, k, v = to_windows(qkv, size).unbind(2)
        out = attend(q, k, v, self.num_heads // 2, self.biases[i](), mask)
        out = from_windows(out, size, height, width)
        return out if mask is None else out.roll(shift, (1, 2))


class ChannelAttention(BesideConv):
    """The channels of each head attend to one another by their likeness over the whole picture.

    Example:
        >>> ChannelAttention(16, 2).eval()(torch.rand(1, 5, 6, 16)).shape
        torch.Size([1, 5, 6, 16])
    """

    def __init__(self, num_features: int, num_heads: int) -> None:
        super().__init__(num_features, num_heads)
        self.temperature = nn.Parameter(torch.ones(num_heads, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x)
        q, k, v = qkv.view(x.shape[0], -1, 3, self.num_heads, x.shape[-1] // self.num_heads).permute(2, 0, 3, 1, 4)
        likeness = F.normalize(q, dim=2).transpose(-2, -1) @ F.normalize(k, dim=2)
        weights = (likeness * self.temperature).softmax(-1)
        out = (v @ weights.transpose(-2, -1)).transpose(1, 2).reshape(x.shape)
        conv = self.conv(to_channels(qkv.chunk(3, -1)[2]))
        return self.proj(to_map(self.interaction(conv, to_channels(out))))  # type: ignore[no-any-return]


class GatedFeedForward(nn.Module):
    """Two linear layers on each pixel; between them, one half of the channels weighs the other after a convolution.

    Example:
        >>> GatedFeedForward(8, 16)(torch.rand(1, 4, 5, 8)).shape
        torch.Size([1, 4, 5, 8])
    """

    def __init__(self, num_features: int, hidden: int) -> None:
        super().__init__()
        half = hidden // 2
        self.first = nn.Linear(num_features, hidden)
        self.norm = nn.LayerNorm(half)
        self.conv = nn.Conv2d(half, half, 3, padding=1, groups=half)
        self.last = nn.Linear(half, num_features)

    def forward(self, x: Tensor) -> Tensor:
        one, other = F.gelu(self.first(x)).chunk(2, -1)
        return self.last(one * to_map(self.conv(to_channels(self.norm(other)))))  # type: ignore[no-any-return]


class DATBlock(nn.Module):
    """Attention, then a feed-forward layer, each normalised before and added to its input."""

    def __init__(self, attention: BesideConv, num_features: int, hidden: int, drop: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(num_features), nn.LayerNorm(num_features)
        self.attention = attention
        self.mlp = GatedFeedForward(num_features, hidden)
        self.drop = StochasticDepth(drop)

    def forward(self, x: Tensor, *masks: list[Tensor | None]) -> Tensor:
        """A block in which pixels attend takes two masks of windows, or None where these are not shifted."""
        x = x + self.drop(self.attention(self.norm1(x), *masks))
        return x + self.drop(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


class DATGroup(nn.Module):
    """Blocks, a convolution and a skip around them; every fourth block has shifted windows."""

    def __init__(self, args: "DAT", drops: list[float], first_shifted: int) -> None:
        super().__init__()
        width, heads = args.num_features, args.num_heads
        self.shifted = range(first_shifted, len(drops), 4)
        self.blocks = nn.ModuleList(
            DATBlock(
                ChannelAttention(width, heads) if i % 2 else PixelAttention(width, heads, _size(args.window)),
                width,
                int(width * args.mlp_ratio),
                drop,
            )
            for i, drop in enumerate(drops)
        )
        self.conv = group_conv(width, args.narrow_convs)

    def forward(self, x: Tensor, masks: list[Tensor | None]) -> Tensor:
        deep = x
        for i, block in enumerate(self.blocks):
            deep = block(deep) if i % 2 else block(deep, masks if i in self.shifted else [None, None])
        return x + to_map(self.conv(to_channels(deep)))


class DATBody(nn.Module):
    """The groups, on maps ``(N, H, W, C)`` of any size."""

    def __init__(self, args: "DAT") -> None:
        super().__init__()
        drops, per = rising(args.drop_path, args.num_groups * args.num_blocks), args.num_blocks
        self.sizes = [_size(args.window), _size(args.window)[::-1]]
        self.groups = nn.ModuleList(
            DATGroup(args, drops[i * per : (i + 1) * per], 0 if i % 2 else 2) for i in range(args.num_groups)
        )

    def forward(self, x: Tensor) -> Tensor:
        masks = masks_of(x.shape[1], x.shape[2], self.sizes, like=x)
        for group in self.groups:
            x = group(x, masks)
        return x


def masks_of(height: int, width: int, sizes: list[Size], like: Tensor) -> list[Tensor]:
    """The masks of windows that are shifted by their halves, on a map that zeros follow to whole windows."""
    height, width = whole(height, sizes[0]), whole(width, sizes[0])
    return [shifted_mask(height, width, size, (size[0] // 2, size[1] // 2), like) for size in sizes]


def whole(length: int, size: Size) -> int:
    """The length of whole windows, of both kinds, that cover a length."""
    multiple = math.lcm(*size)
    return (length + multiple - 1) // multiple * multiple


def _size(window: Sequence[int]) -> Size:
    if not isinstance(window, list | tuple) or len(window) != 2 or any(side < 2 or side % 2 for side in window):
        raise ConfigError(f"window={window}: must be two even numbers, such as [8,32]")
    height, width = window  # a list, if it is of a config
    return height, width


_BLOCK, _OURS = "layers.{i}.blocks.{j}", "body.groups.{i}.blocks.{j}"
_BIAS = {"pos_proj": 0, "pos1.0": 1, "pos1.2": 3, "pos2.0": 4, "pos2.2": 6, "pos3.0": 7, "pos3.2": 9}
_NAMES = {
    "conv_first": "head",
    "before_RG.1": "first_norm",
    f"{_BLOCK}.norm1": f"{_OURS}.norm1",
    f"{_BLOCK}.attn.temperature": f"{_OURS}.attention.temperature",
    f"{_BLOCK}.attn.qkv": f"{_OURS}.attention.qkv",
    f"{_BLOCK}.attn.proj": f"{_OURS}.attention.proj",
    **{f"{_BLOCK}.attn.attns.{{k}}.pos.{t}": f"{_OURS}.attention.biases.{{k}}.layers.{o}" for t, o in _BIAS.items()},
    f"{_BLOCK}.attn.dwconv.{{k}}": f"{_OURS}.attention.conv.{{k}}",
    f"{_BLOCK}.attn.channel_interaction.{{k+1}}": f"{_OURS}.attention.interaction.of_channels.{{k}}",
    f"{_BLOCK}.attn.spatial_interaction.{{k}}": f"{_OURS}.attention.interaction.of_pixels.{{k}}",
    f"{_BLOCK}.norm2": f"{_OURS}.norm2",
    f"{_BLOCK}.ffn.fc1": f"{_OURS}.mlp.first",
    f"{_BLOCK}.ffn.sg.norm": f"{_OURS}.mlp.norm",
    f"{_BLOCK}.ffn.sg.conv": f"{_OURS}.mlp.conv",
    f"{_BLOCK}.ffn.fc2": f"{_OURS}.mlp.last",
    "layers.{i}.conv": "body.groups.{i}.conv",
    "layers.{i}.conv.{k}": "body.groups.{i}.conv.{k}",
    "norm": "last_norm",
    "conv_after_body": "last",
    "conv_after_body.{k}": "last.{k}",
}
_DISTANCES, _INDEX = f"{_BLOCK}.attn.attns.{{k}}.rpe_biases", f"{_BLOCK}.attn.attns.{{k}}.relative_position_index"
_CONSTANTS = (_DISTANCES, _INDEX, f"{_BLOCK}.attn.attn_mask_{{k}}")


def _window(constants: State) -> dict[str, Any]:
    """The largest distance in a window is one less than its sides."""
    for name, distances in constants.items():
        if name.endswith("attns.0.rpe_biases"):
            return {"window": tuple(int(side) + 1 for side in distances[-1])}
    return {}


@network
class DAT(SuperResolutionModule):
    """DAT, the dual aggregation transformer.

    **Paper:** Chen, Zhang, Gu, Kong, Yang, Yu, Dual Aggregation Transformer for Image Super-Resolution, ICCV 2023.
    ``model=dat_light`` is the light network; DAT-S has ``window=[8,16]`` and ``mlp_ratio=2.0``, DAT-2 the latter.
    Files of the authors load with ``weights=FILE``. Pictures of any size are computed as they are: zeros follow the
    queries, keys and values to whole windows.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_groups: Number of groups.
        num_blocks: Blocks of each group; pixels attend in the first, channels in the second, and so on.
        num_heads: Heads of the attention, an even number.
        window: Rows and columns of the windows of half of the heads; those of the others lie across.
        mlp_ratio: Factor by which the feed-forward layers widen the channels.
        upsampler: ``pixel_shuffle``, or ``direct`` as in the light network.
        narrow_convs: Whether three narrow convolutions end each group, in place of one.
        drop_path: In training, the part of pictures for which the last block is left out.

    Example:
        >>> import torch
        >>> net = DAT(scale=2, num_features=16, num_groups=1, num_blocks=2, num_heads=2, window=(2, 4))
        >>> net.eval()(torch.rand(1, 3, 9, 6)).shape
        torch.Size([1, 3, 18, 12])
    """

    layouts = (
        Layout(
            whose="DAT",
            names=_NAMES | DIRECT_TAIL,
            constants=_CONSTANTS,
            read_constants=_window,
        ),
        Layout(
            whose="DAT",
            names=_NAMES | SHUFFLED_TAIL,
            constants=_CONSTANTS,
            read_constants=_window,
        ),
    )
    after_features = ("shift", "tail")
    untraced: ClassVar = {"window": ((8, 32), (8, 16)), "drop_path": (0.1, 0.0)}
    spandrel: ClassVar = {"scale": (2, 3, 4, 8)}

    scale: int = 4
    num_features: int = 180
    num_groups: int = 6
    num_blocks: int = 6
    num_heads: int = 6
    window: Sequence[int] = (8, 32)
    mlp_ratio: float = 4.0
    upsampler: str = "pixel_shuffle"
    narrow_convs: bool = False
    drop_path: float = 0.1

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        check_windows(self.num_features, self.num_heads)
        if self.num_heads % 2:
            raise ConfigError(f"num_heads={self.num_heads}: must be even, because halves of them have other windows")
        last = group_conv(self.num_features, self.narrow_convs)
        return TransformerNet(DATBody(self), self.num_features, self.scale, self.upsampler, last)

    @property
    def tile_multiple(self) -> int:
        """Tiles have the windows of the whole picture."""
        return math.lcm(*self.window)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width, block = layers.outputs("head"), "body.groups.0.blocks.0"
        return {
            **tail_of(layers),
            "num_features": width,
            "num_groups": layers.count("body.groups.{i}.blocks.0.norm1"),
            "num_blocks": layers.count("body.groups.0.blocks.{j}.norm1"),
            "num_heads": 2 * layers.outputs(f"{block}.attention.biases.0.layers.9"),
            "mlp_ratio": layers.outputs(f"{block}.mlp.first") / width,
            "narrow_convs": "last.0" in layers,
        }

    def for_spandrel(self, state: State) -> State:
        """With what follows of the windows, of pictures of 64x64 pixels."""
        sizes = [_size(self.window), _size(self.window)[::-1]]
        masks = [added_by(mask) for mask in masks_of(64, 64, sizes, like=torch.zeros(1))]
        more = {}
        for i, group in enumerate(self.net.body.groups):  # type: ignore[union-attr,arg-type]
            for j, block in enumerate(group.blocks):
                place = f"layers.{i}.blocks.{j}.attn"
                for k, bias in enumerate(getattr(block.attention, "biases", ())):
                    more[f"{place}.attns.{k}.rpe_biases"] = bias.distances
                    more[f"{place}.attns.{k}.relative_position_index"] = bias.index
                    if j in group.shifted:
                        more[f"{place}.attn_mask_{k}"] = masks[k]
        return state | more
