"""GLEAN: an encoder steers a frozen StyleGAN2, whose features a decoder turns into the picture."""

import math
from pathlib import Path
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, channels_at, sizes_between
from sr_lightning.errors import CheckpointError
from sr_lightning.functional import imresize
from sr_lightning.models.adversarial import AdversarialModule
from sr_lightning.types import Recipe


class DenseBlock(nn.Module):
    """ESRGAN's: five densely connected convolutions, residual x 0.2."""

    def __init__(self, num_features: int, growth_rate: int) -> None:
        super().__init__()
        widths = [growth_rate] * 4 + [num_features]
        convs = [nn.Conv2d(num_features + i * growth_rate, width, 3, padding=1) for i, width in enumerate(widths)]
        for conv in convs:
            nn.init.kaiming_normal_(conv.weight)
            conv.weight.data.mul_(0.1)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        self.layers = nn.ModuleList(convs)

    def forward(self, x: Tensor) -> Tensor:
        features = x
        for layer in self.layers[:-1]:
            features = torch.cat([features, F.leaky_relu(layer(features), 0.2)], dim=1)
        return x + 0.2 * self.layers[-1](features)  # type: ignore[no-any-return]


class RRDB(nn.Module):
    """Residual in residual: three dense blocks, residual x 0.2.

    **Paper:** Wang et al., ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks, ECCVW 2018.
    """

    def __init__(self, num_features: int, growth_rate: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(DenseBlock(num_features, growth_rate) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.body(x)  # type: ignore[no-any-return]


class _FirstStage(nn.Module):
    """RRDB features with a skip around all blocks, then the channels of the encoder."""

    def __init__(self, out_channels: int, num_features: int, growth_rate: int, num_blocks: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, num_features, 3, padding=1)
        self.body = nn.Sequential(
            *(RRDB(num_features, growth_rate) for _ in range(num_blocks)),
            nn.Conv2d(num_features, num_features, 3, padding=1),
        )
        self.widen = nn.Sequential(nn.Conv2d(num_features, out_channels, 3, padding=1), nn.LeakyReLU(0.2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        return self.widen(x + self.body(x))  # type: ignore[no-any-return]


def _down(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(out_channels, out_channels, 3, padding=1),
        nn.LeakyReLU(0.2),
    )


class GLEANNet(nn.Module):
    """Encoder, latent bank and decoder for pictures of one size.

    Any other size is resized to the encoder's and back from the decoder's, so that the output is exactly
    ``scale`` times the input.

    Example:
        >>> net = GLEANNet(scale=4, out_size=32, num_features=8, growth_rate=4, num_blocks=1, style_channels=16, cap=16)
        >>> net(torch.rand(2, 3, 8, 8)).shape, net(torch.rand(1, 3, 7, 9)).shape
        (torch.Size([2, 3, 32, 32]), torch.Size([1, 3, 28, 36]))
    """

    def __init__(
        self,
        scale: int = 8,
        out_size: int = 256,
        num_features: int = 64,
        growth_rate: int = 32,
        num_blocks: int = 23,
        style_channels: int = 512,
        cap: int = 512,
    ) -> None:
        super().__init__()
        in_size = out_size // scale
        if not (math.log2(out_size).is_integer() and math.log2(scale).is_integer() and scale > 1 and in_size >= 8):
            raise ValueError(
                f"scale={scale}: GLEAN enlarges by 2, 4, 8 ... to out_size={out_size}, also a power of two, "
                "from at least 8 pixels"
            )
        self.scale, self.in_size, self.out_size = scale, in_size, out_size

        def width(size: int) -> int:
            return channels_at(size, cap=cap)

        self.first = _FirstStage(width(in_size), num_features, growth_rate, num_blocks)
        self.down = nn.ModuleList(_down(width(s), width(s // 2)) for s in reversed(sizes_between(8, in_size)))
        self.bank = StyleGAN2Generator(out_size, style_channels, cap=cap).requires_grad_(False)
        self.style = nn.Sequential(
            nn.Conv2d(width(4), width(4), 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(16 * width(4), self.bank.num_styles * style_channels),
        )
        inner = sizes_between(4, in_size)
        self.fuse = nn.ModuleDict({str(s): nn.Conv2d(2 * width(s), width(s), 3, padding=1) for s in inner})
        self.fuse_rgb = nn.ModuleDict({str(s): nn.Conv2d(width(s) + 3, 3, 3, padding=1) for s in inner})
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width(s) * (1 if s == in_size else 2), 4 * width(2 * s), 3, padding=1), nn.PixelShuffle(2)
            )
            for s in sizes_between(in_size, out_size // 2)
        )
        self.last = nn.Sequential(
            nn.Conv2d(2 * width(out_size), 64, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(64, 3, 3, padding=1)
        )

    def forward(self, lr: Tensor) -> Tensor:
        size, wanted = lr.shape[-2:], (lr.shape[-2] * self.scale, lr.shape[-1] * self.scale)
        fits = size == (self.in_size, self.in_size)
        sr = self._forward(2 * (lr if fits else imresize(lr, size=(self.in_size, self.in_size))) - 1)
        sr = (sr.float() + 1) / 2
        return sr if fits else imresize(sr, size=wanted)

    def _forward(self, x: Tensor) -> Tensor:
        """[-1, 1] to [-1, 1]."""
        encoded = {self.in_size: self.first(x)}
        x = encoded[self.in_size]
        for stage in self.down:
            x = stage(x)
            encoded[x.shape[-1]] = x
        styles = self.style(x).view(len(x), self.bank.num_styles, -1)

        def fuse(side: int, features: Tensor, rgb: Tensor) -> tuple[Tensor, Tensor]:
            if side > self.in_size:
                return features, rgb
            own = encoded[side]
            return (
                self.fuse[str(side)](torch.cat([features, own], dim=1)),
                self.fuse_rgb[str(side)](torch.cat([rgb, own], dim=1)),
            )

        _, bank = self.bank.synthesize(styles, fuse)
        x = encoded[self.in_size]
        for up in self.up:
            x = up(x)
            x = torch.cat([x, bank[x.shape[-1]]], dim=1)
        return self.last(x)  # type: ignore[no-any-return]


class GLEAN(AdversarialModule):
    """GLEAN for one size of output, trained with pixel and adversarial losses.

    **Paper:** Chan, Wang, Xu, Gu, Loy, GLEAN: Generative Latent Bank for Large-Factor Image Super-Resolution,
    CVPR 2021. The bank's RGB picture is fused with the encoder's features at each size, but nothing reads it: the
    layers ``fuse_rgb`` are there, and counted, because the published network has them. The bank is frozen; without
    ``bank_weights`` it is random, which is good for tests alone.

    Args:
        scale: 2, 4, 8 ...; the encoder's size is ``out_size // scale``.
        out_size: Side of the output, a power of two.
        num_features: Channels of the RRDB features.
        growth_rate: Channels that each dense layer adds.
        num_blocks: RRDBs.
        style_channels: Length of a style vector.
        cap: Largest number of channels; the paper's 512.
        bank_weights: File with the weights of a StyleGAN2 generator of ``out_size``.
        adversarial: Train with a discriminator.
        gan_weight: Weight of the adversarial term.

    Raises:
        ValueError: If sizes are no powers of two.
        CheckpointError: If ``bank_weights`` cannot be read or does not fit.

    Example:
        >>> tiny = GLEAN(scale=4, out_size=32, num_features=8, growth_rate=4, num_blocks=1, style_channels=16, cap=16)
        >>> tiny(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 32, 32])
    """

    unused = ("fuse_rgb",)

    def __init__(
        self,
        scale: int = 8,
        out_size: int = 256,
        num_features: int = 64,
        growth_rate: int = 32,
        num_blocks: int = 23,
        style_channels: int = 512,
        cap: int = 512,
        bank_weights: str | None = None,
        adversarial: bool = True,
        gan_weight: float = 1e-2,
        **recipe: Unpack[Recipe],
    ) -> None:
        net = GLEANNet(scale, out_size, num_features, growth_rate, num_blocks, style_channels, cap)
        if bank_weights is not None:
            load_bank(net.bank, Path(bank_weights))
        discriminator = StyleGAN2Discriminator(out_size, cap=cap) if adversarial else None
        super().__init__(net, discriminator, scale=scale, gan_weight=gan_weight, **recipe)
        self.out_size = out_size

    def judged(self, picture: Tensor) -> Tensor:
        fits = picture.shape[-2:] == (self.out_size, self.out_size)
        return super().judged(picture if fits else imresize(picture, size=(self.out_size, self.out_size)))


def load_bank(bank: StyleGAN2Generator, path: Path) -> None:
    """Loads a StyleGAN2 generator, in this library's names or those of the usual PyTorch port (``g_ema``).

    Raises:
        CheckpointError: If the file cannot be read without running code, or does not fit.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; model.bank_weights names a StyleGAN2 generator") from None
    except Exception as error:
        raise CheckpointError(f"{path}: cannot be read as weights ({' '.join(str(error).split())[:100]})") from None
    state = state.get("g_ema", state.get("state_dict", state))
    state = {_own_name(key): value for key, value in state.items()}
    known = {key: state[key] for key in bank.state_dict() if key in state}
    wrong = [key for key, value in bank.state_dict().items() if key not in known or known[key].shape != value.shape]
    if wrong:
        raise CheckpointError(f"{path}: no StyleGAN2 generator of {bank.size} pixels (first misfit: {wrong[0]})")
    bank.load_state_dict(known)


def _own_name(key: str) -> str:
    """The port's names (``convs.3.conv.weight``, ``style.1.bias``, ``noises.noise_4``) in this library's."""
    parts = key.split(".")
    head, rest = parts[0], parts[1:]
    tail = ".".join(rest[1:] if rest and rest[0].isdigit() else rest)
    tail = {"noise.weight": "noise_strength", "activate.bias": "bias"}.get(tail, tail)
    if head == "style":
        return f"mapping.{int(rest[0]) - 1}.{tail}"
    if key == "input.input":
        return "constant"
    if head in ("conv1", "to_rgb1"):
        return f"{'first' if head == 'conv1' else 'first_rgb'}.{tail}"
    if head in ("convs", "to_rgbs"):
        index = int(rest[0])
        return f"rgb.{index}.{tail}" if head == "to_rgbs" else f"{('up', 'same')[index % 2]}.{index // 2}.{tail}"
    if head == "noises":
        index = int(rest[0].removeprefix("noise_"))
        return "first.noise" if index == 0 else f"{('up', 'same')[(index - 1) % 2]}.{(index - 1) // 2}.noise"
    return key
