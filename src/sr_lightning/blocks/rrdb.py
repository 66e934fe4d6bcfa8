"""ESRGAN's residual in residual dense block."""

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks.dense import densely


class ScaledDenseBlock(nn.Module):
    """ESRGAN's block: five densely connected convolutions, residual x 0.2.

    It is no ``blocks.DenseBlock``, because its last convolution is 3x3 and all of them begin with small weights.
    """

    def __init__(self, num_features: int, growth_rate: int) -> None:
        super().__init__()
        widths = [growth_rate] * 4 + [num_features]
        convs = [nn.Conv2d(num_features + i * growth_rate, width, 3, padding=1) for i, width in enumerate(widths)]
        for conv in convs:
            nn.init.kaiming_normal_(conv.weight)
            conv.weight.data.mul_(0.1)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        self.layers = nn.ModuleList(convs)

    def forward(self, x: Tensor) -> Tensor:
        features = densely(self.layers[:-1], x, partial(F.leaky_relu, negative_slope=0.2))
        return x + 0.2 * self.layers[-1](features)  # type: ignore[no-any-return]


class RRDB(nn.Module):
    """Residual in residual: three dense blocks, residual x 0.2.

    **Paper:** Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, ECCVW 2018.

    Args:
        num_features: Channels in and out.
        growth_rate: Channels that each dense layer adds.

    Example:
        >>> import torch
        >>> RRDB(8, 4)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 8, 4, 4])
    """

    def __init__(self, num_features: int, growth_rate: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(ScaledDenseBlock(num_features, growth_rate) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.body(x)  # type: ignore[no-any-return]
