"""Blocks that keep a part of the features of every step for their end."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class ResidualDistillationBlock(nn.Module):
    """Three shallow residual steps, a 1x1 distillation beside each, and all of it fused (RFDN's RFDB).

    **Paper:** Liu, Tang, Wu, Residual Feature Distillation Network for Lightweight Image Super-Resolution, ECCVW 2020.

    Args:
        num_features: Channels in and out.
        activation: Makes the activation.
        conv: Makes the 3x3 convolutions; BSRN's are blueprint convolutions.
        attention: What the fused features go through.

    Example:
        >>> ResidualDistillationBlock(8, nn.GELU)(torch.rand(1, 8, 20, 17)).shape
        torch.Size([1, 8, 20, 17])
    """

    def __init__(
        self,
        num_features: int,
        activation: Callable[[], nn.Module],
        conv: Callable[..., nn.Module] = nn.Conv2d,
        attention: nn.Module | None = None,
    ) -> None:
        super().__init__()
        half = num_features // 2
        self.distil = nn.ModuleList(nn.Conv2d(num_features, half, 1) for _ in range(3))
        self.refine = nn.ModuleList(conv(num_features, num_features, 3, padding=1) for _ in range(3))
        self.last = conv(num_features, half, 3, padding=1)
        self.fuse = nn.Conv2d(4 * half, num_features, 1)
        self.attention = attention or nn.Identity()
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        distilled = []
        for distil, refine in zip(self.distil, self.refine, strict=True):
            distilled.append(self.activation(distil(x)))
            x = self.activation(refine(x) + x)
        distilled.append(self.activation(self.last(x)))
        return self.attention(self.fuse(torch.cat(distilled, dim=1)))  # type: ignore[no-any-return]
