"""RDN: residual dense blocks whose outputs are all fused."""

from typing import Unpack

import torch
from torch import Tensor, nn

from sr_lightning.blocks import pixel_shuffle, prime_factors
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.types import Recipe


class ResidualDenseBlock(nn.Module):
    """Densely connected convolutions, 1x1 fusion, skip; paper eq. 5 to 9.

    Example:
        >>> ResidualDenseBlock(8, 4, 3)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 8, 4, 4])
    """

    def __init__(self, num_features: int, growth_rate: int, num_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(num_features + i * growth_rate, growth_rate, 3, padding=1), nn.ReLU(inplace=True))
            for i in range(num_layers)
        )
        self.fusion = nn.Conv2d(num_features + num_layers * growth_rate, num_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = x
        for layer in self.layers:
            features = torch.cat([features, layer(features)], dim=1)
        return x + self.fusion(features)  # type: ignore[no-any-return]


class RDNNet(nn.Module):
    """Two shallow layers, residual dense blocks, global fusion and the up-sampling net.

    Example:
        >>> RDNNet(scale=3, num_features=8, growth_rate=4, num_blocks=2, num_layers=2)(torch.rand(1, 3, 7, 5)).shape
        torch.Size([1, 3, 21, 15])
    """

    def __init__(
        self, scale: int = 2, num_features: int = 64, growth_rate: int = 64, num_blocks: int = 16, num_layers: int = 8
    ) -> None:
        super().__init__()
        self.shallow1 = nn.Conv2d(3, num_features, 3, padding=1)
        self.shallow2 = nn.Conv2d(num_features, num_features, 3, padding=1)
        self.blocks = nn.ModuleList(
            ResidualDenseBlock(num_features, growth_rate, num_layers) for _ in range(num_blocks)
        )
        self.fusion = nn.Sequential(
            nn.Conv2d(num_blocks * num_features, num_features, 1), nn.Conv2d(num_features, num_features, 3, padding=1)
        )
        widths = [num_features] + [growth_rate] * len(prime_factors(scale))
        self.tail = nn.Sequential(
            *(pixel_shuffle(width, growth_rate, s) for width, s in zip(widths, prime_factors(scale), strict=False)),
            nn.Conv2d(widths[-1], 3, 3, padding=1),
        )

    def forward(self, lr: Tensor) -> Tensor:
        first = self.shallow1(lr)
        x, outputs = self.shallow2(first), []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return self.tail(self.fusion(torch.cat(outputs, dim=1)) + first)  # type: ignore[no-any-return]


class RDN(SuperResolutionModule):
    """RDN: configuration B (16 blocks of 8 layers, growth 64) or A (20 of 6, growth 32).

    **Paper:** Zhang, Tian, Kong, Zhong, Fu, Residual Dense Network for Image Super-Resolution, CVPR 2018.

    Args:
        scale: Whole factor, reached in steps of its prime factors.
        num_features: G0, channels between the blocks.
        growth_rate: G, channels that each dense layer adds.
        num_blocks: D, residual dense blocks.
        num_layers: C, dense layers in each block.

    Example:
        >>> RDN(scale=2, num_features=8, growth_rate=4, num_blocks=2, num_layers=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    def __init__(
        self,
        scale: int = 2,
        num_features: int = 64,
        growth_rate: int = 64,
        num_blocks: int = 16,
        num_layers: int = 8,
        **recipe: Unpack[Recipe],
    ) -> None:
        super().__init__(RDNNet(scale, num_features, growth_rate, num_blocks, num_layers), scale=scale, **recipe)
