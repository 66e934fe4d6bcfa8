"""Two networks of one scale as one, whose results are mixed."""

from math import lcm

import torch
from torch import Tensor, nn

from sr_lightning.errors import ConfigError
from sr_lightning.inference.engines.network import Network, field_of
from sr_lightning.models import SuperResolutionModule


class MixedNetwork(SuperResolutionModule):
    """A share of one network's result, and the rest of another's.

    Args:
        network: Whose result is wanted.
        other: What the rest is of, such as a network that invents nothing.
        strength: The share of ``network``, 0 to 1.

    Raises:
        ConfigError: If their scales differ, or one reads mosaics or is for any scale.

    Example:
        >>> from sr_lightning.models import ESPCN, Bicubic
        >>> network, bicubic, lr = ESPCN(scale=2), Bicubic(scale=2), torch.rand(1, 3, 8, 8)
        >>> mixed = MixedNetwork(network, bicubic, 0.25)(lr)
        >>> torch.allclose(mixed, 0.25 * network(lr) + 0.75 * bicubic(lr), atol=1e-6)
        True
    """

    parts = (*SuperResolutionModule.parts, "network", "other", "strength")

    def __init__(self, network: Network, other: Network, strength: float) -> None:
        for each in (network, other):
            if each.inputs != ("lr",) or each.any_scale or each.scale != network.scale:
                raise ConfigError(
                    f"strength={strength:g}: mixes results of networks for pictures of one scale, not those of "
                    f"{network.title} x{network.scale:g} and {other.title} x{other.scale:g}"
                )
        super().__init__(_Mixed(network, other, strength), scale=int(network.scale))
        self._title = f"{network.title} with {1 - strength:.0%} {other.title}"
        fields = field_of(network), field_of(other)
        self._halo = max(field.halo for field in fields)
        self._everywhere = any(field.everywhere for field in fields)
        self._multiple = lcm(network.tile_multiple, other.tile_multiple)

    @property
    def title(self) -> str:
        """The name of the network in messages."""
        return self._title

    @property
    def halo(self) -> int:  # type: ignore[override]
        """LR pixels that the farther looking one needs around a tile."""
        return self._halo

    @property
    def looks_everywhere(self) -> bool:  # type: ignore[override]
        """Whether one of them may look farther."""
        return self._everywhere

    @property
    def tile_multiple(self) -> int:
        """Tiles begin on multiples of this."""
        return self._multiple


class _Mixed(nn.Module):
    def __init__(self, network: nn.Module, other: nn.Module, strength: float) -> None:
        super().__init__()
        self.network, self.other, self.strength = network, other, strength

    def forward(self, lr: Tensor) -> Tensor:
        return torch.lerp(self.other(lr).to(lr.dtype), self.network(lr).to(lr.dtype), self.strength)
