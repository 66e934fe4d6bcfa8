"""Pictures of a batch one by one, as OpenCV takes them."""

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[Any]  # (H, W, C)
#: Weights of BT.601.
_GREY = (0.299, 0.587, 0.114)


def each_picture(image: Tensor, change: Callable[[Pixels], Pixels]) -> Tensor:
    """Changes every picture of ``(N, C, H, W)`` on the CPU; all get the same size.

    The result keeps the channels of a pixel together in memory, so that the next call copies nothing.

    Args:
        image: The pictures, which may come in any layout.
        change: Makes ``(H, W, C)`` of ``(H, W, C)``; without C if that is 1.

    Example:
        >>> each_picture(torch.zeros(2, 3, 4, 5), lambda pixels: pixels[:2] + 1).shape
        torch.Size([2, 3, 2, 5])
    """
    count, channels = image.shape[:2]
    made = [torch.from_numpy(change(pixels)) for pixels in image.permute(0, 2, 3, 1).contiguous().numpy()]
    together = made[0] if count == 1 else torch.stack(made)
    return together.view(count, *made[0].shape[:2], channels).permute(0, 3, 1, 2)


def is_plain(image: Tensor) -> bool:
    """Whether ``each_picture`` can take it: on the CPU, and nobody wants its gradient."""
    return image.device.type == "cpu" and not image.requires_grad


def grey_of(image: Tensor) -> Tensor:
    """The grey picture ``(N, 1, H, W)`` of one in colour.

    Example:
        >>> grey_of(torch.ones(1, 3, 2, 2)).shape
        torch.Size([1, 1, 2, 2])
    """
    return (image * image.new_tensor(_GREY).view(1, 3, 1, 1)).sum(1, keepdim=True)
