"""DeepResNet: a small network whose residual block combines several enhancements."""

import math
import warnings
from typing import Any

from torch import Tensor, nn

from sr_lightning import blocks
from sr_lightning.blocks import ResidualBlock, looks_at_all, weight_normed
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout, State


class DeepResNetNet(nn.Module):
    """Convolution, wide blocks, pixel shuffle, convolution; no long skip and no mean shift."""

    def __init__(self, args: "DeepResNet") -> None:
        super().__init__()
        low, high = round(args.num_features / args.wide_activation), round(args.num_features * args.wide_activation)
        if 1.2 * low < 3 * args.scale**2:
            # The authors refuse this, and so their own settings at x4.
            warnings.warn(
                f"{low} features are few for the {3 * args.scale**2} values of a x{args.scale} pixel", stacklevel=2
            )
        self.head = nn.Conv2d(3, low, 3, padding=1)
        self.body = nn.Sequential(
            *(
                ResidualBlock(
                    low, args.res_scale, block=args.block, attention=args.attention, norm=args.norm, width=high
                )
                for _ in range(args.num_blocks)
            )
        )
        self.tail = nn.Sequential(
            blocks.upsampler(low, args.scale, args.upsampler, out_channels=3), nn.Conv2d(3, 3, 3, padding=1)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        # This comes last, because weight normalisation would undo an initialisation afterwards.
        if "weight" in args.norm:
            weight_normed(self)

    def forward(self, lr: Tensor) -> Tensor:
        return self.tail(self.body(self.head(lr)))  # type: ignore[no-any-return]


def _names(second: int) -> dict[str, str]:
    """The project's names, and ours, whose second convolution has another place behind a normalisation."""
    return {
        "base_feat_extract.conv": "head",
        "res_blocks.{i}.conv1.conv": "body.{i}.body.0",
        "res_blocks.{i}.conv1.conv{j}.conv": "body.{i}.body.0.{j-1}",
        "res_blocks.{i}.bn1": "body.{i}.body.1",
        "res_blocks.{i}.conv2.conv": f"body.{{i}}.body.{second}",
        "res_blocks.{i}.bn2": "body.{i}.body.4",
        "res_blocks.{i}.ca_block.conv{j}.conv": "body.{i}.attention.gate.{2j-2}",
        "upsampler.conv1.conv": "tail.0.0",
        "upsampler.conv2.conv": "tail.1",
    }


def _with_batch_norm(state: State) -> State | None:
    return state if "res_blocks.0.bn1.weight" in state else None


@network
class DeepResNet(SuperResolutionModule):
    """DeepResNet_SR_MultipleEnhancement, at its trainer's settings.

    **Source:** the open project of that name; there is no paper. Its blocks have wide activation, asymmetric
    convolution, channel attention without reduction and a normalisation. An argument turns off each of them.

    Args:
        scale: Whole factor of enlargement.
        num_features: Geometric mean of the channels between the blocks and at their activations.
        wide_activation: Blocks have ``num_features`` divided by this between them, and multiplied by it inside.
        num_blocks: Number of blocks.
        res_scale: Factor of each residual.
        attention: On every residual: none, channel, channel_full, spatial, sa, msa, mpr_sa, mix, or a sum of these.
        norm: none, batch, instance or weight; batch+weight is both.
        block: asymmetric, or residual without the decomposition; wide_b or dca.
        upsampler: direct, pixel_shuffle, nearest or deconv.

    Example:
        >>> import torch
        >>> DeepResNet(scale=3)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 24, 24])
    """

    layouts = (
        Layout(whose="DeepResNet_SR_MultipleEnhancement", names=_names(second=3), prepare=_with_batch_norm),
        Layout(whose="DeepResNet_SR_MultipleEnhancement", names=_names(second=2)),
    )

    scale: int = 3
    num_features: int = 40
    wide_activation: float = 1.2
    num_blocks: int = 1
    res_scale: float = 1.0
    attention: str = "channel_full"
    norm: str = "batch"
    block: str = "asymmetric"
    upsampler: str = "direct"

    def build_net(self) -> nn.Module:
        return DeepResNetNet(self)

    @property
    def looks_everywhere(self) -> bool:  # type: ignore[override]
        """As its blocks."""
        return looks_at_all(self.block, self.attention, self.norm)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        batch, asymmetric = "body.0.body.1.running_mean" in layers, "body.0.body.0.0" in layers
        low, high = layers.outputs("head"), layers.inputs(f"body.0.body.{3 if batch else 2}")
        num_features, exact = round(math.sqrt(low * high)), math.sqrt(high / low)
        wide = (round(exact, digits) for digits in range(1, 9))
        norms = [*(["batch"] if batch else []), *(["weight"] if layers.is_normalised("head") else [])]
        return {
            "scale": layers.shuffled("tail.0.0"),
            "num_features": num_features,
            # The shortest number that gives these channels, which the project's config has.
            "wide_activation": next(
                (w for w in wide if (round(num_features / w), round(num_features * w)) == (low, high)), exact
            ),
            "num_blocks": layers.count("body.{i}.body.0.0" if asymmetric else "body.{i}.body.0"),
            "attention": "channel_full" if "body.0.attention.gate.0" in layers else "none",
            "norm": "+".join(norms) or "none",
            "block": "asymmetric" if asymmetric else "residual",
        }
