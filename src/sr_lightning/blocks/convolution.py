"""Convolutions in other forms."""

from typing import TypeVar

import torch
from torch import Tensor, nn
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
        >>> asymmetric(33, 48)(torch.zeros(1, 33, 4, 6)).shape
        torch.Size([1, 48, 4, 6])
    """
    between = round((in_channels * out_channels) ** 0.5)
    return nn.Sequential(
        nn.Conv2d(in_channels, between, (1, size), padding=(0, size // 2)),
        nn.Conv2d(between, out_channels, (size, 1), padding=(size // 2, 0)),
    )


class BlueprintConv(nn.Sequential):
    """A 1x1 convolution without bias, then one filter for each channel (BSConv-U).

    **Paper:** Haase, Amthor, Rethinking Depthwise Separable Convolutions: How Intra-Kernel Correlations Lead to
    Improved MobileNets, CVPR 2020.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        kernel_size: Side of the filters.
        stride: Of the filters.
        padding: Zeros around the picture.

    Example:
        >>> BlueprintConv(3, 8, padding=1)(torch.zeros(1, 3, 4, 6)).shape
        torch.Size([1, 8, 4, 6])
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.Conv2d(out_channels, out_channels, kernel_size, stride, padding, groups=out_channels),
        )


class Partial(nn.Module):
    """A layer for the first channels alone; the others stay as they are.

    **Paper:** Chen et al., Run, Don't Walk: Chasing Higher FLOPS for Faster Neural Networks, CVPR 2023.

    Args:
        layer: Keeps the size and the channels.
        channels: Of how many channels.

    Example:
        >>> x = torch.rand(1, 8, 4, 6)
        >>> torch.equal(Partial(nn.Conv2d(2, 2, 3, padding=1), 2)(x)[:, 2:], x[:, 2:])
        True
    """

    def __init__(self, layer: nn.Module, channels: int) -> None:
        super().__init__()
        self.layer = layer
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.layer(x[:, : self.channels]), x[:, self.channels :]], dim=1)
