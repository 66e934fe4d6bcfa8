"""DRCN: one convolution is applied many times; a learned mean combines the predictions after each time."""

import math
from functools import reduce
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from sr_lightning.blocks import Luma, luma
from sr_lightning.functional import imresize, rgb_to_y
from sr_lightning.models.arguments import network
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.layouts import Layers, Layout
from sr_lightning.types import Batch


class DRCNNet(nn.Module):
    """Embedding, one layer applied ``num_recursions`` times, and one reconstruction for all results.

    Example:
        >>> import torch
        >>> net = DRCN(scale=3, num_features=8, num_recursions=4).net.net
        >>> net(torch.rand(1, 1, 7, 5)).shape, len(net.predictions(torch.rand(1, 1, 7, 5)))
        (torch.Size([1, 1, 21, 15]), 4)
    """

    def __init__(self, args: "DRCN") -> None:
        super().__init__()
        self.scale = args.scale
        self.embedding = nn.Sequential(
            _conv(args.channels, args.num_features),
            nn.ReLU(inplace=True),
            _conv(args.num_features, args.num_features),
            nn.ReLU(),
        )
        self.recursion = nn.Conv2d(args.num_features, args.num_features, 3, padding=1)
        # A recursion that begins as the identity neither explodes nor vanishes, however often it is applied.
        nn.init.dirac_(self.recursion.weight)
        nn.init.zeros_(self.recursion.bias)  # type: ignore[arg-type]
        self.reconstruction = nn.Sequential(
            _conv(args.num_features, args.num_features),
            nn.ReLU(inplace=True) if args.reconstruction_relu else nn.Identity(),
            _conv(args.num_features, args.channels),
        )
        weights = torch.full((args.num_recursions,), 1 / args.num_recursions)
        if args.learned_mean:
            self.weights: Tensor = nn.Parameter(weights)
        else:
            self.register_buffer("weights", weights, persistent=False)

    def predictions(self, lr: Tensor, scale: int | None = None) -> list[Tensor]:
        """The picture after each recursion, ``(N, C, scale * H, scale * W)``."""
        x = imresize(lr, self.scale if scale is None else scale)
        features, pictures = self.embedding(x), []
        for _ in range(len(self.weights)):
            features = self.recursion(features).relu()
            pictures.append(x + self.reconstruction(features))
        return pictures

    def ensemble(self, predictions: list[Tensor]) -> Tensor:
        """The weighted mean of the predictions."""
        weights = self.weights / self.weights.sum()
        pictures = [w * picture for w, picture in zip(weights, predictions, strict=True)]
        mean: Tensor = reduce(torch.add, pictures)
        return mean

    def forward(self, lr: Tensor, scale: int | None = None) -> Tensor:
        return self.ensemble(self.predictions(lr, scale))


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
    nn.init.normal_(conv.weight, std=math.sqrt(2 / (9 * in_channels)))
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


@network
class DRCN(SuperResolutionModule):
    """DRCN with recursive supervision and skip connection.

    **Paper:** Kim, Lee, Lee, Deeply-Recursive Convolutional Network for Image Super-Resolution, CVPR 2016.
    The training loss is the paper's equation 8: ``alpha`` times the mean loss of the recursions' own predictions,
    plus ``1 - alpha`` times the loss of their weighted mean. It lacks the factor 1/2 before the squares. The decay of
    the weights is the optimizer's ``weight_decay``. The last layer has no ReLU, because it predicts a residual.

    Args:
        scale: Whole factor of enlargement.
        channels: 1 for luma, 3 for RGB.
        num_features: Channels of all hidden layers.
        num_recursions: Number of times that the recursive layer is applied.
        reconstruction_relu: Whether a ReLU is between the two layers of the reconstruction; icpm's port has none.
        learned_mean: Whether the weights of the recursions' mean are trained; in icpm's port all are equal.
        alpha_epochs: Epochs over which ``alpha`` falls linearly from 1 to 0; 0 trains the mean alone.

    Example:
        >>> import torch
        >>> DRCN(scale=2, num_features=8, num_recursions=2)(torch.rand(1, 3, 8, 8)).shape
        torch.Size([1, 3, 16, 16])
    """

    layouts = (
        Layout(
            whose="icpm's super-resolution",
            names={
                "embedding_layer.{i}": "embedding.{i}",
                "conv_block.0": "recursion",
                "reconstruction_layer.{i}": "reconstruction.{2i}",
            },
            arguments={"reconstruction_relu": False, "learned_mean": False},
        ),
    )
    untraced: ClassVar = {"scale": (2, 3, 4), "num_recursions": (16, 9)}

    enlarges_first = True

    scale: int = 2
    channels: int = 1
    num_features: int = 256
    num_recursions: int = 16
    reconstruction_relu: bool = True
    learned_mean: bool = True
    alpha_epochs: int = 25

    def build_net(self) -> nn.Module:
        return luma(DRCNNet(self), self.channels, self.scale)

    @property
    def alpha(self) -> float:
        """Weight of the recursions' own predictions in this epoch."""
        if not self.alpha_epochs:
            return 0.0
        # The value at the epoch's end, because with 1 in the first epoch the weights of the mean would not learn.
        return max(0.0, 1 - (self.current_epoch + 1) / self.alpha_epochs)

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        self.check_channels(batch)
        lr, hr = batch["lr"], batch["hr"]
        if self.luma:
            lr, hr = (rgb_to_y(image) if image.shape[1] == 3 else image for image in (lr, hr))
        net = cast(DRCNNet, self.net.net if isinstance(self.net, Luma) else self.net)
        predictions, alpha = net.predictions(lr, self.checked_scale(batch.get("scale"))), self.alpha
        terms = self.loss_terms(net.ensemble(predictions).float(), hr)
        losses = {_term("ensemble", name): (1 - alpha) * value for name, value in terms.items()}
        if alpha:
            single = [self.loss_terms(picture.float(), hr) for picture in predictions]
            for name in terms:
                losses[_term("recursions", name)] = alpha * torch.stack([each[name] for each in single]).mean()
        return losses

    @classmethod
    def arguments_of(cls, layers: Layers) -> dict[str, Any]:
        return {
            "scale": 2,
            "channels": layers.inputs("embedding.0"),
            "num_features": layers.outputs("embedding.0"),
            "num_recursions": layers.shape("weights")[0] if "weights" in layers else cls.num_recursions,
        }


def _term(part: str, name: str) -> str:
    return part if name == "loss" else f"{part}_{name}"
