"""What SwinIR and the networks after it share around their blocks, on maps ``(N, H, W, C)``."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks.normalization import DIV2K_MEAN, MeanShift
from sr_lightning.blocks.upsampling import pixel_shuffle, upsampler
from sr_lightning.blocks.windows import pad_to_windows, share_positions, shifted_mask
from sr_lightning.errors import ConfigError, nearest


class TransformerNet(nn.Module):
    """Head, body and tail, with a long skip and two normalisations around the body.

    **Paper:** Liang et al., SwinIR: Image Restoration Using Swin Transformer, ICCVW 2021.

    Args:
        body: From maps ``(N, H, W, C)`` to others of the same shape.
        num_features: Channels of the maps.
        scale: Whole factor of enlargement.
        tail: ``pixel_shuffle``, ``direct`` or ``nearest``, see ``transformer_tail``.
        last: The convolution after the body, by default one of 3x3.
        multiple: The picture is mirrored at the bottom and the right until its sides are multiples of this.
        edge_twice: Whether its last row and column are repeated there.

    Example:
        >>> TransformerNet(nn.Identity(), 12, 2, "direct", multiple=8)(torch.rand(1, 3, 5, 9)).shape
        torch.Size([1, 3, 10, 18])
    """

    def __init__(
        self,
        body: nn.Module,
        num_features: int,
        scale: int,
        tail: str,
        last: nn.Module | None = None,
        multiple: int = 1,
        edge_twice: bool = False,
    ) -> None:
        super().__init__()
        self.scale, self.multiple, self.edge_twice = scale, multiple, edge_twice
        self.shift = MeanShift(1.0, DIV2K_MEAN)
        self.head = nn.Conv2d(3, num_features, 3, padding=1)
        self.first_norm = nn.LayerNorm(num_features)
        self.body = body
        self.last_norm = nn.LayerNorm(num_features)
        self.last = last or nn.Conv2d(num_features, num_features, 3, padding=1)
        self.tail = transformer_tail(num_features, scale, tail)
        like_a_transformer(self)
        share_positions(body)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "TransformerNet":
        """Also shares the positions anew, of which a move to another device makes copies."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        share_positions(self.body)
        return self

    def features(self, lr: Tensor) -> Tensor:
        """What the tail enlarges, of a picture in the network's own range, and of its size."""
        return self._filled_up(lr)[..., : lr.shape[-2], : lr.shape[-1]]

    def _filled_up(self, lr: Tensor) -> Tensor:
        """Features of the picture with whole windows."""
        shallow = self.head(pad_to_windows(lr, self.multiple, self.edge_twice))
        deep = self.last_norm(self.body(self.first_norm(to_map(shallow))))
        return self.last(to_channels(deep)) + shallow  # type: ignore[no-any-return]

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        sr = self.shift.undo(self.tail(self._filled_up(self.shift(lr))))
        return sr[..., : height * self.scale, : width * self.scale]


class WindowBody(nn.Module):
    """Groups one after another, on maps ``(N, H, W, C)`` whose sides are multiples of the window's.

    Args:
        groups: From a map and the mask of shifted windows to another map of the same shape.
        window: Side of a window, even.

    Example:
        >>> WindowBody([], 4)(torch.rand(1, 8, 4, 12)).shape
        torch.Size([1, 8, 4, 12])
    """

    def __init__(self, groups: Iterable[nn.Module], window: int) -> None:
        super().__init__()
        self.size, self.shift = (window, window), (window // 2, window // 2)
        self.groups = nn.ModuleList(groups)

    def forward(self, x: Tensor) -> Tensor:
        mask = shifted_mask(x.shape[1], x.shape[2], self.size, self.shift, like=x)
        for group in self.groups:
            x = group(x, mask)
        return x


def to_map(x: Tensor) -> Tensor:
    """``(N, C, H, W)`` as ``(N, H, W, C)``."""
    return x.permute(0, 2, 3, 1)


def to_channels(x: Tensor) -> Tensor:
    """``(N, H, W, C)`` as ``(N, C, H, W)``."""
    return x.permute(0, 3, 1, 2)


def transformer_tail(num_features: int, scale: int, kind: str) -> nn.Sequential:
    """Makes the picture of the features.

    Args:
        num_features: Channels in.
        scale: Whole factor of enlargement.
        kind: ``pixel_shuffle`` for 64 features that are enlarged by the prime factors of the scale, ``direct`` for a
            single pixel shuffle, as in light networks, or ``nearest`` for repeated pixels and convolutions, as for real
            photographs.

    Example:
        >>> len(transformer_tail(60, 4, "direct")), len(transformer_tail(60, 4, "nearest"))
        (2, 4)
    """
    kinds = ("pixel_shuffle", "direct", "nearest")
    if kind not in kinds:
        raise ConfigError(f"upsampler={kind}: there is no such upsampler; {nearest(kind, kinds)}")
    if kind == "direct":
        return pixel_shuffle(num_features, 3, scale)
    width = 64
    first = nn.Sequential(nn.Conv2d(num_features, width, 3, padding=1), nn.LeakyReLU())
    last = nn.Conv2d(width, 3, 3, padding=1)
    if kind == "pixel_shuffle":
        return nn.Sequential(first, upsampler(width, scale), last)
    steps = upsampler(width, scale, "nearest", activation=_activation)
    return nn.Sequential(first, steps, nn.Sequential(nn.Conv2d(width, width, 3, padding=1), _activation()), last)


def _activation() -> nn.Module:
    return nn.LeakyReLU(0.2)


def group_conv(num_features: int, narrow: bool = False) -> nn.Module:
    """The convolution at the end of a group of blocks: one of 3x3, or ``narrow`` three of a quarter of the channels.

    Example:
        >>> group_conv(16, narrow=True)(torch.rand(1, 16, 4, 5)).shape
        torch.Size([1, 16, 4, 5])
    """
    if not narrow:
        return nn.Conv2d(num_features, num_features, 3, padding=1)
    quarter = num_features // 4
    return nn.Sequential(
        nn.Conv2d(num_features, quarter, 3, padding=1),
        _activation(),
        nn.Conv2d(quarter, quarter, 1),
        _activation(),
        nn.Conv2d(quarter, num_features, 3, padding=1),
    )


def feed_forward(num_features: int, hidden: int) -> nn.Sequential:
    """Two linear layers with a GELU between, on the channels of each pixel of ``(..., C)``.

    Example:
        >>> feed_forward(8, 16)(torch.rand(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """
    return nn.Sequential(nn.Linear(num_features, hidden), nn.GELU(), nn.Linear(hidden, num_features))


class ConvFeedForward(nn.Module):
    """Two linear layers on the channels of each pixel; between them, a convolution of each channel is added.

    Example:
        >>> ConvFeedForward(8, 16, kernel_size=5)(torch.rand(1, 4, 6, 8)).shape
        torch.Size([1, 4, 6, 8])
    """

    def __init__(self, num_features: int, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.first = nn.Linear(num_features, hidden)
        self.conv = channel_conv(hidden, kernel_size)
        self.last = nn.Linear(hidden, num_features)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.first(x))
        return self.last(x + to_map(self.conv(to_channels(x))))  # type: ignore[no-any-return]


def channel_conv(num_features: int, kernel_size: int) -> nn.Sequential:
    """A convolution of each channel by itself, and a GELU.

    Example:
        >>> channel_conv(8, 5)(torch.rand(1, 8, 4, 6)).shape
        torch.Size([1, 8, 4, 6])
    """
    conv = nn.Conv2d(num_features, num_features, kernel_size, padding=kernel_size // 2, groups=num_features)
    return nn.Sequential(conv, nn.GELU())


class StochasticDepth(nn.Module):
    """In training, leaves out a branch for a random part of the pictures and enlarges it for the others.

    **Paper:** Huang et al., Deep Networks with Stochastic Depth, ECCV 2016.

    Example:
        >>> StochasticDepth(0.1).eval()(torch.ones(2, 1)).flatten()
        tensor([1., 1.])
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.rate
        return x * (kept / (1 - self.rate)).to(x.dtype)


def rising(rate: float, count: int) -> list[float]:
    """Rates of ``StochasticDepth`` for ``count`` blocks, from 0 to ``rate``.

    Example:
        >>> rising(0.1, 3)
        [0.0, 0.05, 0.1]
    """
    return [rate * i / max(1, count - 1) for i in range(count)]


def like_a_transformer(net: nn.Module) -> None:
    """Initialises linear layers as Swin's code does: weights of a cut normal of deviation 0.02, biases of zero.

    Example:
        >>> net = nn.Linear(4, 4)
        >>> like_a_transformer(net)
        >>> net.bias.any().item(), net.weight.abs().max().item() < 0.1
        (False, True)
    """
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
