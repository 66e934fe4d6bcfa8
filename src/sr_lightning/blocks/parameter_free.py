"""Blocks whose attention has no parameters of its own."""

import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks.reparameterization import conv3x3


class ParameterFreeBlock(nn.Module):
    """Three convolutions; the sum with the input is weighed by a sigmoid of the last (SPAN's SPAB).

    **Paper:** Wan et al., Swift Parameter-free Attention Network for Efficient Super-Resolution, CVPRW 2024.

    Args:
        num_features: Channels in and out.
        branches: Whether the convolutions are trained as several.

    Example:
        >>> import torch
        >>> out, shallow = ParameterFreeBlock(8)(torch.rand(1, 8, 4, 5))
        >>> out.shape, shallow.shape
        (torch.Size([1, 8, 4, 5]), torch.Size([1, 8, 4, 5]))
    """

    def __init__(self, num_features: int, branches: bool = False) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv3x3(num_features, num_features, branches) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The block's output, and its features after the first activation."""
        first, second, third = self.convs
        shallow = F.silu(first(x))
        deep: Tensor = third(F.silu(second(shallow)))
        return (x + deep) * (deep.sigmoid() - 0.5), shallow
