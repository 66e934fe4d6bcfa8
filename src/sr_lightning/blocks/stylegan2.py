"""StyleGAN2: generator and discriminator of configuration F.

**Paper:** Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, Analyzing and Improving the Image Quality of StyleGAN,
CVPR 2020.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Fuse = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]


def channels_at(size: int, multiplier: int = 2, cap: int = 512) -> int:
    """Feature channels at a resolution: 512 up to 64 pixels, then half at each doubling.

    Example:
        >>> [channels_at(size) for size in (4, 64, 128, 1024)]
        [512, 512, 256, 32]
    """
    return min(cap, 16384 * multiplier // size)


def sizes_between(first: int, last: int) -> list[int]:
    """Powers of two from ``first`` to ``last``.

    Example:
        >>> sizes_between(4, 32)
        [4, 8, 16, 32]
    """
    return [2**i for i in range(int(math.log2(first)), int(math.log2(last)) + 1)]


class EqualLinear(nn.Module):
    """Linear layer with equalised learning rate: weights N(0, 1), scaled when they are used."""

    def __init__(self, in_features: int, out_features: int, bias_init: float = 0.0, lr_scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_scale)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_scale))
        self.gain, self.lr_scale = lr_scale / math.sqrt(in_features), lr_scale

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * self.lr_scale)


class EqualConv(nn.Module):
    """Convolution with equalised learning rate; bias and activation follow it."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.gain, self.stride = 1 / math.sqrt(in_channels * kernel**2), stride
        self.padding = kernel // 2 if stride == 1 else 0

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.gain, self.bias, self.stride, self.padding)


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU 0.2 that keeps the variance: times the square root of two."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def blur(x: Tensor, pad: tuple[int, int], gain: float = 1.0) -> Tensor:
    """The separable filter [1, 3, 3, 1], normalised to ``gain``, applied to each channel separately."""
    taps = x.new_tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(taps, taps) * (gain / 64)
    x = F.pad(x, [*pad, *pad])
    return F.conv2d(x, kernel.expand(x.shape[1], 1, 4, 4), groups=x.shape[1])


class ModulatedConv(nn.Module):
    """Convolution whose input channels a style scales, and whose output is normalised again (demodulated)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        style_channels: int,
        *,
        demodulate: bool = True,
        upsample: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.modulation = EqualLinear(style_channels, in_channels, bias_init=1.0)
        self.gain = 1 / math.sqrt(in_channels * kernel**2)
        self.demodulate, self.upsample = demodulate, upsample

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        batch, in_channels, height, width = x.shape
        weight = self.gain * self.weight * self.modulation(style).view(batch, 1, in_channels, 1, 1)
        if self.demodulate:
            weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
        # Every picture has weights of its own: pictures become groups of one convolution.
        x = x.reshape(1, batch * in_channels, height, width)
        out_channels, kernel = weight.shape[1], weight.shape[-1]
        if self.upsample:
            weight = weight.transpose(1, 2).reshape(batch * in_channels, out_channels, kernel, kernel)
            x = F.conv_transpose2d(x, weight, stride=2, groups=batch)
            return blur(x.view(batch, out_channels, *x.shape[-2:]), (1, 1), gain=4)
        weight = weight.reshape(batch * out_channels, in_channels, kernel, kernel)
        x = F.conv2d(x, weight, padding=kernel // 2, groups=batch)
        return x.view(batch, out_channels, height, width)


class StyledConv(nn.Module):
    """Modulated convolution, noise of one learnt strength, bias and activation."""

    noise: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, size: int, style_channels: int, upsample: bool = False
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channels, out_channels, 3, style_channels, upsample=upsample)
        self.noise_strength = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        # Fixed: one input has one output.
        self.register_buffer("noise", torch.randn(1, 1, size, size))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = self.conv(x, style)
        return activate(x + self.noise_strength * self.noise + self.bias.view(1, -1, 1, 1))


class ToRGB(nn.Module):
    """Features to RGB, added to the enlarged picture so far."""

    def __init__(self, in_channels: int, style_channels: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channels, 3, 1, style_channels, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None = None) -> Tensor:
        rgb: Tensor = self.conv(x, style) + self.bias.view(1, 3, 1, 1)
        return rgb if skip is None else rgb + upsample_rgb(skip)


def upsample_rgb(x: Tensor) -> Tensor:
    """Twice the size: zeros between the pixels, then the filter."""
    batch, channels, height, width = x.shape
    spread = x.new_zeros(batch, channels, height, 2, width, 2)
    spread[:, :, :, 0, :, 0] = x
    return blur(spread.view(batch, channels, 2 * height, 2 * width), (2, 1), gain=4)


class StyleGAN2Generator(nn.Module):
    """Synthesis and mapping network.

    Args:
        size: Side of the output, a power of two.
        style_channels: Length of a style vector.
        multiplier: 2 is configuration F, whose large resolutions have twice the channels of E.
        cap: Largest number of channels.
        num_mapping: Layers of the mapping network.

    Example:
        >>> bank = StyleGAN2Generator(16, style_channels=8, cap=8, num_mapping=1)
        >>> bank.synthesize(torch.randn(2, bank.num_styles, 8))[0].shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(
        self, size: int, style_channels: int = 512, multiplier: int = 2, cap: int = 512, num_mapping: int = 8
    ) -> None:
        super().__init__()
        self.size, self.num_styles = size, 2 * int(math.log2(size)) - 2
        self.mapping = nn.ModuleList(
            EqualLinear(style_channels, style_channels, lr_scale=0.01) for _ in range(num_mapping)
        )
        first = channels_at(4, multiplier, cap)
        self.constant = nn.Parameter(torch.randn(1, first, 4, 4))
        self.first = StyledConv(first, first, 4, style_channels)
        self.first_rgb = ToRGB(first, style_channels)
        self.up, self.same, self.rgb = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for side in sizes_between(8, size):
            before, after = channels_at(side // 2, multiplier, cap), channels_at(side, multiplier, cap)
            self.up.append(StyledConv(before, after, side, style_channels, upsample=True))
            self.same.append(StyledConv(after, after, side, style_channels))
            self.rgb.append(ToRGB(after, style_channels))

    def styles(self, z: Tensor) -> Tensor:
        """Latent vectors ``(N, style_channels)`` through the mapping network."""
        w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-6)
        for layer in self.mapping:
            w = activate(layer(w))
        return w

    def synthesize(self, styles: Tensor, fuse: Fuse | None = None) -> tuple[Tensor, dict[int, Tensor]]:
        """Picture ``(N, 3, size, size)`` and features by resolution, of one style vector for each layer.

        Args:
            styles: ``(N, num_styles, style_channels)``.
            fuse: Called before each doubling with resolution, features and RGB, to replace both.
        """
        x = self.first(self.constant.expand(len(styles), -1, -1, -1), styles[:, 0])
        rgb, features = self.first_rgb(x, styles[:, 1]), {}
        for i, (up, same, to_rgb) in enumerate(zip(self.up, self.same, self.rgb, strict=True)):
            side = x.shape[-1]
            if fuse is not None:
                x, rgb = fuse(side, x, rgb)
            x = same(up(x, styles[:, 2 * i + 1]), styles[:, 2 * i + 2])
            rgb = to_rgb(x, styles[:, 2 * i + 3], rgb)
            features[2 * side] = x
        return rgb, features

    def forward(self, z: Tensor) -> Tensor:
        """Random pictures of latent vectors ``(N, style_channels)``."""
        return self.synthesize(self.styles(z).unsqueeze(1).expand(-1, self.num_styles, -1))[0]


class _DownBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.same = EqualConv(in_channels, in_channels, 3)
        self.down = EqualConv(in_channels, out_channels, 3, stride=2)
        self.skip = EqualConv(in_channels, out_channels, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = activate(self.down(blur(activate(self.same(x)), (2, 2))))
        return (y + self.skip(blur(x, (1, 1)))) / math.sqrt(2)  # type: ignore[no-any-return]


class StyleGAN2Discriminator(nn.Module):
    """Residual discriminator with the standard deviation over small groups of the batch as one more channel.

    A group has four pictures, as in the paper. A batch that is no multiple of four, which the authors refuse, has
    groups of three or two, or is one group.

    Args:
        size: Side of the pictures, a power of two.
        multiplier: See ``StyleGAN2Generator``.
        cap: Largest number of channels.

    Example:
        >>> StyleGAN2Discriminator(16, cap=8)(torch.randn(2, 3, 16, 16)).shape
        torch.Size([2, 1])
    """

    def __init__(self, size: int, multiplier: int = 2, cap: int = 512) -> None:
        super().__init__()
        self.size = size
        widths = [channels_at(side, multiplier, cap) for side in reversed(sizes_between(4, size))]
        self.from_rgb = EqualConv(3, widths[0], 1)
        self.blocks = nn.Sequential(*(_DownBlock(a, b) for a, b in pairwise(widths)))
        self.last = EqualConv(widths[-1] + 1, widths[-1], 3)
        self.hidden = EqualLinear(16 * widths[-1], widths[-1])
        self.output = EqualLinear(widths[-1], 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(N, 1)``."""
        x = self.blocks(activate(self.from_rgb(image)))
        x = activate(self.last(torch.cat([x, _group_deviation(x)], dim=1)))
        return self.output(activate(self.hidden(x.flatten(1))))  # type: ignore[no-any-return]


def _group_deviation(x: Tensor) -> Tensor:
    batch, channels, height, width = x.shape
    group = next((size for size in (4, 3, 2) if batch % size == 0), batch)
    y = x.view(group, -1, channels, height, width)
    deviation = (y.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3), keepdim=True)
    return deviation.repeat(group, 1, height, width)
