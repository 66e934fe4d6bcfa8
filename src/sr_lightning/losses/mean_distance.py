"""A metric as a loss."""

from torch import Tensor, nn


class MeanDistance(nn.Module):
    """The mean of a distance of pictures, such as LPIPS or DISTS, a scalar in float32.

    Args:
        distance: ``(N,)`` of SR and HR; 0 where they are equal.

    Example:
        >>> import torch
        >>> class Difference(nn.Module):
        ...     def forward(self, sr, hr):
        ...         return (sr - hr).abs().double().mean((1, 2, 3))
        >>> MeanDistance(Difference())(torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4))
        tensor(1.)
    """

    def __init__(self, distance: nn.Module) -> None:
        super().__init__()
        self.distance = distance

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return self.distance(sr, hr).mean().float().to(sr.device)  # type: ignore[no-any-return]
