"""Discriminators: they tell pictures of a network from true ones, and are needed in training alone.

Each takes pictures ``(N, 3, H, W)`` in [0, 1]. Its outputs come before the sigmoid: the higher, the truer.
"""

from itertools import pairwise

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from sr_lightning.limits import check_value


class UNetDiscriminator(nn.Module):
    """Real-ESRGAN's: three levels down and up with skips, spectral norm, and an output for each pixel.

    **Paper:** Wang, Xie, Dong, Shan, Real-ESRGAN, ICCV Workshops 2021, figure 6, after Schönfeld, Schiele, Khoreva, A
    U-Net Based Discriminator for GANs, CVPR 2020. The weights of all convolutions but the first and the last are
    divided by their spectral norm, which each pass in training estimates better by one step.
    Sides have 8 pixels or more.

    Args:
        num_features: Channels of the first level; 64 in the paper.

    Raises:
        ConfigError: If ``num_features`` is not above 0.

    Example:
        >>> import torch
        >>> UNetDiscriminator(4)(torch.rand(2, 3, 21, 16)).shape
        torch.Size([2, 1, 21, 16])
    """

    def __init__(self, num_features: int = 64) -> None:
        super().__init__()
        check_value("discriminator.num_features", num_features, PositiveInt)
        widths = [num_features * factor for factor in (1, 2, 4, 8)]
        pairs = list(pairwise(widths))
        self.first = nn.Conv2d(3, num_features, 3, padding=1)
        self.down = nn.ModuleList(_normed(nn.Conv2d(thin, wide, 4, 2, 1, bias=False)) for thin, wide in pairs)
        self.up = nn.ModuleList(
            _normed(nn.Conv2d(wide, thin, 3, padding=1, bias=False)) for thin, wide in reversed(pairs)
        )
        self.last = nn.Sequential(
            *(layer for _ in range(2) for layer in (
                _normed(nn.Conv2d(num_features, num_features, 3, padding=1, bias=False)), nn.LeakyReLU(0.2),
            )),
            nn.Conv2d(num_features, 1, 3, padding=1),
        )  # fmt: skip

    def forward(self, picture: Tensor) -> Tensor:
        x = F.leaky_relu(self.first(picture), 0.2)
        levels = []
        for down in self.down:
            levels.append(x)
            x = F.leaky_relu(down(x), 0.2)
        for up, level in zip(self.up, reversed(levels), strict=True):
            x = F.interpolate(x, size=level.shape[-2:], mode="bilinear")
            x = F.leaky_relu(up(x), 0.2) + level
        return self.last(x)  # type: ignore[no-any-return]


class PatchDiscriminator(nn.Sequential):
    """PatchGAN: plain convolutions, each of whose outputs judges a patch of 70x70 pixels.

    **Paper:** Isola, Zhu, Zhou, Efros, Image-to-Image Translation with Conditional Adversarial Networks, CVPR 2017,
    appendix 6.1.2, without the condition. Weights begin as in the authors' code: normal with deviation 0.02.
    Sides have 24 pixels or more.

    Args:
        num_features: Channels of the first layer; 64 in the paper.
        num_layers: Convolutions of stride 2; 3 in the paper, which see 70 pixels. With 1 they see 16, with 2 34.

    Raises:
        ConfigError: If an argument is not above 0.

    Example:
        >>> import torch
        >>> PatchDiscriminator(4)(torch.rand(2, 3, 70, 78)).shape
        torch.Size([2, 1, 6, 7])
    """

    def __init__(self, num_features: int = 64, num_layers: int = 3) -> None:
        check_value("discriminator.num_features", num_features, PositiveInt)
        check_value("discriminator.num_layers", num_layers, PositiveInt)
        widths = [num_features * min(2**i, 8) for i in range(num_layers + 1)]
        layers: list[nn.Module] = [nn.Conv2d(3, num_features, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            stride = 2 if i < num_layers else 1
            layers += [nn.Conv2d(before, after, 4, stride, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        for layer in self:
            if isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
                nn.init.normal_(layer.weight, float(isinstance(layer, nn.BatchNorm2d)), 0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


class VGGDiscriminator(nn.Module):
    """ESRGAN's: VGG-like convolutions with batch normalisation, and one output for the whole picture.

    **Paper:** Wang et al., ESRGAN, ECCV Workshops 2018, after SRGAN, figure 4. Theirs takes 128x128 pixels. Here
    features of other sizes are averaged, or repeated, to 4x4 places before the last layers, so that sides of 32 pixels
    or more fit. Batch normalisation needs two pictures, or sides of 64 pixels.

    Args:
        num_features: Channels of the first level; 64 in the paper.

    Raises:
        ConfigError: If ``num_features`` is not above 0.

    Example:
        >>> import torch
        >>> VGGDiscriminator(4)(torch.rand(2, 3, 48, 64)).shape
        torch.Size([2, 1])
    """

    def __init__(self, num_features: int = 64) -> None:
        super().__init__()
        check_value("discriminator.num_features", num_features, PositiveInt)
        widths = [3, *(num_features * factor for factor in (1, 2, 4, 8, 8))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=before == 3)]
            layers += [] if before == 3 else [nn.BatchNorm2d(after)]
            layers += [nn.LeakyReLU(0.2), nn.Conv2d(after, after, 4, 2, 1, bias=False)]
            layers += [nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.last = nn.Sequential(nn.Linear(16 * widths[-1], 100), nn.LeakyReLU(0.2), nn.Linear(100, 1))

    def forward(self, picture: Tensor) -> Tensor:
        return self.last(self.features(picture))  # type: ignore[no-any-return]


def _normed(layer: nn.Conv2d) -> nn.Module:
    return spectral_norm(layer)
