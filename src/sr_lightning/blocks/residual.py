"""Residual blocks."""

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """EDSR's block: two convolutions with a ReLU between them, no normalisation.

    **Paper:** Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPRW 2017.

    Args:
        num_features: Channels in and out.
        res_scale: Factor of the residual before it is added; 0.1 keeps wide networks stable.

    Example:
        >>> import torch
        >>> ResidualBlock(8)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 8, 4, 4])
    """

    def __init__(self, num_features: int, res_scale: float = 1.0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(num_features, num_features, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(num_features, num_features, 3, padding=1),
        )
        self.res_scale = res_scale

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.body(x)
        if self.res_scale != 1:
            residual = residual * self.res_scale
        return x + residual
