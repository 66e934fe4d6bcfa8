"""A Gaussian blur through which gradients pass."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.errors import DataError


def reach_of(side: int, x: Tensor) -> int:
    """Pixels that a window of an odd side reaches beyond its middle.

    Raises:
        DataError: If planes ``(N, C, H, W)`` are too small to be mirrored that far.
    """
    reach = side // 2
    if min(x.shape[-2:]) <= reach:
        raise DataError(
            f"the loss needs patches of at least {reach + 1} pixels each way, got {x.shape[-2]}x{x.shape[-1]}; "
            f"type data.patch_size={2 * reach + 2} or more"
        )
    return reach


def blurred(x: Tensor, sigma: float, side: int) -> Tensor:
    """Blurs each plane by a Gaussian in a window, in float32; beyond its borders it is mirrored.

    Args:
        x: ``(N, C, H, W)``, whose sides are above half of the window's.
        sigma: Deviation in pixels.
        side: Of the window in pixels, odd.

    Raises:
        DataError: If the planes are smaller.

    Example:
        >>> spot = torch.zeros(1, 1, 9, 9)
        >>> spot[..., 4, 4] = 1
        >>> blurred(spot, sigma=1.0, side=3)[0, 0, 4, 3:6]
        tensor([0.1238, 0.2042, 0.1238])
    """
    reach = reach_of(side, x)
    offsets = torch.arange(side, dtype=torch.float32, device=x.device) - reach
    taps = torch.exp(-offsets.square() / (2 * sigma**2))
    taps /= taps.sum()
    with torch.autocast(x.device.type, enabled=False):
        planes = F.pad(x.float().flatten(0, 1)[:, None], [reach] * 4, mode="reflect")
        return F.conv2d(F.conv2d(planes, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1)).view_as(x)
