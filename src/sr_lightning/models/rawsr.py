"""rawSR: a sensor's mosaic gives the detail, the camera's picture the colours."""

import re
from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks import DCABlock, deconv, dense_layers, pixel_shuffle
from sr_lightning.blocks.dense import leaky_relu
from sr_lightning.functional.bayer import pack
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule

Variant = Literal["tpami", "cvpr19"]


def _conv(in_channels: int, out_channels: int, kernel_size: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2), leaky_relu())


def _deconv(in_channels: int, out_channels: int, scale: int = 2) -> nn.Sequential:
    return deconv(in_channels, out_channels, scale, kernel_size=4).append(leaky_relu())


class _Down(nn.Module):
    """3x3 convolution with stride 2 that pads behind the picture alone, as TensorFlow's ``SAME`` does."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(num_features, num_features, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(F.pad(x, (0, 1, 0, 1))), 0.2)


class DenseLayers(nn.Module):
    """The dense block of the conference version: all layers' outputs side by side, without the input."""

    def __init__(self, num_features: int, growth_rate: int, num_layers: int) -> None:
        super().__init__()
        if growth_rate * num_layers != num_features:
            raise ValueError(
                f"variant=cvpr19 needs growth_rate * num_layers = num_features, not {growth_rate} * {num_layers} "
                f"= {num_features}"
            )
        self.layers = dense_layers(num_features, growth_rate, num_layers, leaky_relu)

    def forward(self, x: Tensor) -> Tensor:
        features = [x]  # not by ``densely``, which sums the gradients in another order
        for layer in self.layers:
            features.append(layer(torch.cat(features, dim=1)))
        return torch.cat(features[1:], dim=1)


class RestorationBranch(nn.Module):
    """Mosaic ``(N, 1, H, W)`` to linear RGB ``(N, 3, sH, sW)``, and its features at H / 4 and H / 2."""

    def __init__(self, args: "RawSR") -> None:
        super().__init__()
        n, tpami = args.num_features, args.variant == "tpami"
        block = DCABlock if tpami else DenseLayers
        self.head = _conv(4, n)
        self.dense = nn.ModuleList(block(n, args.growth_rate, args.num_layers) for _ in range(4))
        self.down = _Down(n)
        self.fuse_quarter = _conv(3 * n, n, 1)
        self.up = nn.Sequential(_deconv(n, n), *([_conv(n, n)] if tpami else []))
        self.fuse_half = _conv(4 * n, 2 * n, 1)
        self.tail = pixel_shuffle(2 * n, 3, 2 * args.scale, activation=leaky_relu)

    def forward(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first = self.head(pack(raw))
        dense_0 = self.dense[0](first)
        down = self.down(dense_0)
        dense_1 = self.dense[1](down)
        dense_2 = self.dense[2](dense_1)
        quarter = self.fuse_quarter(torch.cat([dense_2, dense_1, down], dim=1))
        up = self.up(quarter)
        half = self.fuse_half(torch.cat([first, dense_0, up, self.dense[3](up)], dim=1))
        return self.tail(half), quarter, half


class ColourBranch(nn.Module):
    """Reference picture ``(N, 3, H, W)`` to a colour matrix and offset for each pixel, ``(N, 12, sH, sW)``."""

    def __init__(self, args: "RawSR") -> None:
        super().__init__()
        n, tpami, fusion = args.num_features, args.variant == "tpami", args.feature_fusion
        self.down = nn.ModuleList([_conv(3, n), _conv(n, n), _conv(n, n)])
        self.convs = nn.ModuleList(
            [_conv(2 * n, 2 * n), _conv(n, n), _conv(2 * n, 2 * n), _conv(n, n)] if tpami else [nn.Identity()] * 4
        )
        self.ups = nn.ModuleList([_deconv(2 * n, n), _deconv(2 * n, n), _deconv(n, n, args.scale)])
        self.tail = nn.Conv2d(n, 12, 3, padding=1)
        self.fuse_quarter = _conv(n, 2 * n if tpami else n, 1) if fusion else None
        self.fuse_half = _conv(2 * n, 2 * n, 1) if fusion and tpami else None

    def forward(self, reference: Tensor, quarter: Tensor, half: Tensor) -> Tensor:
        half_skip = F.avg_pool2d(self.down[0](reference), 2)
        quarter_skip = F.avg_pool2d(self.down[1](half_skip), 2)
        x = self.down[2](quarter_skip)
        if self.fuse_half is None and self.fuse_quarter is not None:
            x = x + self.fuse_quarter(quarter)
        x = torch.cat([x, quarter_skip], dim=1)
        if self.fuse_half is not None and self.fuse_quarter is not None:
            x = x + self.fuse_quarter(quarter)
        x = torch.cat([self.convs[1](self.ups[0](self.convs[0](x))), half_skip], dim=1)
        if self.fuse_half is not None:
            x = x + self.fuse_half(half)
        x = self.convs[3](self.ups[1](self.convs[2](x)))
        return self.tail(self.ups[2](x))  # type: ignore[no-any-return]


class RawSRNet(nn.Module):
    """Two branches; the second's 3x3 matrix and offset turn the first's linear colours into the camera's."""

    def __init__(self, args: "RawSR") -> None:
        super().__init__()
        if args.variant not in ("tpami", "cvpr19"):
            raise ValueError(f"variant={args.variant}: must be tpami or cvpr19")
        if args.scale not in ((2, 4) if args.variant == "tpami" else (2,)):
            raise ValueError(
                f"scale={args.scale}: rawSR enlarges by 2" + (" or 4" if args.variant == "tpami" else " (cvpr19)")
            )
        self.scale = args.scale
        self.restoration, self.colour = RestorationBranch(args), ColourBranch(args)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        for fusion in (self.colour.fuse_quarter, self.colour.fuse_half):
            if fusion is not None:  # the two branches begin independent of each other
                nn.init.zeros_(fusion[0].weight)  # type: ignore[arg-type]

    def forward(self, raw: Tensor, lr: Tensor) -> Tensor:
        height, width = raw.shape[-2:]
        # Mirrored without repeating the edge, so that the colours of the mosaic stay in their places.
        padding = (0, -width % 4, 0, -height % 4)
        raw, lr = (F.pad(x, padding, mode="reflect") for x in (raw, lr))
        linear, quarter, half = self.restoration(raw)
        matrix, offset = self.colour(lr, quarter, half).split([9, 3], dim=1)
        sr: Tensor = (matrix.unflatten(1, (3, 3)) * linear.unsqueeze(1)).sum(2) + offset
        return sr[..., : height * self.scale, : width * self.scale]


@network
class RawSR(SuperResolutionModule):
    """rawSR for x2 and x4: reads the mosaic (``raw``) and the camera's picture of the same size (``lr``).

    **Paper:** Xu, Ma, Sun, Yang, Exploiting Raw Images for Real-Scene Super-Resolution, IEEE TPAMI 2020; the
    conference version: Xu, Ma, Sun, Towards Real Scene Super-Resolution With Raw Images, CVPR 2019.

    Args:
        scale: 2 or 4, of the mosaic's full size.
        num_features: Channels of all blocks.
        growth_rate: Channels that each dense layer adds.
        num_layers: Layers of a dense block.
        feature_fusion: Whether the colour branch reads features of the restoration branch.
        variant: ``"tpami"`` or, for scale 2, ``"cvpr19"``: dense blocks without attention, fusion at one place, no
            convolutions before the deconvolutions.

    Raises:
        ValueError: If the network has no such scale or variant.

    Example:
        >>> model = RawSR(scale=2, num_features=16, growth_rate=4, num_layers=4)
        >>> model(torch.rand(1, 1, 8, 8), torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    inputs = ("raw", "lr")

    scale: int = 2
    num_features: int = 128
    growth_rate: int = 16
    num_layers: int = 8
    feature_fusion: bool = True
    variant: Variant = "tpami"

    def build_net(self) -> nn.Module:
        return RawSRNet(self)

    @property
    def looks_everywhere(self) -> bool:  # type: ignore[override]
        """The dense blocks of the later network have attention."""
        return self.variant == "tpami"


#: Scopes of the authors' TensorFlow code under ``main_model``, and the layers here.
SCOPES = {
    "branch_1_0/conv_1_0_low": "restoration.head.0",
    "branch_1_0/pool_in_0": "restoration.down.conv",
    "branch_1_0/bottle_1_0": "restoration.fuse_quarter.0",
    "branch_1_0/deconv_1_1_0": "restoration.up.0.0",
    "branch_1_0/conv_1_1_0": "restoration.up.1.0",
    "branch_1_0/bottle_1_1": "restoration.fuse_half.0",
    "branch_1_0/conv_1_1_1": "restoration.tail.0",
    "branch_2_0/conv_2_0_0": "colour.down.0.0",
    "branch_2_0/conv_2_0_1": "colour.down.1.0",
    "branch_2_0/conv_2_0_2": "colour.down.2.0",
    "w_fin21": "colour.fuse_quarter.0",
    "branch_2_1/conv_2_1_2_nFF": "colour.convs.0.0",
    "branch_2_1/deconv_2_0_0": "colour.ups.0.0",
    "branch_2_1/conv_2_0_3": "colour.convs.1.0",
    "w_fin22": "colour.fuse_half.0",
    "branch_2_2/conv_2_1_3_nFF": "colour.convs.2.0",
    "branch_2_2/deconv_2_0_1": "colour.ups.1.0",
    "branch_2_2/deconv_2_0_4": "colour.convs.3.0",
    "branch_2_2/deconv_2_0_2": "colour.ups.2.0",
    "branch_2_2/conv_2_0_5": "colour.tail",
}


def from_tensorflow(variables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of ``RawSRNet`` of the variables of the authors' code, without those that only training needs.

    At x2 the authors shuffle twice by two, so their channels come in another order.

    Args:
        variables: By name, such as ``main_model/branch_1_0/conv_1_0_low/weights``, ``(height, width, in, out)``.
    """
    state = {}
    for name, value in variables.items():
        scope, _, kind = name.removeprefix("main_model/").rpartition("/")
        layer = SCOPES.get(scope) or _dense_layer(scope)
        if layer is None or kind not in ("weights", "biases"):
            continue
        value = value.view(1, 1, *value.shape) if value.dim() == 2 else value  # of a fully connected layer
        value = value.permute(3, 2, 0, 1) if value.dim() == 4 else value
        if layer == "restoration.tail.0" and len(value) == 48:
            value = value.reshape(3, 2, 2, 2, 2, *value.shape[1:]).transpose(2, 3).flatten(0, 4)
        state[f"{layer}.{'weight' if kind == 'weights' else 'bias'}"] = value.contiguous()
    return state


def _dense_layer(scope: str) -> str | None:
    match = re.fullmatch(r"branch_1_0/dense_1_(\d)/(?:conv_(\d+)|(\w+))", scope)
    parts = {"conv_bottle": "fusion", "next_fc0": "attention.gate.0", "next_fc1": "attention.gate.2"}
    if match is None:
        return None
    part = f"layers.{int(match[2]) - 1}.0" if match[2] else parts.get(match[3])
    return f"restoration.dense.{match[1]}.{part}"
