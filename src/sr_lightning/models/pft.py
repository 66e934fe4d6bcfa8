"""PFT: attention that each block narrows down to the pixels that the blocks before found to matter."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks.transformer import (
    ConvFeedForward,
    TransformerNet,
    channel_conv,
    group_conv,
    to_channels,
    to_map,
)
from sr_lightning.blocks.windows import (
    RelativeBias,
    check_windows,
    from_windows,
    relative_positions,
    shifted_mask,
    to_windows,
)
from sr_lightning.errors import ConfigError
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import DIRECT_TAIL, SHUFFLED_TAIL, Layers, Layout, tail_of


class AllPixels(NamedTuple):
    """Attention so far, to all pixels of a window: the exponents are ``q @ k.mT + bias``."""

    q: Tensor
    k: Tensor
    bias: Tensor


class Focus(NamedTuple):
    """Attention so far, to some pixels of a window: exponents, and which pixels, ``(windows, heads, pixels, some)``."""

    exponents: Tensor
    which: Tensor


class FocusedAttention(nn.Module):
    """Attention within windows; its weights are multiplied by those of the blocks before, and the largest are kept.

    Weights that are products are a softmax of sums, so that sums of exponents are handed on. Blocks whose windows lie
    otherwise have an attention of their own to hand on.

    Args:
        num_features: Channels in and out.
        num_heads: Heads that share the channels.
        window: Side of a window; the sides of the map are multiples of it.
        shift: By how many pixels the windows are shifted; ``forward`` then needs the mask of ``shifted_mask``.
        kept: How many pixels each pixel attends to.
        kernel_size: Side of the filters of the convolution of the values, which tells where pixels are.
        shared_bias: Whether the heads have their bias in common.

    Example:
        >>> x = torch.rand(1, 8, 4, 12)
        >>> out, focus = FocusedAttention(12, 3, window=4, shift=0, kept=5, kernel_size=3, shared_bias=False)(x)
        >>> out.shape, focus.which.shape
        (torch.Size([1, 8, 4, 12]), torch.Size([2, 3, 16, 5]))
    """

    def __init__(
        self,
        num_features: int,
        num_heads: int,
        window: int,
        shift: int,
        kept: int,
        kernel_size: int,
        shared_bias: bool,
    ) -> None:
        super().__init__()
        self.num_heads, self.size, self.shift, self.kept = num_heads, (window, window), shift, kept
        self.qkv = nn.Linear(num_features, 3 * num_features)
        self.position = channel_conv(num_features, kernel_size)
        heads = 1 if shared_bias else num_heads
        self.bias = RelativeBias(heads, relative_positions(self.size), (2 * window - 1) ** 2)
        self.proj = nn.Linear(num_features, num_features)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, before: AllPixels | Focus | None = None
    ) -> tuple[Tensor, AllPixels | Focus]:
        """The map, and the attention to hand on."""
        height, width, channels = x.shape[1:]
        qkv = self.qkv(x)
        position = to_map(self.position(to_channels(qkv[..., 2 * channels :])))
        if self.shift:
            qkv = qkv.roll((-self.shift, -self.shift), (1, 2))
        windows = to_windows(qkv, self.size).view(
            -1, math.prod(self.size), 3, self.num_heads, channels // self.num_heads
        )
        q, k, v = windows.permute(2, 0, 3, 1, 4)
        q = q * q.shape[-1] ** -0.5
        out, after = (
            self.focused(q, k, v, before)
            if isinstance(before, Focus)
            else self.begun(q, k, v, mask if self.shift else None, before)
        )
        out = from_windows(out.transpose(1, 2).flatten(2), self.size, height, width)
        if self.shift:
            out = out.roll((self.shift, self.shift), (1, 2))
        return self.proj(out + position), after

    def begun(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, before: AllPixels | None
    ) -> tuple[Tensor, AllPixels | Focus]:
        """Where no pixels were left out before."""
        bias, pixels, width = self.bias(), k.shape[2], v.shape[-1]
        if before is not None:
            # The sum of products of queries and keys is a product of longer ones.
            q, k, bias = torch.cat([before.q, q], -1), torch.cat([before.k, k], -1), before.bias + bias
        elif mask is not None:
            same = mask.repeat(q.shape[0] // mask.shape[0], 1, 1)[:, None].expand(-1, self.num_heads, -1, -1)
            q, k = torch.cat([q, same], -1), torch.cat([k, 100 * (same - 1)], -1)
        if self.kept >= pixels:
            wide = F.pad(v, (0, q.shape[-1] - width))
            out = F.scaled_dot_product_attention(q, k, wide, attn_mask=bias[None].to(q.dtype), scale=1.0)
            return out[..., :width], AllPixels(q, k, bias)
        exponents = _full(q @ k.transpose(-2, -1)) + bias
        largest, index = exponents.topk(self.kept, sorted=False)
        weights = exponents.softmax(-1).gather(-1, index)
        return weighted_sums(v, index, weights), Focus(largest, index)

    def focused(self, q: Tensor, k: Tensor, v: Tensor, before: Focus) -> tuple[Tensor, Focus]:
        """Of the pixels that were kept before."""
        exponents, index = before
        bias = self.bias().expand(*q.shape[:2], -1, -1).gather(-1, index)
        exponents = _full(bias).add_(products(q, k, index)).add_(exponents)  # in the memory of what was picked
        weights = exponents.softmax(-1)
        if self.kept < index.shape[-1]:
            exponents, among = exponents.topk(self.kept, sorted=False)
            index, weights = index.gather(-1, among), weights.gather(-1, among)
        return weighted_sums(v, index, weights), Focus(exponents, index)


def products(q: Tensor, k: Tensor, index: Tensor) -> Tensor:
    """Of each query with some keys.

    Args:
        q: Queries ``(windows, heads, pixels, C)``.
        k: Keys ``(windows, heads, pixels, C)``.
        index: The keys of each query, ``(windows, heads, pixels, some)``.

    Example:
        >>> q = k = torch.tensor([2.0, 3.0]).view(1, 1, 2, 1)
        >>> products(q, k, torch.tensor([1, 0]).view(1, 1, 2, 1)).flatten()
        tensor([6., 6.])
    """
    pixels, width, some = k.shape[2], k.shape[3], index.shape[-1]
    if some * width >= pixels:  # all products are fewer numbers than the keys
        return (q @ k.transpose(-2, -1)).gather(-1, index)
    keys = k.reshape(-1, width).index_select(0, among_all(index).flatten()).view(-1, some, width)
    return torch.bmm(keys, q.reshape(-1, width, 1)).view(index.shape)


def weighted_sums(v: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """Sums of some values for each pixel.

    Args:
        v: Values ``(windows, heads, pixels, C)``.
        index: The values of each sum, ``(windows, heads, pixels, some)``.
        weights: Their weights, of the same shape.

    Example:
        >>> v, index = torch.tensor([2.0, 3.0]).view(1, 1, 2, 1), torch.tensor([[0, 1], [1, 1]]).view(1, 1, 2, 2)
        >>> weighted_sums(v, index, torch.full((1, 1, 2, 2), 0.5)).flatten()
        tensor([2.5000, 3.0000])
    """
    weights = weights.to(v.dtype)
    if torch.compiler.is_compiling():  # in ONNX, the sums would be a loop over all pixels
        none = torch.zeros(*index.shape[:3], v.shape[2], dtype=v.dtype, device=v.device)
        return none.scatter(-1, index, weights) @ v
    rows, values, some = among_all(index), v.reshape(-1, v.shape[-1]), index.shape[-1]
    weights = weights.view(-1, some)
    return F.embedding_bag(rows.view(-1, some), values, mode="sum", per_sample_weights=weights).view(v.shape)


def among_all(index: Tensor) -> Tensor:
    """Indices of pixels of a window and head, as indices of those of all."""
    windows, heads, pixels, _ = index.shape
    first = pixels * torch.arange(windows * heads, device=index.device)
    return index + first.view(windows, heads, 1, 1)


def _full(x: Tensor) -> Tensor:
    """In half precision, sums of exponents would lose what they are sums of."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class PFTBlock(nn.Module):
    """Attention, then a feed-forward layer, each normalised before and added to its input."""

    def __init__(self, args: "PFT", shift: int, kept: int) -> None:
        super().__init__()
        width = args.num_features
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = FocusedAttention(
            width, args.num_heads, args.window, shift, kept, args.kernel_size, args.shared_bias
        )
        self.mlp = ConvFeedForward(width, int(width * args.mlp_ratio), args.kernel_size)

    def forward(self, x: Tensor, mask: Tensor, before: AllPixels | Focus | None) -> tuple[Tensor, AllPixels | Focus]:
        attended, after = self.attention(self.norm1(x), mask, before)
        x = x + attended
        return x + self.mlp(self.norm2(x)), after


class PFTGroup(nn.Module):
    """Blocks, a convolution, and a skip around them."""

    def __init__(self, args: "PFT", num_blocks: int, kept: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(PFTBlock(args, (i % 2) * (args.window // 2), kept) for i in range(num_blocks))
        self.conv = group_conv(args.num_features)

    def forward(
        self, x: Tensor, mask: Tensor, before: list[AllPixels | Focus | None]
    ) -> tuple[Tensor, list[AllPixels | Focus | None]]:
        """The map, and the attention to hand on, of windows that are not shifted and of those that are."""
        deep, attention = x, list(before)  # gradient checkpointing needs what it was given as it was
        for i, block in enumerate(self.blocks):
            deep, attention[i % 2] = block(deep, mask, attention[i % 2])
        return x + to_map(self.conv(to_channels(deep))), attention


class PFTBody(nn.Module):
    """The groups, on maps ``(N, H, W, C)`` whose sides are multiples of the window's."""

    def __init__(self, args: "PFT") -> None:
        super().__init__()
        self.size, self.shift = (args.window, args.window), (args.window // 2, args.window // 2)
        kept = halving(args.window**2, len(args.num_blocks)) if args.kept is None else args.kept
        self.groups = nn.ModuleList(
            PFTGroup(args, blocks, count) for blocks, count in zip(args.num_blocks, kept, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        mask = shifted_mask(x.shape[1], x.shape[2], self.size, self.shift, like=x)
        attention: list[AllPixels | Focus | None] = [None, None]
        for group in self.groups:
            x, attention = group(x, mask, attention)
        return x


def halving(pixels: int, num_groups: int) -> list[int]:
    """How many pixels the paper's groups keep: all, then a quarter, then half as many in each.

    Example:
        >>> halving(1024, 6)
        [1024, 256, 128, 64, 32, 16]
    """
    return [pixels, *(max(1, pixels // 2 ** (i + 2)) for i in range(num_groups - 1))]


def _are_counts(numbers: object, how_many: int) -> bool:
    """Whether it is a list of so many whole numbers from 1."""
    if not isinstance(numbers, list | tuple) or len(numbers) != how_many:
        return False
    return all(isinstance(number, int) and number >= 1 for number in numbers)


_BLOCK, _OURS = "layers.{i}.residual_group.layers.{j}", "body.groups.{i}.blocks.{j}"
_NAMES = {
    "conv_first": "head",
    "patch_embed.norm": "first_norm",
    f"{_BLOCK}.norm1": f"{_OURS}.norm1",
    f"{_BLOCK}.norm2": f"{_OURS}.norm2",
    f"{_BLOCK}.wqkv": f"{_OURS}.attention.qkv",
    f"{_BLOCK}.v_LePE.depthwise_conv.0": f"{_OURS}.attention.position.0",
    f"{_BLOCK}.attn_win.relative_position_bias_table": f"{_OURS}.attention.bias.table",
    f"{_BLOCK}.attn_win.proj": f"{_OURS}.attention.proj",
    f"{_BLOCK}.convffn.fc1": f"{_OURS}.mlp.first",
    f"{_BLOCK}.convffn.dwconv.depthwise_conv.0": f"{_OURS}.mlp.conv.0",
    f"{_BLOCK}.convffn.fc2": f"{_OURS}.mlp.last",
    "layers.{i}.conv": "body.groups.{i}.conv",
    "norm": "last_norm",
    "conv_after_body": "last",
}
_CONSTANTS = ("relative_position_index_SA",)


@network
class PFT(SuperResolutionModule):
    """PFT, the progressive focused transformer.

    **Paper:** Long, Zhou, Zhang, Gu, Progressive Focused Transformer for Single Image Super-Resolution, CVPR 2025.
    ``model=pft_light`` is the light network. Files of the authors load with ``weights=FILE``. The picture is mirrored
    at the bottom and the right to whole windows, with its last row and column twice, as by the authors. Their CUDA
    operators are not needed.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_blocks: Blocks of each group; every other one has shifted windows.
        num_heads: Heads of the attention.
        window: Side of a window, even.
        kept: How many pixels each pixel attends to, in each group; None for all of the window, then a quarter of them,
            then half as many in each group after.
        kernel_size: Side of the filters in the attention and in the feed-forward layers.
        mlp_ratio: Factor by which the feed-forward layers widen the channels.
        shared_bias: Whether the heads have the bias of their attention in common, as in the light network.
        upsampler: ``pixel_shuffle``, or ``direct`` as in the light network.

    Example:
        >>> import torch
        >>> net = PFT(scale=2, num_features=12, num_blocks=(2, 2), num_heads=3, window=4)
        >>> net(torch.rand(1, 3, 9, 6)).shape
        torch.Size([1, 3, 18, 12])
    """

    layouts = (
        Layout(whose="PFT", names=_NAMES | DIRECT_TAIL, constants=_CONSTANTS),
        Layout(
            whose="PFT",
            names=_NAMES | SHUFFLED_TAIL,
            constants=_CONSTANTS,
        ),
    )
    after_features = ("shift", "tail")
    untraced: ClassVar = {"num_heads": (6, 4), "kept": (None,)}

    scale: int = 4
    num_features: int = 240
    num_blocks: Sequence[int] = (4, 4, 4, 6, 6, 6)
    num_heads: int = 6
    window: int = 32
    kept: Sequence[int] | None = None
    kernel_size: int = 7
    mlp_ratio: float = 2.0
    shared_bias: bool = False
    upsampler: str = "pixel_shuffle"

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        check_windows(self.num_features, self.num_heads, self.window)
        groups = len(self.num_blocks)
        if self.kept is not None and not _are_counts(self.kept, groups):
            raise ConfigError(f"kept={self.kept}: must be null or {groups} numbers from 1, one for each group")
        body = PFTBody(self)
        return TransformerNet(
            body, self.num_features, self.scale, self.upsampler, multiple=self.window, edge_twice=True
        )

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width, block = layers.outputs("head"), "body.groups.0.blocks.0"
        distances, heads = layers.shape(f"{block}.attention.bias.table")
        groups = layers.count("body.groups.{i}.conv")
        return {
            **tail_of(layers),
            "num_features": width,
            "num_blocks": [layers.count(f"body.groups.{i}.blocks.{{j}}.norm1") for i in range(groups)],
            # The authors' light network, whose heads share the bias, has four.
            "num_heads": 4 if heads == 1 else heads,
            "window": (math.isqrt(distances) + 1) // 2,
            "kernel_size": layers.kernel(f"{block}.mlp.conv.0"),
            "mlp_ratio": layers.outputs(f"{block}.mlp.first") / width,
            "shared_bias": heads == 1,
        }
