"""OmniSR: attention to pixels and to channels, within windows of the picture and on grids over all of it."""

from math import isqrt
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import ChannelNorm, pixel_shuffle
from sr_lightning.blocks.attention import EnhancedSpatialAttention, mean_of_map
from sr_lightning.blocks.transformer import to_channels, to_map
from sr_lightning.blocks.windows import RelativeBias, attend, from_windows, relative_positions, to_windows
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout

HEADS = 4  # of every attention


class Parts:
    """Parts of a map ``(N, H, W, C)`` within which pixels see each other.

    Args:
        side: Rows and columns of a window.
        kind: ``window`` for the pixels of each window; ``grid`` for as many pixels, which lie on a grid over the whole
            map; ``place`` for the pixels at the same place of all windows.

    Example:
        >>> x = torch.arange(48.0).view(1, 4, 12, 1)
        >>> [Parts(2, kind).part(x)[0].flatten().int().tolist() for kind in ("window", "grid", "place")]
        [[0, 1, 12, 13], [0, 6, 24, 30], [0, 2, 4, 6, 8, 10, 24, 26, 28, 30, 32, 34]]
    """

    def __init__(self, side: int, kind: Literal["window", "grid", "place"]) -> None:
        self.side, self.kind = side, kind

    def part(self, x: Tensor) -> Tensor:
        """``(N, H, W, C)`` to ``(N * parts, pixels, C)``."""
        windows = to_windows(x, self._size(x.shape[1], x.shape[2]))
        return windows if self.kind == "window" else _swapped(windows, x.shape[0])

    def join(self, parts: Tensor, like: Tensor) -> Tensor:
        """``(N * parts, pixels, C)`` to a map of the shape of ``like``."""
        windows = parts if self.kind == "window" else _swapped(parts, like.shape[0])
        height, width = like.shape[1:3]
        return from_windows(windows, self._size(height, width), height, width)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        return (height // self.side, width // self.side) if self.kind == "grid" else (self.side, self.side)


def _swapped(parts: Tensor, batch: int) -> Tensor:
    """Pixels become parts, and parts pixels."""
    pixels, channels = parts.shape[1:]
    return parts.view(batch, -1, pixels, channels).transpose(1, 2).reshape(batch * pixels, -1, channels)


class PixelAttention(nn.Module):
    """Pixels attend to those of their part of the map.

    Example:
        >>> PixelAttention(8, Parts(4, "grid"))(torch.rand(1, 8, 8, 12)).shape
        torch.Size([1, 8, 8, 12])
    """

    def __init__(self, num_features: int, parts: Parts) -> None:
        super().__init__()
        self.parts, side = parts, parts.side
        self.qkv = nn.Linear(num_features, 3 * num_features, bias=False)
        self.bias = RelativeBias(HEADS, relative_positions((side, side)), (2 * side - 1) ** 2)
        self.proj = nn.Linear(num_features, num_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = to_map(x)
        q, k, v = self.qkv(self.parts.part(x)).chunk(3, -1)
        out = self.proj(attend(q, k, v, HEADS, self.bias()))
        return to_channels(self.parts.join(out, like=x))


class ChannelsAttention(nn.Module):
    """Channels attend to the other channels of their head, by the pixels of a part of the map.

    Example:
        >>> ChannelsAttention(8, Parts(4, "window"))(torch.rand(1, 8, 8, 12)).shape
        torch.Size([1, 8, 8, 12])
    """

    def __init__(self, num_features: int, parts: Parts) -> None:
        super().__init__()
        self.parts = parts
        self.temperature = nn.Parameter(torch.ones(HEADS, 1, 1))
        self.qkv = nn.Conv2d(num_features, 3 * num_features, 1, bias=False)
        self.near = nn.Conv2d(3 * num_features, 3 * num_features, 3, padding=1, groups=3 * num_features, bias=False)
        self.proj = nn.Conv2d(num_features, num_features, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.parts.part(to_map(self.near(self.qkv(x))))
        parts = parts.view(*parts.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 4, 1)
        q, k, v = parts.unbind()  # each (N * parts, heads, channels, pixels)
        q, k = F.normalize(q, dim=-1) * self.temperature, F.normalize(k, dim=-1)
        out = F.scaled_dot_product_attention(q, k, v, scale=1.0)
        out = self.parts.join(out.permute(0, 3, 1, 2).flatten(2), like=to_map(x))
        return self.proj(to_channels(out))  # type: ignore[no-any-return]


class GatedFeedForward(nn.Module):
    """Two halves of widened channels, of which one gates the other.

    Example:
        >>> GatedFeedForward(8)(torch.rand(1, 8, 5, 6)).shape
        torch.Size([1, 8, 5, 6])
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        wide = 2 * num_features
        self.widen = nn.Conv2d(num_features, wide, 1, bias=False)
        self.near = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        self.narrow = nn.Conv2d(num_features, num_features, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.near(self.widen(x)).chunk(2, 1)
        return self.narrow(F.gelu(gate) * value)  # type: ignore[no-any-return]


class LocalBlock(nn.Module):
    """A depthwise convolution between two of 1x1, gates for the channels, and a skip.

    Example:
        >>> LocalBlock(8)(torch.rand(1, 8, 5, 6)).shape
        torch.Size([1, 8, 5, 6])
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        hidden = num_features // 4
        self.first = nn.Conv2d(num_features, num_features, 1)
        self.near = nn.Conv2d(num_features, num_features, 3, padding=1, groups=num_features)
        self.gate = nn.Sequential(
            nn.Linear(num_features, hidden, bias=False),
            nn.SiLU(),
            nn.Linear(hidden, num_features, bias=False),
            nn.Sigmoid(),
        )
        self.last = nn.Conv2d(num_features, num_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        deep = F.gelu(self.near(F.gelu(self.first(x))))
        mean = mean_of_map(deep).to(x.dtype).flatten(1)
        return x + self.last(deep * self.gate(mean)[:, :, None, None])  # type: ignore[no-any-return]


class NormedResidual(nn.Module):
    """Adds what a module makes of the normalised features."""

    def __init__(self, num_features: int, module: nn.Module, eps: float = 1e-6) -> None:
        super().__init__()
        self.norm, self.module = ChannelNorm(num_features, eps=eps), module

    def forward(self, x: Tensor) -> Tensor:
        return x + self.module(self.norm(x))  # type: ignore[no-any-return]


def omni_block(num_features: int, window: int) -> nn.Sequential:
    """A local block, then attention to pixels and to channels, in windows and on grids (the paper's OSA).

    Example:
        >>> len(omni_block(8, 4))
        9
    """
    layers: list[nn.Module] = [LocalBlock(num_features)]
    near, far = Parts(window, "window"), Parts(window, "grid")
    for pixels, channels in ((near, near), (far, Parts(window, "place"))):
        layers += [
            NormedResidual(num_features, PixelAttention(num_features, pixels), eps=1e-5),
            NormedResidual(num_features, GatedFeedForward(num_features)),
            NormedResidual(num_features, ChannelsAttention(num_features, channels)),
            NormedResidual(num_features, GatedFeedForward(num_features)),
        ]
    return nn.Sequential(*layers)


class OmniGroup(nn.Module):
    """Blocks, a convolution of 1x1, a skip around them, and spatial attention (the paper's OSAG)."""

    def __init__(self, args: "OmniSR") -> None:
        super().__init__()
        width = args.num_features
        self.blocks = nn.Sequential(*(omni_block(width, args.window) for _ in range(args.num_blocks)))
        self.conv = nn.Conv2d(width, width, 1)
        self.attention = EnhancedSpatialAttention(width, max(width // 4, 16), depth=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x + self.conv(self.blocks(x)))  # type: ignore[no-any-return]


class OmniSRNet(nn.Module):
    """Head, groups, a long skip and a single pixel shuffle."""

    def __init__(self, args: "OmniSR") -> None:
        super().__init__()
        self.scale, self.window, width = args.scale, args.window, args.num_features
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.groups = nn.Sequential(*(OmniGroup(args) for _ in range(args.num_groups)))
        self.last = nn.Conv2d(width, width, 3, padding=1)
        self.tail = pixel_shuffle(width, 3, args.scale)

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        shallow = self.head(F.pad(lr, (0, -width % self.window, 0, -height % self.window)))
        sr = self.tail(self.last(self.groups(shallow)) + shallow)
        return sr[..., : height * self.scale, : width * self.scale]  # type: ignore[no-any-return]


_OSA, _OURS = "residual_layer.{i}.residual_layer.{j}.layer", "groups.{i}.blocks.{j}"
_ATTENTION = {
    "fn.to_qkv": "module.qkv",
    "fn.to_out.0": "module.proj",
    "fn.rel_pos_bias.weight": "module.bias.table",
    "norm": "norm",
}
_FORWARD = {
    "fn.project_in": "module.widen",
    "fn.dwconv": "module.near",
    "fn.project_out": "module.narrow",
    "norm": "norm",
}
_CHANNELS = {
    "fn.temperature": "module.temperature",
    "fn.qkv": "module.qkv",
    "fn.qkv_dwconv": "module.near",
    "fn.project_out": "module.proj",
    "norm": "norm",
}
_LOCAL = {"fn.0": "first", "fn.2": "near", "fn.4.gate.1": "gate.0", "fn.4.gate.3": "gate.2", "fn.5": "last"}
_PARTS = {0: _LOCAL, 2: _ATTENTION, 4: _FORWARD, 5: _CHANNELS, 6: _FORWARD, 8: _ATTENTION, 10: _FORWARD,
          11: _CHANNELS, 12: _FORWARD}  # fmt: skip
_NAMES = {
    "input": "head",
    **{
        f"{_OSA}.{place}.{theirs}": f"{_OURS}.{number}.{ours}"
        for number, (place, parts) in enumerate(_PARTS.items())
        for theirs, ours in parts.items()
    },
    "residual_layer.{i}.residual_layer.{n}": "groups.{i}.conv",
    "residual_layer.{i}.esa.conv1": "groups.{i}.attention.reduce",
    "residual_layer.{i}.esa.conv2": "groups.{i}.attention.stride",
    "residual_layer.{i}.esa.conv3": "groups.{i}.attention.coarse.0",
    "residual_layer.{i}.esa.conv_f": "groups.{i}.attention.skip",
    "residual_layer.{i}.esa.conv4": "groups.{i}.attention.expand",
    "output": "last",
    "up.0": "tail.0",
}


@network
class OmniSR(SuperResolutionModule):
    """OmniSR, omni-dimensional self-attention.

    **Paper:** Wang, Chen, Ni, Liu, Liu, Omni Aggregation Networks for Lightweight Image Super-Resolution, CVPR 2023.
    The authors' files load with ``weights=FILE``. As in their code, black fills the picture up to whole windows at the
    bottom and the right.

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks.
        num_groups: Number of groups.
        num_blocks: Blocks of each group.
        window: Side of a window, and of the grids.

    Example:
        >>> OmniSR(scale=2, num_features=8, num_groups=1, window=4)(torch.rand(1, 3, 9, 6)).shape
        torch.Size([1, 3, 18, 12])
    """

    layouts = (Layout(whose="OmniSR", names=_NAMES, constants=("total_ops", "total_params")),)
    spandrel: ClassVar[dict[str, Any]] = {}

    scale: int = 4
    num_features: int = 64
    num_groups: int = 5
    num_blocks: int = 1
    window: int = 8

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        return OmniSRNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": layers.shuffled("tail.0"),
            "num_features": layers.outputs("head"),
            "num_groups": layers.count("groups.{i}.conv"),
            "num_blocks": layers.count("groups.0.blocks.{j}.0.first"),
            "window": (isqrt(layers.shape("groups.0.blocks.0.1.module.bias.table")[0]) + 1) // 2,
        }
