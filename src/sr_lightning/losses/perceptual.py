"""Distance of a classifier's features."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.blocks.vgg import VGGFeatures
from sr_lightning.functional.psnr import check_same_shape
from sr_lightning.limits import check_value

Distance = Literal["l1", "l2"]


def perceptual(
    sr: Tensor, hr: Tensor, features: VGGFeatures, layers: Mapping[str, float], distance: Distance = "l1"
) -> Tensor:
    """Weighted sum over layers of the mean distance between the features, a scalar in float32.

    **Papers:** Johnson, Alahi, Fei-Fei, Perceptual Losses for Real-Time Style Transfer and Super-Resolution,
    ECCV 2016, equation 2. SRGAN takes VGG19's conv5_4 after the ReLU (``relu5_4``) with ``"l2"``, ESRGAN before it
    (``conv5_4``) with ``"l1"``, GLEAN VGG16's ``conv4_3`` with ``"l2"``.

    Args:
        sr: ``(N, 1 or 3, H, W)`` in [0, 1].
        hr: The same shape.
        features: Gives the features of all ``layers``.
        layers: Weight of each.
        distance: ``"l1"`` or ``"l2"``, the mean of squares.
    """
    check_same_shape(sr, hr)
    compare = F.l1_loss if distance == "l1" else F.mse_loss
    ours = features(sr)
    with torch.no_grad():
        truth = features(hr)
    return torch.stack([weight * compare(ours[layer], truth[layer]) for layer, weight in layers.items()]).sum()


class Perceptual(nn.Module):
    """``perceptual`` as a module, with VGG's weights from a file, or random ones.

    Args:
        weights: The file, as torchvision publishes it, or of a network of one's own with its names.
        network: ``"vgg16"``, ``"vgg19"`` or ``"random"``.
        layers: Weight of each layer, default ``{"conv5_4": 1.0}``; names as in ``VGGFeatures``.
        distance: ``"l1"`` or ``"l2"``.
        width: Channels relative to VGG's; as in ``VGGFeatures``.

    Raises:
        ConfigError: If an argument is none of these, or the file is not given.
        CheckpointError: If the file is absent, damaged or of another network.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        network: str = "vgg19",
        layers: Mapping[str, float] | None = None,
        distance: Distance = "l1",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        check_value("loss.distance", distance, Distance)
        self.layers = dict(layers or {"conv5_4": 1.0})
        self.distance = distance
        self.features = VGGFeatures(weights, self.layers, network, width=width)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return perceptual(sr, hr, self.features, self.layers, self.distance)
