"""Enlargement that learns where to look."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DySample(nn.Module):
    """Each new pixel is read from the map, between its pixels, at a place that the map itself says.

    Without the learned offsets this is bilinear interpolation. Groups of channels have offsets of their own.

    **Paper:** Liu, Lu, Fu, Cao, Learning to Upsample by Learning to Sample, ICCV 2023, with the dynamic scope and
    offsets before the shuffle ("lp").

    Args:
        in_channels: Channels in, which ``groups`` divides.
        out_channels: Channels after the last 1x1 convolution.
        scale: Whole factor of enlargement.
        groups: Groups of channels.

    Example:
        >>> DySample(12, 3, 2)(torch.rand(1, 12, 4, 5)).shape
        torch.Size([1, 3, 8, 10])
    """

    def __init__(self, in_channels: int, out_channels: int, scale: int, groups: int = 4) -> None:
        super().__init__()
        self.scale, self.groups = scale, groups
        self.offset = nn.Conv2d(in_channels, 2 * groups * scale**2, 1)
        self.scope = nn.Conv2d(in_channels, 2 * groups * scale**2, 1, bias=False)
        self.fuse = nn.Conv2d(in_channels, out_channels, 1)
        nn.init.trunc_normal_(self.offset.weight, std=0.02)
        nn.init.zeros_(self.scope.weight)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        offsets = F.pixel_shuffle(0.5 * self.offset(x) * self.scope(x).sigmoid(), self.scale)
        # Half precision cannot hold the places of a large map.
        across, down = offsets.float().tensor_split(2, dim=1)
        columns, rows = (torch.arange(n * self.scale, device=x.device) for n in (width, height))
        across = (across + (columns + 0.5) / self.scale) * (2 / width) - 1
        down = (down + ((rows + 0.5) / self.scale)[:, None]) * (2 / height) - 1
        places = torch.stack([across, down], dim=-1).flatten(0, 1)
        grouped = torch.unflatten(x.float(), 1, (self.groups, -1)).flatten(0, 1)
        read = F.grid_sample(grouped, places, padding_mode="border", align_corners=False)
        return self.fuse(torch.unflatten(read, 0, (-1, self.groups)).flatten(1, 2).to(x.dtype))  # type: ignore[no-any-return]
