"""SRResNet: the two variants."""

import pytest
import torch
from torch import nn

from sr_lightning.errors import ConfigError
from sr_lightning.models import SRResNet


def kinds(model: nn.Module, *types: type[nn.Module]) -> int:
    return sum(isinstance(layer, types) for layer in model.modules())


def test_the_baseline_of_srnet() -> None:
    model = SRResNet(scale=4)
    assert kinds(model, nn.InstanceNorm2d) == 2 * 16 + 1
    activations = [layer for layer in model.modules() if isinstance(layer, nn.LeakyReLU)]
    assert len(activations) == 1 + 16 + 2
    assert all(layer.negative_slope == 0.2 for layer in activations)
    assert model.net.head[0].kernel_size == model.net.tail[1].kernel_size == (9, 9)


def test_the_paper() -> None:
    model = SRResNet(scale=4, num_blocks=2, norm="batch", activation="prelu")
    assert kinds(model, nn.BatchNorm2d) == 2 * 2 + 1
    assert kinds(model, nn.PReLU) == 1 + 2 + 2
    assert model(torch.rand(2, 3, 6, 7)).shape == (2, 3, 24, 28)


def test_an_unknown_activation_is_explained() -> None:
    with pytest.raises(ConfigError, match="activation=relu: there are leaky_relu and prelu"):
        SRResNet(activation="relu")  # type: ignore[arg-type]
