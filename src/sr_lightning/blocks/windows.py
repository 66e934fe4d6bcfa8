"""Attention within windows of the picture, on maps ``(N, H, W, C)`` whose sides are multiples of the window's."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.errors import ConfigError
from sr_lightning.functional.geometry import mirrored

Size = tuple[int, int]


def check_windows(num_features: int, num_heads: int, window: int | None = None) -> None:
    """Raises ConfigError for heads that do not share the channels evenly, or for a window without a half.

    Example:
        >>> check_windows(60, 7)
        Traceback (most recent call last):
        sr_lightning.errors.ConfigError: num_heads=7 does not divide num_features=60
    """
    if num_features % num_heads:
        raise ConfigError(f"num_heads={num_heads} does not divide num_features={num_features}")
    if window is not None and window % 2:
        raise ConfigError(f"window={window}: must be even, because every other block shifts its windows by half of it")


def pad_to_windows(x: Tensor, multiple: int, edge_twice: bool = False) -> Tensor:
    """Mirrors a picture ``(N, C, H, W)`` at the bottom and the right until its sides are multiples of ``multiple``.

    Args:
        x: The picture.
        multiple: What divides its sides afterwards.
        edge_twice: Whether the last row and column are repeated.

    Example:
        >>> pad_to_windows(torch.arange(3.0).view(1, 1, 1, 3), 8)[0, 0, 0]
        tensor([0., 1., 2., 1., 0., 1., 2., 1.])
    """
    for dim in (-2, -1):
        # Written as a product, by which an exporter sees that windows divide it.
        x = mirrored(x, dim, (x.shape[dim] + multiple - 1) // multiple * multiple, edge_twice=edge_twice)
    return x


def to_windows(x: Tensor, size: Size) -> Tensor:
    """The windows of ``size`` of a map ``(N, H, W, C)``, row by row, as ``(N * windows, pixels, C)``.

    What is after ``W`` stays as it is, if it is more than channels.

    Example:
        >>> to_windows(torch.arange(16.0).view(1, 4, 4, 1), (2, 2))[1].flatten()
        tensor([2., 3., 6., 7.])
    """
    batch, height, width, *rest = x.shape
    x = x.view(batch, height // size[0], size[0], width // size[1], size[1], *rest)
    return x.transpose(2, 3).reshape(-1, size[0] * size[1], *rest)


def from_windows(windows: Tensor, size: Size, height: int, width: int) -> Tensor:
    """The map ``(N, height, width, C)`` of which ``to_windows`` made the windows.

    Example:
        >>> x = torch.rand(2, 4, 6, 3)
        >>> torch.equal(from_windows(to_windows(x, (2, 3)), (2, 3), 4, 6), x)
        True
    """
    rows, columns, channels = height // size[0], width // size[1], windows.shape[-1]
    x = windows.view(-1, rows, columns, *size, channels).transpose(2, 3)
    return x.reshape(-1, height, width, channels)


def overlapping_windows(x: Tensor, window: int, size: int) -> Tensor:
    """Windows of side ``size`` around every window of side ``window``, with zeros outside the map.

    Args:
        x: A map ``(N, H, W, C)``.
        window: Side of a window.
        size: Side of a larger window of the same centre.

    Returns:
        ``(N * windows, size * size, C)``, row by row.

    Example:
        >>> overlapping_windows(torch.ones(1, 4, 4, 1), 2, 4)[0].view(4, 4)[0]
        tensor([0., 0., 0., 0.])
    """
    margin = (size - window) // 2
    counts = [length // window for length in x.shape[1:3]]
    x = F.pad(x, (0, 0, margin, margin, margin, margin))
    for dim, count in zip((1, 2), counts, strict=True):
        starts = torch.arange(count, device=x.device)[:, None] * window
        x = x.index_select(dim, (starts + torch.arange(size, device=x.device)).flatten())
    return to_windows(x, (size, size))


def shifted_mask(height: int, width: int, size: Size, shift: Size, like: Tensor) -> Tensor:
    """Which pixels of shifted windows belong together ``(windows, pixels, 4)``: those with a one at the same place.

    A map that is rolled by ``shift`` has windows at its end whose pixels come from both ends of the map.

    Args:
        height: Rows of the map.
        width: Columns of the map.
        size: Rows and columns of a window.
        shift: Rows and columns by which the map is rolled towards its beginning.
        like: A tensor with the device and the precision.

    Example:
        >>> mask = shifted_mask(4, 4, (2, 2), (1, 1), torch.zeros(1))
        >>> mask[0].argmax(-1).tolist(), mask[1].argmax(-1).tolist()
        ([0, 0, 0, 0], [0, 1, 0, 1])
    """
    wrapped = [
        torch.arange(length, device=like.device) >= length - rolled
        for length, rolled in ((height, shift[0]), (width, shift[1]))
    ]
    place = to_windows((2 * wrapped[0].int()[:, None] + wrapped[1].int())[None, :, :, None], size)
    return (place == torch.arange(4, device=like.device)).to(like.dtype)


def added_by(mask: Tensor) -> Tensor:
    """What a mask of ``shifted_mask`` adds to the attention, ``(windows, pixels, pixels)``: 0, or -100 for strangers.

    Example:
        >>> added_by(shifted_mask(4, 4, (2, 2), (1, 1), torch.zeros(1)))[1, 0].tolist()
        [0.0, -100.0, 0.0, -100.0]
    """
    return 100 * (mask @ mask.transpose(-2, -1) - 1)


def relative_positions(size: Size) -> Tensor:
    """Where each pair of pixels of a window stands in a table of all distances, ``(pixels, pixels)``.

    Args:
        size: Rows and columns of a window.

    Example:
        >>> relative_positions((1, 2))
        tensor([[1, 0],
                [2, 1]])
    """
    rows, columns = (torch.arange(length)[:, None] - torch.arange(length) + length - 1 for length in size)
    index = rows[:, None, :, None] * (2 * size[1] - 1) + columns[None, :, None, :]
    return index.flatten(2).flatten(0, 1)


class RelativeBias(nn.Module):
    """A learnt number for every distance between a pixel and a key of a window, for each head.

    **Paper:** Liu et al., Swin Transformer, ICCV 2021.

    Args:
        num_heads: Heads of the attention.
        index: Where each pair of a pixel and a key stands in the table, such as ``relative_positions``.
        distances: Rows of the table.

    Example:
        >>> RelativeBias(3, relative_positions((4, 4)), distances=49)().shape
        torch.Size([3, 16, 16])
    """

    index: Tensor

    def __init__(self, num_heads: int, index: Tensor, distances: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(distances, num_heads))
        nn.init.trunc_normal_(self.table, std=0.02)
        self.register_buffer("index", index, persistent=False)

    def forward(self) -> Tensor:
        """The numbers ``(heads, pixels, keys)``."""
        return self.table.t().index_select(1, self.index.flatten()).view(-1, *self.index.shape)


def share_positions(net: nn.Module) -> None:
    """Lets equal windows of a network keep one index: PFT's takes 8 MB in each of its blocks, and in each file of ONNX.

    Example:
        >>> net = nn.Sequential(*(RelativeBias(2, relative_positions((2, 2)), distances=9) for _ in range(2)))
        >>> share_positions(net)
        >>> net[0].index is net[1].index
        True
    """
    kept: list[Tensor] = []
    for name, index in net.named_buffers():
        layer, _, kind = name.rpartition(".")
        if kind == "index" and not index.is_meta:
            same = next((one for one in kept if torch.equal(one, index)), None)
            kept += [index] if same is None else []
            setattr(net.get_submodule(layer), kind, index if same is None else same)


def attend(q: Tensor, k: Tensor, v: Tensor, num_heads: int, bias: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention in each window.

    Args:
        q: Queries ``(N * windows, pixels, C)``.
        k: Keys ``(N * windows, keys, C)``.
        v: Values ``(N * windows, keys, C)``.
        num_heads: Heads that share the channels.
        bias: Added before the softmax, ``(heads, pixels, keys)``.
        mask: That of ``shifted_mask``; strangers get 100 less before the softmax.

    Returns:
        ``(N * windows, pixels, C)``.

    Example:
        >>> x = torch.rand(6, 16, 8)
        >>> attend(x, x, x, 2, torch.zeros(2, 16, 16)).shape
        torch.Size([6, 16, 8])
    """
    q, k, v = (x.view(*x.shape[:2], num_heads, -1).transpose(1, 2) for x in (q, k, v))
    width = q.shape[-1]
    if mask is not None:
        # Four more channels, of which the product of strangers is -100 (a number, as in Swin's code). A mask beside
        # the bias would be as large as the attention of all windows.
        same = mask.repeat(q.shape[0] // mask.shape[0], 1, 1)[:, None].expand(-1, num_heads, -1, -1)
        q, k, v = torch.cat([q, same], -1), torch.cat([k, (same - 1) * (100 * width**0.5)], -1), F.pad(v, (0, 4))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None].to(q.dtype), scale=width**-0.5)
    return out[..., :width].transpose(1, 2).flatten(2)


class WindowAttention(nn.Module):
    """Multi-head attention within square windows, which may be shifted by half of their side.

    **Paper:** Liu et al., Swin Transformer, ICCV 2021.

    Args:
        num_features: Channels in and out.
        num_heads: Heads that share the channels.
        window: Side of a window; the sides of the map are multiples of it.
        shift: By how many pixels the windows are shifted; ``forward`` then needs the mask of ``shifted_mask``.
        own_qkv: False if ``forward`` is given queries, keys and values, three times the channels.

    Example:
        >>> x = torch.rand(1, 8, 16, 12)
        >>> WindowAttention(12, 3, window=4)(x).shape
        torch.Size([1, 8, 16, 12])
    """

    def __init__(self, num_features: int, num_heads: int, window: int, shift: int = 0, own_qkv: bool = True) -> None:
        super().__init__()
        self.num_heads, self.size, self.shift = num_heads, (window, window), shift
        self.bias = RelativeBias(num_heads, relative_positions(self.size), (2 * window - 1) ** 2)
        self.qkv = nn.Linear(num_features, 3 * num_features) if own_qkv else nn.Identity()
        self.proj = nn.Linear(num_features, num_features)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        height, width = x.shape[1:3]
        if self.shift:
            x = x.roll((-self.shift, -self.shift), (1, 2))
        q, k, v = self.qkv(to_windows(x, self.size)).chunk(3, -1)
        out = self.proj(attend(q, k, v, self.num_heads, self.bias(), mask if self.shift else None))
        out = from_windows(out, self.size, height, width)
        return out.roll((self.shift, self.shift), (1, 2)) if self.shift else out
