"""A network to compute, of this library or in an ONNX file, and how far it looks."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sr_lightning.inference.engines.onnx_network import OnnxNetwork
from sr_lightning.inference.tiles.receptive_field import GLOBAL_HALO, receptive_radius
from sr_lightning.models import SuperResolutionModule

Network = SuperResolutionModule | OnnxNetwork
Forward = Callable[..., Tensor]


class WithConstants(nn.Module):
    """A network of pictures and constants as one of pictures alone."""

    def __init__(self, net: Forward, kinds: tuple[str, ...], constants: dict[str, Tensor]) -> None:
        super().__init__()
        self.net, self.kinds = net, kinds
        for kind, value in constants.items():
            self.register_buffer(kind, value)

    def forward(self, *pictures: Tensor) -> Tensor:
        rest = iter(pictures)
        given = dict(self.named_buffers(recurse=False))
        return self.net(*(given[kind] if kind in given else next(rest) for kind in self.kinds))


class _Features(nn.Module):
    """The first half of a network of any scale."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, lr: Tensor) -> Tensor:
        return self.net.features(lr)  # type: ignore[no-any-return, operator]


class Field(NamedTuple):
    """What tiles of a network see of their surroundings.

    Args:
        halo: LR pixels around each tile.
        everywhere: Whether the network looks farther than that, so that neighbours are blended where they overlap.
    """

    halo: int
    everywhere: bool


def field_of(network: Network, constants: dict[str, Tensor] | None = None) -> Field:
    """What a network states of how far it looks, or what is measured.

    Args:
        network: With its weights.
        constants: Inputs that are no pictures, such as ``white_balance``; by default, no balance.

    Example:
        >>> from sr_lightning.models import Bicubic, SwinIR
        >>> field_of(Bicubic(scale=2))
        Field(halo=2, everywhere=False)
        >>> field_of(SwinIR(num_features=12, num_heads=3, num_groups=1, window=4))
        Field(halo=32, everywhere=True)
    """
    if network.halo is not None:
        return Field(network.halo, network.looks_everywhere)
    if network.looks_everywhere:
        return Field(GLOBAL_HALO, True)
    if network.any_scale:
        field = _measured(receptive_radius(_Features(network.net)))
        return field._replace(halo=field.halo + 2)  # the pixels beside a place, and those around them
    if constants is None and "white_balance" in network.inputs:
        constants = {"white_balance": torch.ones(1, 3)}
    pictures = [kind for kind in network.inputs if kind not in (constants or {})]
    channels = tuple(4 if network.packed else 1 if kind == "raw" or network.luma else 3 for kind in pictures)
    net = WithConstants(network.net, network.inputs, constants or {})
    return _measured(receptive_radius(net, channels, network.scale, multiple=network.tile_multiple))


def _measured(radius: int | None) -> Field:
    return Field(GLOBAL_HALO, True) if radius is None else Field(radius, False)
