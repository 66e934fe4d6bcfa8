"""Networks for pictures, applied to a sensor's mosaic."""

from torch import Tensor, nn
from torch.nn import functional as F

from sr_lightning.functional.bayer import pack
from sr_lightning.functional.isp import white_balance as balanced


class PackedRaw(nn.Module):
    """Packs a mosaic as SR-RAW does, lets a network of four channels enlarge it, and balances the result.

    The packed mosaic has half the size, so ``net`` enlarges twice as much. Its output has the sensor's colours
    in the gamma of pictures, so gains of linear light are raised to 1 / 2.2.

    Args:
        net: ``(N, 4, H / 2, W / 2)`` to ``(N, 3, scale * H, scale * W)``.
        scale: Factor between the mosaic and the result.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(4, 3 * 16, 1), nn.PixelShuffle(4))
        >>> PackedRaw(net, scale=2)(torch.rand(1, 1, 7, 10), torch.ones(1, 3)).shape
        torch.Size([1, 3, 14, 20])
    """

    def __init__(self, net: nn.Module, scale: int) -> None:
        super().__init__()
        self.net, self.scale = net, scale

    def forward(self, raw: Tensor, white_balance: Tensor) -> Tensor:
        height, width = raw.shape[-2:]
        # Mirrored without repeating the edge, so that the colours of the mosaic stay in their places.
        raw = F.pad(raw, (0, width % 2, 0, height % 2), mode="reflect")
        sr = balanced(self.net(pack(raw, order="rgbg")), white_balance ** (1 / 2.2))
        return sr[..., : height * self.scale, : width * self.scale]
