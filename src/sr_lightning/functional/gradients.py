"""Checks of gradients after a backward pass."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def any_gradient(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Whether any weight has a gradient, a scalar on their device; biases alone do not count.

    A network whose activations are all dead has none: no step changes it any more. Its last bias would still learn the
    mean colour.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> layer(torch.zeros(1, 2)).sum().backward()
        >>> bool(any_gradient(layer.parameters()))
        False
    """
    weights = [p for p in parameters if p.ndim > 1 and p.grad is not None]
    return torch.stack([p.grad.any() for p in weights if p.grad is not None]).any() if weights else torch.tensor(False)
