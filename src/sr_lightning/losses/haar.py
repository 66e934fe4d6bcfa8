"""Distance of the details in Haar's wavelets."""

from pydantic import PositiveInt
from torch import Tensor, nn

from sr_lightning.errors import DataError
from sr_lightning.functional.psnr import check_same_shape
from sr_lightning.limits import check_value


def haar(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One level of Haar's orthonormal transform: means, and differences of columns, of rows and of both.

    Args:
        x: ``(..., H, W)`` of even sides.

    Returns:
        Four tensors ``(..., H / 2, W / 2)``.

    Example:
        >>> import torch
        >>> [part.item() for part in haar(torch.tensor([[1.0, 3.0], [1.0, 3.0]]))]
        [4.0, -2.0, 0.0, 0.0]
    """
    left, right = x[..., ::2], x[..., 1::2]
    mean, difference = left + right, left - right
    parts = [(part[..., ::2, :], part[..., 1::2, :]) for part in (mean, difference)]
    (a, b), (c, d) = parts
    return (a + b) / 2, (c + d) / 2, (a - b) / 2, (c - d) / 2


def haar_loss(sr: Tensor, hr: Tensor, levels: int = 2) -> Tensor:
    """Mean absolute difference of the details of each level, summed over the levels; a scalar in float32.

    The means are left out: add an L1, as ``loss=mix`` does.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.
        levels: How often the picture is halved.

    Raises:
        DataError: If the sides cannot be halved so often.

    Example:
        >>> import torch
        >>> light = torch.full((1, 3, 8, 8), 0.5)  # a change of brightness is no detail
        >>> haar_loss(light, light + 0.1).item()
        0.0
    """
    check_same_shape(sr, hr)
    means = sr.float() - hr.float()
    total = means.new_zeros(())
    for level in range(1, levels + 1):
        if any(side % 2 for side in means.shape[-2:]):
            raise DataError(
                f"loss.levels={levels}: {sr.shape[-2]}x{sr.shape[-1]} pixels cannot be halved {level} times"
            )
        means, *details = haar(means)
        total = total + sum(detail.abs().mean() for detail in details) / 3
    return total


class HaarLoss(nn.Module):
    """``haar_loss`` as a module.

    Raises:
        ConfigError: If ``levels`` is not above 0.
    """

    def __init__(self, levels: int = 2) -> None:
        super().__init__()
        check_value("loss.levels", levels, PositiveInt)
        self.levels = levels

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return haar_loss(sr, hr, self.levels)
