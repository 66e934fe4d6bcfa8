"""GLEAN: an encoder steers a frozen StyleGAN2, and a decoder makes the picture from its features."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sr_lightning.atomic import AnyPath
from sr_lightning.blocks import RRDB, pixel_shuffle
from sr_lightning.blocks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, channels_at, sizes_between
from sr_lightning.errors import CheckpointError
from sr_lightning.functional import imresize
from sr_lightning.models.adversarial import AdversarialModule
from sr_lightning.models.arguments import network
from sr_lightning.models.layouts import Layers, Layout, State
from sr_lightning.tensor_files import read_torch_state


def _of_mmagic(state: State) -> State:
    """Names that stand for resolutions or for the last of a list, and axes of length one."""
    last = max((int(name.split(".")[1]) for name in state if name.startswith("encoder.")), default=0)
    result = {}
    for name, value in state.items():
        name = re.sub(rf"^encoder\.{last}\.", "style.", name)
        name = re.sub(r"^(fusion_\w+)\.(\d+)", lambda m: f"{m[1]}.{4 * 2 ** int(m[2])}", name)
        if name.endswith(".weight_orig") and value.dim() == 5:
            value = value[0]
        result[name] = value.flatten() if re.match(r"generator\.to_rgb.*\.bias", name) else value
    return result


def _styled(theirs: str, ours: str) -> dict[str, str]:
    return {
        f"{theirs}.conv.weight_orig": f"{ours}.conv.weight",
        f"{theirs}.conv.style_modulation": f"{ours}.conv.modulation",
        f"{theirs}.conv.style_modulation.linear.weight_orig": f"{ours}.conv.modulation.weight",
        f"{theirs}.noise_injector.weight": f"{ours}.noise_strength",
        f"{theirs}.activate": ours,
        theirs: ours,
    }


MMAGIC = Layout(
    whose="mmagic",
    names={
        "encoder.0.0.conv_first": "first.head",
        "encoder.0.0.body.{i}.rdb{j+1}.conv{k+1}": "first.body.{i}.body.{j}.layers.{k}",
        "encoder.0.0.conv_body": "first.body.{n}",
        "encoder.0.1": "first.widen.0",
        "encoder.{i+1}.{j}": "down.{i}.{j}",
        "style.{i}": "style.{i}",
        "fusion_out.{i}": "fuse.{i}",
        "fusion_skip.{i}": "fuse_rgb.{i}",
        "decoder.{i}.upsample_conv": "up.{i}.0",
        "decoder.{i}.{j}": "last.{j}",
        "generator.constant_input.input": "bank.constant",
        "generator.style_mapping.{i+1}": "bank.mapping.{i}",
        "generator.style_mapping.{i+1}.linear.weight_orig": "bank.mapping.{i}.weight",
        "generator.injected_noise_0": "bank.first.noise",
        "generator.injected_noise_{2i+1}": "bank.up.{i}.noise",
        "generator.injected_noise_{2i+2}": "bank.same.{i}.noise",
        **_styled("generator.conv1", "bank.first"),
        **_styled("generator.convs.{2i}", "bank.up.{i}"),
        **_styled("generator.convs.{2i+1}", "bank.same.{i}"),
        **_styled("generator.to_rgb1", "bank.first_rgb"),
        **_styled("generator.to_rgbs.{i}", "bank.rgb.{i}"),
    },
    constants=("generator.convs.{i}.conv.blur", "generator.to_rgbs.{i}.upsample"),
    prepare=_of_mmagic,
)


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

    An input of another size is resized to the encoder's size, and the output to ``scale`` times the input's.
    """

    def __init__(self, args: "GLEAN") -> None:
        super().__init__()
        in_size = args.out_size // args.scale
        if not (
            math.log2(args.out_size).is_integer()
            and math.log2(args.scale).is_integer()
            and args.scale > 1
            and in_size >= 8
        ):
            raise ValueError(
                f"scale={args.scale}: GLEAN enlarges by 2, 4, 8 ... to out_size={args.out_size}, also a power of two, "
                "from at least 8 pixels"
            )
        self.scale, self.in_size, self.out_size = args.scale, in_size, args.out_size

        def width(size: int) -> int:
            return channels_at(size, cap=args.cap)

        self.first = _FirstStage(width(in_size), args.num_features, args.growth_rate, args.num_blocks)
        self.down = nn.ModuleList(_down(width(s), width(s // 2)) for s in reversed(sizes_between(8, in_size)))
        self.bank = StyleGAN2Generator(args.out_size, args.style_channels, cap=args.cap).requires_grad_(False)
        self.style = nn.Sequential(
            nn.Conv2d(width(4), width(4), 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(16 * width(4), self.bank.num_styles * args.style_channels),
        )
        inner = sizes_between(4, in_size)
        self.fuse = nn.ModuleDict({str(s): nn.Conv2d(2 * width(s), width(s), 3, padding=1) for s in inner})
        self.fuse_rgb = nn.ModuleDict({str(s): nn.Conv2d(width(s) + 3, 3, 3, padding=1) for s in inner})
        self.up = nn.ModuleList(
            pixel_shuffle(width(s) * (1 if s == in_size else 2), width(2 * s), 2)
            for s in sizes_between(in_size, args.out_size // 2)
        )
        self.last = nn.Sequential(
            nn.Conv2d(2 * width(args.out_size), 64, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(64, 3, 3, padding=1)
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


@network
class GLEAN(AdversarialModule):
    """GLEAN for one size of output, trained with pixel and adversarial losses, and whatever terms ``loss`` adds.

    **Paper:** Chan, Wang, Xu, Gu, Loy, GLEAN: Generative Latent Bank for Large-Factor Image Super-Resolution,
    CVPR 2021. The layers ``fuse_rgb`` fuse the bank's RGB picture with the encoder's features, but nothing reads the
    result. They exist because the published network has and counts them. The bank is frozen. Without ``bank_weights``
    it is random, which is useful for tests only.

    Args:
        scale: 2, 4, 8 ...; the encoder's size is ``out_size // scale``.
        out_size: Side of the output, a power of two.
        num_features: Channels of the RRDB features.
        growth_rate: Channels that each dense layer adds.
        num_blocks: RRDBs.
        style_channels: Length of a style vector.
        cap: Largest number of channels; the paper's 512.
        bank_weights: File with the weights of a StyleGAN2 generator of ``out_size``.
        discriminator_weights: File with the weights of a StyleGAN2 discriminator of ``out_size``.
        adversarial: Whether a discriminator trains too.
        gan: The adversarial loss, one of ``losses.gan.Kind``.
        gan_weight: Weight of the adversarial term.

    Raises:
        ValueError: If sizes are no powers of two.
        ConfigError: If there is no such adversarial loss.
        CheckpointError: If ``bank_weights`` or ``discriminator_weights`` cannot be read or do not fit.

    Example:
        >>> tiny = GLEAN(scale=4, out_size=32, num_features=8, growth_rate=4, num_blocks=1, style_channels=16, cap=16)
        >>> tiny(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 32, 32])
    """

    layouts = (MMAGIC,)
    unused = ("fuse_rgb",)
    # A checkpoint has the weights themselves, so it loads without the files.
    parts = (*AdversarialModule.parts, "bank_weights", "discriminator_weights")

    scale: int = 8
    out_size: int = 256
    num_features: int = 64
    growth_rate: int = 32
    num_blocks: int = 23
    style_channels: int = 512
    cap: int = 512
    bank_weights: str | None = None
    discriminator_weights: str | None = None
    adversarial: bool = True

    looks_everywhere = True

    def build_net(self) -> nn.Module:
        net = GLEANNet(self)
        if self.bank_weights is not None:
            load_bank(net.bank, Path(self.bank_weights))
        return net

    def build_discriminator(self) -> nn.Module | None:
        discriminator = StyleGAN2Discriminator(self.out_size, cap=self.cap) if self.adversarial else None
        if discriminator is not None and self.discriminator_weights is not None:
            load_discriminator(discriminator, Path(self.discriminator_weights))
        return discriminator

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        out_size = 4 * 2 ** layers.count("bank.up.{i}.conv")
        return {
            "scale": out_size // max(layers.numbers("fuse.{i}")),
            "out_size": out_size,
            "num_features": layers.outputs("first.head"),
            "growth_rate": layers.outputs("first.body.0.body.0.layers.0"),
            "num_blocks": layers.count("first.body.{i}.body.0.layers.0"),
            "style_channels": layers.inputs("bank.first.conv.modulation"),
            "cap": layers.outputs("bank.first.conv"),
            "adversarial": False,  # a file of the generator alone
        }

    def discriminator_input(self, picture: Tensor) -> Tensor:
        fits = picture.shape[-2:] == (self.out_size, self.out_size)
        return super().discriminator_input(picture if fits else imresize(picture, size=(self.out_size, self.out_size)))


def load_bank(bank: StyleGAN2Generator, path: AnyPath) -> None:
    """Loads a StyleGAN2 generator, in this library's names or those of the usual PyTorch port (``g_ema``).

    Raises:
        CheckpointError: If the file cannot be read without running code, or does not fit.
    """
    path = Path(path)
    _load(bank, path, "bank_weights", f"StyleGAN2 generator of {bank.size} pixels", "g_ema", _bank_name)


def load_discriminator(discriminator: StyleGAN2Discriminator, path: AnyPath) -> None:
    """Loads a StyleGAN2 discriminator, in this library's names or those of the usual PyTorch port (``d``).

    Raises:
        CheckpointError: If the file cannot be read without running code, or does not fit.
    """
    path = Path(path)
    what = f"StyleGAN2 discriminator of {discriminator.size} pixels"
    _load(discriminator, path, "discriminator_weights", what, "d", _discriminator_name)


def _load(net: nn.Module, path: Path, argument: str, what: str, entry: str, name: Callable[[str], str]) -> None:
    state: Any = read_torch_state(path, f"model.{argument}, which names a {what}")
    for wrapper in (entry, "state_dict"):
        state = state.get(wrapper, state) if isinstance(state, dict) else {}
    items = state.items() if isinstance(state, dict) else ()
    state = {name(key): value for key, value in items if isinstance(key, str) and isinstance(value, Tensor)}
    expected = net.state_dict()
    wrong = [k for k, value in expected.items() if k not in state or state[k].squeeze().shape != value.squeeze().shape]
    if wrong:
        raise CheckpointError(f"{path}: no {what} (first misfit: {wrong[0]})")
    # The port keeps axes of length one around some weights.
    net.load_state_dict({key: state[key].reshape(value.shape) for key, value in expected.items()})


def _bank_name(key: str) -> str:
    """The port's names (``convs.3.conv.weight``, ``style.1.bias``, ``noises.noise_4``) in this library's."""
    if key == "input.input":
        return "constant"
    layers = r"(conv1|to_rgb1|convs|to_rgbs|style|noises)"
    match = re.fullmatch(layers + r"(?:\.(?:noise_)?(\d+))?(?:\.(.+))?", key)
    if not match:
        return key
    index, tail = int(match[2] or 0), match[3]
    tail = {"noise.weight": "noise_strength", "activate.bias": "bias"}.get(tail, tail)

    def layer(number: int) -> str:
        return f"{('up', 'same')[number % 2]}.{number // 2}"

    return {
        "conv1": f"first.{tail}",
        "to_rgb1": f"first_rgb.{tail}",
        "convs": f"{layer(index)}.{tail}",
        "to_rgbs": f"rgb.{index}.{tail}",
        "style": f"mapping.{index - 1}.{tail}",
        "noises": f"{layer(index - 1)}.noise" if index else "first.noise",
    }[match[1]]


def _discriminator_name(key: str) -> str:
    """The port's names (``convs.3.conv2.1.weight``, ``final_linear.0.bias``) in this library's."""
    if match := re.fullmatch(r"convs\.([1-9]\d*)\.(conv1|conv2|skip)\.\d\.(\w+)", key):
        layer = {"conv1": "same", "conv2": "down", "skip": "skip"}[match[2]]
        return f"blocks.{int(match[1]) - 1}.{layer}.{match[3]}"
    key = re.sub(r"^convs\.0\.\d\.", "from_rgb.", key)
    key = re.sub(r"^final_conv\.\d\.", "last.", key)
    return key.replace("final_linear.0.", "hidden.").replace("final_linear.1.", "output.")
