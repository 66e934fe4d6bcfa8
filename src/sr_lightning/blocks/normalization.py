"""Shifts of the value range around a network, and normalisation inside it."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from sr_lightning.errors import ConfigError, nearest

# Mean RGB of the 800 training pictures, in [0, 1], as EDSR published it.
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)

# Mean and deviation of ImageNet's colours, in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalization(name: str, channels: int) -> list[nn.Module]:
    """The layers that follow a convolution: none, or one.

    Args:
        name: ``none``, ``batch``, ``instance`` or ``weight``; ``batch+weight`` is both. Weight normalisation has no
            layer. A network that offers it calls ``weight_normed`` at the end of its constructor.
        channels: Channels of the features.

    Example:
        >>> [type(layer).__name__ for layer in normalization("batch+weight", 8)]
        ['BatchNorm2d']
    """
    makers: dict[str, Callable[[int], nn.Module] | None] = {
        "none": None,
        "batch": nn.BatchNorm2d,
        "instance": partial(nn.InstanceNorm2d, affine=True),
        "weight": None,
    }
    layers = []
    for part in name.split("+"):
        if part not in makers:
            raise ConfigError(f"norm={name}: there is no normalisation {part!r}; {nearest(part, makers)}")
        maker = makers[part]
        layers += [maker(channels)] if maker else []
    return layers


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation of the channels of each pixel of ``(N, C, H, W)``.

    Example:
        >>> x = ChannelNorm(8)(torch.rand(2, 8, 4, 5))
        >>> torch.allclose(x.mean(1), torch.zeros(2, 4, 5), atol=1e-5)
        True
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__(channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class MeanShift(nn.Module):
    """Subtracts a mean colour and scales to the range a network was designed for, and back.

    The mean is a buffer: it is neither trained nor counted among the parameters.

    Args:
        value_range: The value of white inside; EDSR and its descendants compute in 0...255.
        mean: RGB mean in [0, 1].

    Example:
        >>> shift = MeanShift(255)
        >>> x = torch.rand(1, 3, 4, 4)
        >>> torch.allclose(shift.undo(shift(x)), x, atol=1e-6)
        True
    """

    mean: Tensor

    def __init__(self, value_range: float = 255.0, mean: Sequence[float] = DIV2K_MEAN) -> None:
        super().__init__()
        self.value_range = value_range
        self.register_buffer("mean", torch.tensor([*mean]).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) * self.value_range

    def undo(self, x: Tensor) -> Tensor:
        """Back to [0, 1]; in float32, because half precision cannot hold 8-bit colours near white."""
        x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        return x / self.value_range + self.mean


class Standardize(nn.Module):
    """Subtracts ImageNet's mean colour and divides by its deviation.

    Example:
        >>> Standardize()(torch.full((1, 3, 1, 1), 0.485)).flatten()[0]
        tensor(0.)
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std
