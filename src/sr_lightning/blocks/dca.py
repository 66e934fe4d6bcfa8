"""Dense block with channel attention, of rawSR."""

import torch
from torch import Tensor, nn

from sr_lightning.blocks.attention import ChannelAttention


class DCABlock(nn.Module):
    """Densely connected convolutions, 1x1 fusion, channel attention without reduction, skip.

    **Paper:** Xu, Ma, Sun, Yang, Exploiting Raw Images for Real-Scene Super-Resolution, IEEE TPAMI 2020.

    Args:
        num_features: Channels in and out.
        growth_rate: Channels that each layer adds.
        num_layers: Dense layers.

    Example:
        >>> sum(p.numel() for p in DCABlock().parameters())
        278016
    """

    def __init__(self, num_features: int = 128, growth_rate: int = 16, num_layers: int = 8) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(num_features + i * growth_rate, growth_rate, 3, padding=1), nn.LeakyReLU(0.2, inplace=True)
            )
            for i in range(num_layers)
        )
        self.fusion = nn.Conv2d(num_features + num_layers * growth_rate, num_features, 1)
        self.attention = ChannelAttention(num_features, reduction=1)

    def forward(self, x: Tensor) -> Tensor:
        features = x
        for layer in self.layers:
            features = torch.cat([features, layer(features)], dim=1)
        return x + self.attention(self.fusion(features))  # type: ignore[no-any-return]
