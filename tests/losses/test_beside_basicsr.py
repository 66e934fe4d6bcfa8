"""Perceptual and adversarial losses beside BasicSR's, whose values for the same seeded weights are noted here.

XPixelGroup/BasicSR at 8d56e3a, Apache-2.0: ``PerceptualLoss`` and ``GANLoss``, the latter as ``ESRGANModel`` combines
it. The layers of the papers, VGG19's ``conv5_4`` and VGG16's ``conv4_3``, need larger weights; they were equal, too.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seeded_weights import seeded_state
from sr_lightning import losses

#: Channels of convolutions up to the third pooling, and 0 for a pooling.
CHANNELS = {"vgg16": (64, 64, 0, 128, 128, 0, 256, 256, 256), "vgg19": (64, 64, 0, 128, 128, 0, 256, 256, 256, 256)}
SEVERAL = {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0}


def drawn() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two pictures, and a discriminator's outputs for generated and true ones."""
    draw = np.random.default_rng(0)
    sr, hr = (torch.from_numpy(draw.random((2, 3, 32, 28), np.float32)) for _ in range(2))
    fake, real = (torch.from_numpy(draw.standard_normal((2, 1, 3, 3)).astype(np.float32)) for _ in range(2))
    return sr, hr, fake, real


def weights(network: str, path: Path) -> Path:
    shapes: dict[str, tuple[int, ...]] = {}
    index, width = 0, 3
    for channels in CHANNELS[network]:
        if channels:
            shapes[f"features.{index}.weight"], shapes[f"features.{index}.bias"] = (channels, width, 3, 3), (channels,)
        index, width = index + (2 if channels else 1), channels or width
    torch.save(seeded_state(shapes, 0, {name: 2.0 for name, shape in shapes.items() if len(shape) == 4}), path)
    return path


@pytest.mark.parametrize(
    ("network", "layers", "distance", "theirs"),
    [
        ("vgg19", SEVERAL, "l1", 0.8782154321670532),
        ("vgg19", SEVERAL, "l2", 1.2095413208007812),
        ("vgg16", {"relu3_3": 1.0}, "l1", 0.3257933557033539),
        ("vgg16", {"relu3_3": 1.0}, "l2", 0.33635392785072327),
    ],
)
def test_perceptual_is_basicsrs(
    network: str, layers: dict[str, float], distance: Any, theirs: float, tmp_path: Path
) -> None:
    sr, hr, *_ = drawn()
    criterion = losses.Perceptual(weights(network, tmp_path / "vgg.pth"), network, layers, distance)
    assert criterion(sr, hr).item() == pytest.approx(theirs, rel=1e-5)


def test_adversarial_losses_are_basicsrs() -> None:
    """BasicSR and mmagic halve the relativistic sums, which the paper does not."""
    *_, fake, real = drawn()
    vanilla, relativistic = losses.GANLoss(), losses.GANLoss("relativistic")
    assert vanilla(fake).item() == pytest.approx(0.7265913486480713, rel=1e-5)
    assert vanilla.discriminator(fake, real).item() == pytest.approx(1.6748119592666626, rel=1e-5)
    assert relativistic(fake, real).item() == pytest.approx(2 * 0.6195682287216187, rel=1e-5)
    assert relativistic.discriminator(fake, real).item() == pytest.approx(2 * 0.9187880158424377, rel=1e-5)
