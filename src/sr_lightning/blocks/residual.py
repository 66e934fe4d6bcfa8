"""Residual blocks."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from sr_lightning.blocks.attention import attention as attention_layer
from sr_lightning.blocks.convolution import asymmetric
from sr_lightning.blocks.dense import DenseFusion, leaky_relu
from sr_lightning.blocks.normalization import normalization
from sr_lightning.errors import ConfigError, nearest

#: Kinds of blocks, and by what factor they widen their features.
EXPANSION = {"residual": 1, "asymmetric": 1, "wide_a": 4, "wide_b": 6, "dca": 2}

#: Attention with a mean of the whole picture, or with its rotation.
_OF_ALL = {"channel", "channel_full", "sa", "msa", "mpr_sa", "mix"}

relu = partial(nn.ReLU, inplace=True)


def looks_at_all(block: str, attention: str, norm: str) -> bool:
    """Whether such a ``ResidualBlock`` looks at the whole picture.

    Example:
        >>> looks_at_all("residual", "spatial+channel", "none"), looks_at_all("residual", "spatial", "batch")
        (True, False)
    """
    return block == "dca" or not _OF_ALL.isdisjoint(attention.split("+")) or "instance" in norm.split("+")


def residual_layers(
    block: str, num_features: int, width: int, kernel_size: int, norm: str, activation: Callable[[], nn.Module]
) -> list[nn.Module]:
    """The layers of the residual of such a block, without attention; see ``ResidualBlock``.

    Example:
        >>> [type(layer).__name__ for layer in residual_layers("residual", 8, 8, 3, "batch", nn.ReLU)]
        ['Conv2d', 'BatchNorm2d', 'ReLU', 'Conv2d', 'BatchNorm2d']
    """
    conv = partial(nn.Conv2d, kernel_size=kernel_size, padding=kernel_size // 2)
    middle, end = [*normalization(norm, width), activation()], normalization(norm, num_features)
    if block == "dca":
        growth_rate = max((width - num_features) // 8, 1)
        return [DenseFusion(num_features, growth_rate, 8, leaky_relu, attention="channel_full"), *end]
    if block == "wide_b":
        linear = int(0.8 * num_features)
        expand, shrink = nn.Conv2d(num_features, width, 1), nn.Conv2d(width, linear, 1)
        return [expand, *middle, shrink, conv(linear, num_features), *end]
    first = asymmetric(num_features, width) if block == "asymmetric" else conv(num_features, width)
    return [first, *middle, conv(width, num_features), *end]


class ResidualBlock(nn.Module):
    """Convolution, activation, convolution and a skip, in the forms of several papers.

    - ``residual`` is EDSR's block, without normalisation; with ``attention="channel"`` it is RCAN's RCAB.
    - ``wide_a`` is WDSR-A's: four times the channels at the activation.
    - ``wide_b`` is WDSR-B's: 1x1 to six times the channels, activation, 1x1 to 0.8 times, 3x3.
    - ``asymmetric`` is DeepResNet's: 1x5 and 5x1 instead of the first convolution.
    - ``dca`` is rawSR's: eight densely connected convolutions, 1x1 fusion and channel attention.

    **Papers:** Lim et al., Enhanced Deep Residual Networks for Single Image Super-Resolution, CVPRW 2017; Zhang et al.,
    Image Super-Resolution Using Very Deep Residual Channel Attention Networks, ECCV 2018; Yu et al., Wide Activation
    for Efficient and Accurate Image Super-Resolution, 2018.

    Args:
        num_features: Channels in and out.
        res_scale: Factor of the residual before it is added; 0.1 keeps wide networks stable.
        block: One of the forms above.
        attention: On the residual, a name that ``attention`` knows.
        norm: After the convolutions, a name that ``normalization`` knows.
        width: Channels at the activation, of ``dca`` before the fusion; by default what the form says.
        kernel_size: Of the square convolutions; ``dca`` has 3.
        reduction: Of channel attention.
        activation: Makes the activation, default ReLU; ``dca`` has leaky ReLU.

    Example:
        >>> import torch
        >>> ResidualBlock(8, block="wide_b", attention="mix")(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 8, 4, 4])
    """

    def __init__(
        self,
        num_features: int,
        res_scale: float = 1.0,
        *,
        block: str = "residual",
        attention: str = "none",
        norm: str = "none",
        width: int | None = None,
        kernel_size: int = 3,
        reduction: int = 16,
        activation: Callable[[], nn.Module] = relu,
    ) -> None:
        super().__init__()
        if block not in EXPANSION:
            raise ConfigError(f"block={block}: there is no such block; {nearest(block, EXPANSION)}")
        width = width or EXPANSION[block] * num_features
        self.body = nn.Sequential(*residual_layers(block, num_features, width, kernel_size, norm, activation))
        self.attention = attention_layer(attention, num_features, reduction)
        self.res_scale = res_scale

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.attention(self.body(x))
        if self.res_scale != 1:
            residual = residual * self.res_scale
        return x + residual


class ResidualGroup(nn.Module):
    """Blocks, one convolution and a skip around them: RCAN's residual group, equation 9.

    Example:
        >>> import torch
        >>> ResidualGroup(nn.Identity(), num_features=8)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 8, 4, 4])
    """

    def __init__(self, *members: nn.Module, num_features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*members, nn.Conv2d(num_features, num_features, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)  # type: ignore[no-any-return]
