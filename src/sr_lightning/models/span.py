"""SPAN: attention without parameters, an odd function of the features themselves."""

from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sr_lightning.blocks import MeanShift, ParameterFreeBlock, pixel_shuffle
from sr_lightning.blocks.reparameterization import as_branches, conv3x3, merged_state
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout, State


class SPANNet(nn.Module):
    """Head, a chain of blocks, four of its maps fused, a single pixel shuffle; no skip around all of it."""

    def __init__(self, args: "SPAN") -> None:
        super().__init__()
        conv = partial(conv3x3, branches=args.branches)
        self.shift = MeanShift(args.value_range) if args.mean_shift else nn.Identity()
        self.head = conv(3, args.num_features)
        self.blocks = nn.ModuleList(
            ParameterFreeBlock(args.num_features, args.branches) for _ in range(args.num_blocks)
        )
        self.last = conv(args.num_features, args.num_features)
        fused = args.num_fused or args.num_features
        self.fuse = nn.Conv2d(4 * args.num_features, fused, 1)
        self.tail = pixel_shuffle(fused, 3, args.scale)

    def forward(self, lr: Tensor) -> Tensor:
        head = self.head(self.shift(lr))
        first, shallow = self.blocks[0](head)
        x = first
        for block in self.blocks[1:]:
            x, shallow = block(x)
        together = torch.cat([head, self.last(x), first, shallow], dim=1)
        return self.tail(self.fuse(together))  # type: ignore[no-any-return]


def _names(theirs: str, ours: str) -> dict[str, str]:
    """The authors' names and ours, for one part of each convolution with branches."""
    return {
        f"conv_1{theirs}": f"head{ours}",
        f"block_{{i}}.c{{j}}_r{theirs}": f"blocks.{{i-1}}.convs.{{j-1}}{ours}",
        f"conv_2{theirs}": f"last{ours}",
    }


_OTHERS = {"conv_cat": "fuse", "upsampler.0": "tail.0"}


def _norm(constants: State) -> dict[str, Any]:
    return {"mean_shift": False} if "no_norm" in constants else {}


@network
class SPAN(SuperResolutionModule):
    """SPAN, the swift parameter-free attention network, as it won NTIRE 2024.

    **Paper:** Wan, Yu, Li, Chen, Zou, Liu, Yin, Zuo, Swift Parameter-free Attention Network for Efficient
    Super-Resolution, CVPRW 2024. The paper trains 3x3 convolutions as several, ``branches=True``, and merges them
    afterwards: ``merged`` does. By default every convolution is a single one from the start. ``weights=FILE`` loads
    either form, the first into the second too. The fourth of the fused maps comes from the first activation of the
    last block. The input is shifted and scaled; the output is in [0, 1].

    Args:
        scale: Whole factor of enlargement.
        num_features: Channels of all blocks; 28 in the challenge, 48 or 52 in the paper.
        num_blocks: Number of attention blocks, 2 or more.
        value_range: The value of white at the input of the network.
        branches: Whether 3x3 convolutions are trained as several.
        mean_shift: Whether the input is shifted and scaled at all.
        num_fused: Channels after the fusion; None for ``num_features``. A network of NTIRE 2025 has 20 of 28.

    Example:
        >>> import torch
        >>> SPAN(scale=2, num_features=8, num_blocks=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="SPAN",
            names=_names(".eval_conv", "") | _OTHERS,
            constants=("no_norm",),
            read_constants=_norm,
        ),
        Layout(
            whose="SPAN",
            names=_names(".sk", ".skip") | _names(".conv.{k}", ".chain.{k}") | _OTHERS,
            constants=("no_norm", *_names(".eval_conv", "")),  # those of the last validation
            read_constants=_norm,
        ),
    )
    untraced: ClassVar = {"value_range": (255.0, 1.0), "mean_shift": (True, False)}
    spandrel: ClassVar = {"num_blocks": (6,), "num_fused": (None,)}

    scale: int = 4
    num_features: int = 28
    num_blocks: int = 6
    value_range: float = 255.0
    branches: bool = False
    mean_shift: bool = True
    num_fused: int | None = None

    def build_net(self) -> nn.Module:
        return SPANNet(self)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        width, fused = layers.inputs("fuse") // 4, layers.outputs("fuse")
        return {
            "scale": layers.shuffled("tail.0"),
            "num_features": width,
            "num_blocks": layers.count("blocks.{i}.convs.0.skip") or layers.count("blocks.{i}.convs.0"),
            "branches": "head.skip" in layers,
            "num_fused": None if fused == width else fused,
        }

    def published_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Merges branches too, if this network has none."""
        state = super().published_state(state)
        return state if self.branches else merged_state(state)

    def for_spandrel(self, state: State) -> State:
        """With branches, by which spandrel's recognises it, and for an input of 0...255, in which it computes."""
        if self.branches:
            branches = self.layouts[1].to_theirs(self.net.state_dict())
            assert branches is not None
        else:
            layers = [name.removesuffix("eval_conv.weight") for name in state if name.endswith("eval_conv.weight")]
            branches = {
                layer + part.replace("skip", "sk").replace("chain", "conv"): value
                for layer in layers
                for part, value in as_branches(
                    state[layer + "eval_conv.weight"], state[layer + "eval_conv.bias"]
                ).items()
            }
        state = {**state, **branches}
        if not self.mean_shift:
            return {**state, "no_norm": torch.zeros(1)}
        first = ("conv_1.sk.weight", "conv_1.conv.0.weight", "conv_1.eval_conv.weight")
        return {**state, **{name: state[name] * (self.value_range / 255) for name in first}}
