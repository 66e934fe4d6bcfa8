"""Densely connected convolutions: each reads the block's input and the outputs of all convolutions before it."""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from sr_lightning.blocks.attention import attention as attention_layer

leaky_relu = partial(nn.LeakyReLU, 0.2, inplace=True)


def densely(layers: Iterable[nn.Module], x: Tensor, activation: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """The input and the outputs of all layers, side by side, ``(N, C, H, W)`` to ``(N, C + outputs, H, W)``.

    Example:
        >>> densely([nn.Conv2d(8, 4, 1), nn.Conv2d(12, 4, 1)], torch.zeros(1, 8, 5, 6)).shape
        torch.Size([1, 16, 5, 6])
    """
    for layer in layers:
        new = layer(x)
        x = torch.cat([x, activation(new) if activation else new], dim=1)
    return x


def dense_layers(
    num_features: int, growth_rate: int, num_layers: int, activation: Callable[[], nn.Module]
) -> nn.ModuleList:
    """3x3 convolutions, each with its activation, for ``densely``.

    Example:
        >>> [layer[0].in_channels for layer in dense_layers(8, 4, 3, nn.ReLU)]
        [8, 12, 16]
    """
    return nn.ModuleList(
        nn.Sequential(nn.Conv2d(num_features + i * growth_rate, growth_rate, 3, padding=1), activation())
        for i in range(num_layers)
    )


class DenseFusion(nn.Module):
    """Densely connected convolutions and a 1x1 convolution back to the channels of the input; no skip.

    Args:
        num_features: Channels in and out.
        growth_rate: Channels that each layer adds.
        num_layers: Number of dense layers.
        activation: Makes the activation of each layer.
        attention: Follows the 1x1 convolution; a name that ``attention`` knows.

    Example:
        >>> DenseFusion(8, 4, 3, nn.ReLU)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 8, 4, 4])
    """

    def __init__(
        self,
        num_features: int,
        growth_rate: int,
        num_layers: int,
        activation: Callable[[], nn.Module],
        attention: str = "none",
    ) -> None:
        super().__init__()
        self.layers = dense_layers(num_features, growth_rate, num_layers, activation)
        self.fusion = nn.Conv2d(num_features + num_layers * growth_rate, num_features, 1)
        self.attention = attention_layer(attention, num_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(self.fusion(densely(self.layers, x)))  # type: ignore[no-any-return]


class DenseBlock(DenseFusion):
    """``DenseFusion`` with a skip. With ReLU it is the residual dense block of RDN, paper eq. 5 to 9.

    **Paper:** Zhang, Tian, Kong, Zhong, Fu, Residual Dense Network for Image Super-Resolution, CVPR 2018.

    Example:
        >>> DenseBlock(8, 4, 3, nn.ReLU)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 8, 4, 4])
    """

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class DCABlock(DenseBlock):
    """The dense block of rawSR, with leaky ReLU and channel attention without reduction.

    ``ResidualBlock(block="dca")`` has the same layers within the skip that all of its forms share.

    **Paper:** Xu, Ma, Sun, Yang, Exploiting Raw Images for Real-Scene Super-Resolution, IEEE TPAMI 2020.

    Example:
        >>> sum(p.numel() for p in DCABlock().parameters())
        278016
    """

    def __init__(self, num_features: int = 128, growth_rate: int = 16, num_layers: int = 8) -> None:
        super().__init__(num_features, growth_rate, num_layers, leaky_relu, attention="channel_full")
