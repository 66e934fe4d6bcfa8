"""SRNet: a network for zooming and one for an auxiliary task exchange features."""

from functools import partial
from typing import Any, ClassVar, Literal, cast

from torch import Tensor, nn

from sr_lightning import blocks
from sr_lightning.blocks import MeanShift, ResidualBlock, looks_at_all, relu, weight_normed
from sr_lightning.errors import ConfigError, nearest
from sr_lightning.functional import imresize
from sr_lightning.losses import nonlocal_relation_loss, relation_loss
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import MEAN_SHIFT, MIX_ATTENTION, Layers, Layout, mean_of_div2k
from sr_lightning.types import Batch

Skip = Literal["fused", "shallow"]
Relation = Literal["none", "r", "rnl"]
RELATIONS = {"none": None, "r": relation_loss, "rnl": nonlocal_relation_loss}


NAMES = {
    f"{theirs}{part}": f"{ours}.{same}"
    for theirs, ours in (("model_ssl.", "auxiliary"), ("", "zoom"))
    for part, same in {
        "head.0": "head",
        "body.{i}.body.{j}": "body.{i}.body.{j}",
        "body.{i}": "body.{i}",
        "tail.0.{i}": "tail.0.{i}",
        "tail.1": "tail.1",
        **{f"body.{{i}}.body.3.{name}": f"body.{{i}}.attention.{our}" for name, our in MIX_ATTENTION.items()},
    }.items()
} | {
    f"CALayer_{end}.{theirs}": f"attention_{end}.{ours}"
    for end in ("head", "tail")
    for theirs, ours in MIX_ATTENTION.items()
}
CONSTANTS = (*MEAN_SHIFT, *(f"model_ssl.{name}" for name in MEAN_SHIFT))


def _named(task: str, terms: dict[str, Tensor], weight: float) -> dict[str, Tensor]:
    """The weighted terms of a task's loss, named after the task."""
    return {task if name == "loss" else f"{task}_{name}": weight * value for name, value in terms.items()}


class SRNetBranch(nn.Module):
    """Head, residual blocks and tail of one task: EDSR with a ReLU after each pixel shuffle."""

    def __init__(self, args: "SRNet") -> None:
        super().__init__()
        width = args.num_features
        member = partial(
            ResidualBlock, width, args.res_scale, block=args.block, attention=args.attention, norm=args.norm
        )
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(member() for _ in range(args.num_blocks)), nn.Conv2d(width, width, 3, padding=1))
        self.tail = nn.Sequential(
            blocks.upsampler(width, args.scale, args.upsampler, activation=relu),
            nn.Conv2d(width, 3, 3, padding=1),
        )


class SRNetNet(nn.Module):
    """Two branches. The zoom reads the last auxiliary features at its beginning and the first ones at its end.

    Example:
        >>> import torch
        >>> net = SRNet(scale=3, num_features=16, num_blocks=2).net
        >>> net(torch.rand(1, 3, 7, 5)).shape, net.both(torch.rand(1, 3, 7, 5))[1].shape
        (torch.Size([1, 3, 21, 15]), torch.Size([1, 3, 21, 15]))
    """

    def __init__(self, args: "SRNet") -> None:
        super().__init__()
        if args.skip_from not in ("fused", "shallow"):
            raise ConfigError(f"skip_from={args.skip_from}: there are fused and shallow")
        self.shift = MeanShift(args.value_range)
        self.auxiliary, self.zoom = SRNetBranch(args), SRNetBranch(args)
        self.attention_head = blocks.attention(args.attention, args.num_features)
        self.attention_tail = blocks.attention(args.attention, args.num_features)
        self.fusion_sign = args.fusion_sign
        self.skip_from = args.skip_from
        if "weight" in args.norm:
            weight_normed(self)

    def forward(self, lr: Tensor) -> Tensor:
        return self._zoom(lr)[0]

    def both(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """The SR picture and the predicted label, both ``(N, 3, scale * H, scale * W)`` in [0, 1]."""
        sr, features = self._zoom(lr)
        return sr, self.shift.undo(self.auxiliary.tail(features))

    def _zoom(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """The SR picture and the last auxiliary features."""
        x = self.shift(lr)
        first = self.auxiliary.head(x)
        last = self.auxiliary.body(first) + first
        shallow = self.zoom.head(x)
        fused = self.attention_head(shallow + self.fusion_sign * last)
        deep = self.attention_tail(self.zoom.body(fused) + first)
        skip = fused if self.skip_from == "fused" else shallow
        return self.shift.undo(self.zoom.tail(deep + skip)), last


@network
class SRNet(SuperResolutionModule):
    """SRNet for digital zoom, as its authors' code and logs have it.

    **Paper:** Residual Aware: Learning to Zoom via Self-supervised Auxiliary Task, 2020. The code subtracts the
    auxiliary features and begins the long skip after the fusion. The paper's figure adds them and begins the skip
    before the fusion: ``fusion_sign=1 skip_from=shallow``.

    The auxiliary head learns ``label`` of the batch. Without one it learns ``|HR - bicubic(LR)|``; the authors sharpen
    their files of this difference. Their "HR+Edge" are data with edges as ``label``.

    Ablations are values of ``attention``: none, channel (CA), sa, msa, mpr_sa, channel+sa, channel+msa and mix.
    Without the auxiliary task the network is ``model=edsr_baseline model.attention=mix``.

    Args:
        scale: Whole factor of enlargement, gradual by its prime factors; the authors' are 4 and 8.
        num_features: Channels of all blocks.
        num_blocks: Residual blocks of each branch.
        res_scale: Factor of each residual.
        value_range: The value of white inside the network; the authors compute in 0...255.
        attention: On every residual and around the body of the zoom.
        norm: none, batch, instance or weight.
        block: residual, wide_a, wide_b, asymmetric or dca.
        upsampler: pixel_shuffle, direct, nearest or deconv.
        fusion_sign: -1 subtracts the auxiliary features, 1 adds them.
        skip_from: Where the long skip begins: fused or shallow.
        auxiliary_weight: Weight of the auxiliary loss, which has the same form as the loss of the picture.
        relation: Third loss, between picture and label: none, r (RLoss) or rnl (RNLLoss).
        relation_weight: Its weight. For rnl the authors' 1 is 1/255 here, because their pictures are in 0...255.

    Example:
        >>> import torch
        >>> SRNet(scale=2, num_features=16, num_blocks=2)(torch.rand(1, 3, 8, 12)).shape
        torch.Size([1, 3, 16, 24])
    """

    layouts = (Layout(whose="SRNet-zoom", names=NAMES, constants=CONSTANTS, read_constants=mean_of_div2k),)
    untraced: ClassVar = {"value_range": (255.0, 1.0), "res_scale": (1.0, 0.1)}

    scale: int = 4
    num_features: int = 64
    num_blocks: int = 16
    res_scale: float = 1.0
    value_range: float = 255.0
    attention: str = "mix"
    norm: str = "none"
    block: str = "residual"
    upsampler: str = "pixel_shuffle"
    fusion_sign: int = -1
    skip_from: Skip = "fused"
    auxiliary_weight: float = 1.0
    relation: Relation = "none"
    relation_weight: float = 1.0

    def build_net(self) -> nn.Module:
        if self.relation not in RELATIONS:
            raise ConfigError(f"relation={self.relation}: there is no such loss; {nearest(self.relation, RELATIONS)}")
        return SRNetNet(self)

    @property
    def looks_everywhere(self) -> bool:  # type: ignore[override]
        """As its blocks."""
        return looks_at_all(self.block, self.attention, self.norm)

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": layers.steps("zoom.tail.0.{i}"),
            "num_features": layers.outputs("zoom.head"),
            "num_blocks": layers.count("zoom.body.{i}.body.0"),
        }

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        self.check_channels(batch)
        self.checked_scale(batch.get("scale"))
        hr, label = batch["hr"].float(), batch.get("label")
        label = (hr - imresize(batch["lr"], self.scale)).abs() if label is None else label.float()
        sr, predicted = (output.float() for output in cast(SRNetNet, self.net).both(batch["lr"]))
        terms = _named("picture", self.loss_terms(sr, hr), 1.0)
        terms |= _named("auxiliary", self.loss_terms(predicted, label), self.auxiliary_weight)
        relation = RELATIONS[self.relation]
        if relation:
            terms["relation"] = self.relation_weight * relation(sr, hr, predicted, label)
        return terms
