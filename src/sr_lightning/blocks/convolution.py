"""Convolutions in other forms."""

from typing import TypeVar

from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import is_parametrized

Module = TypeVar("Module", bound=nn.Module)


def weight_normed(module: Module) -> Module:
    """Gives every convolution within a module a length and a direction for each filter, instead of its weight.

    **Paper:** Salimans, Kingma, Weight Normalization, NeurIPS 2016.

    Call it last. Initialising a weight afterwards has no effect, because it is computed from the two.

    Example:
        >>> sorted(name for name, _ in weight_normed(nn.Conv2d(3, 8, 3)).named_parameters())
        ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    for layer in list(module.modules()):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and not is_parametrized(layer):
            weight_norm(layer, dim=1 if layer.transposed else 0)
    return module


def asymmetric(in_channels: int, out_channels: int, size: int = 5) -> nn.Sequential:
    """DeepResNet's decomposed convolution: ``1 x size``, then ``size x 1``, without activation between them.

    Example:
        >>> import torch
        >>> asymmetric(33, 48)(torch.zeros(1, 33, 4, 6)).shape
        torch.Size([1, 48, 4, 6])
    """
    between = round((in_channels * out_channels) ** 0.5)
    return nn.Sequential(
        nn.Conv2d(in_channels, between, (1, size), padding=(0, size // 2)),
        nn.Conv2d(between, out_channels, (size, 1), padding=(size // 2, 0)),
    )
