"""Colour pictures through networks of one channel."""

import torch
from torch import Tensor, nn

from sr_lightning.functional import imresize, rgb_to_ycbcr, ycbcr_to_rgb


class Luma(nn.Module):
    """Runs a one-channel network on luma and enlarges Cb and Cr bicubically.

    A picture of one channel goes to the network as it is.

    Args:
        net: ``(N, 1, H, W)`` -> ``(N, 1, scale * H, scale * W)``.
        scale: Factor of ``net``.

    Example:
        >>> Luma(nn.Upsample(scale_factor=2), scale=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    def __init__(self, net: nn.Module, scale: int) -> None:
        super().__init__()
        self.net = net
        self.scale = scale

    def forward(self, lr: Tensor, **scale: int) -> Tensor:
        """``scale=`` goes to the network, if it serves several scales."""
        if lr.shape[1] == 1:
            return self.net(lr, **scale)  # type: ignore[no-any-return]
        ycbcr = rgb_to_ycbcr(lr)
        y = self.net(ycbcr[:, :1], **scale)
        chroma = imresize(ycbcr[:, 1:], scale.get("scale", self.scale))
        return ycbcr_to_rgb(torch.cat([y.to(chroma.dtype), chroma], dim=1))


def luma(net: nn.Module, channels: int, scale: int) -> nn.Module:
    """Wraps a network of one channel in ``Luma``; a network of three stays as it is."""
    return Luma(net, scale) if channels == 1 else net
