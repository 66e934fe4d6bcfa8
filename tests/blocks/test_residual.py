"""Residual blocks, their normalisations and convolutions in other forms."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sr_lightning.blocks import ResidualBlock, asymmetric, normalization, weight_normed
from sr_lightning.blocks.residual import EXPANSION
from sr_lightning.errors import ConfigError


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 2 * (64 * 64 * 9 + 64)),
        ({"attention": "channel"}, 2 * (64 * 64 * 9 + 64) + 580),
        ({"block": "wide_a"}, 64 * 256 * 9 + 256 + 256 * 64 * 9 + 64),
        ({"block": "wide_b"}, 64 * 384 + 384 + 384 * 51 + 51 + 51 * 64 * 9 + 64),
        ({"block": "asymmetric"}, 2 * (64 * 64 * 5 + 64) + 64 * 64 * 9 + 64),
        ({"norm": "batch"}, 2 * (64 * 64 * 9 + 64) + 2 * 128),
        ({"kernel_size": 5}, 2 * (64 * 64 * 25 + 64)),
    ],
)
def test_counts(options: dict[str, Any], expected: int) -> None:
    assert count(ResidualBlock(64, **options)) == expected


@pytest.mark.parametrize("block", EXPANSION)
@pytest.mark.parametrize("norm", ["none", "batch", "instance", "weight", "batch+weight"])
def test_every_form_trains(block: str, norm: str) -> None:
    module = ResidualBlock(12, 0.1, block=block, norm=norm, attention="mpr_sa")
    if "weight" in norm:
        weight_normed(module)
    y = module(torch.randn(2, 12, 6, 9))
    assert y.shape == (2, 12, 6, 9)
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_the_residual_is_scaled() -> None:
    for scale in (0.1, 1, 2):
        module, x = ResidualBlock(8, scale), torch.randn(1, 8, 5, 5)
        torch.testing.assert_close(module(x), x + scale * module.body(x))


def test_asymmetric_is_two_convolutions() -> None:
    module, x = asymmetric(33, 48), torch.randn(1, 33, 7, 9)
    across, down = module
    assert across.weight.shape == (40, 33, 1, 5)
    assert down.weight.shape == (48, 40, 5, 1)
    y = F.conv2d(F.conv2d(x, across.weight, across.bias, padding=(0, 2)), down.weight, down.bias, padding=(2, 0))
    torch.testing.assert_close(module(x), y)


@pytest.mark.parametrize("conv", [nn.Conv2d(4, 6, 3), nn.ConvTranspose2d(4, 6, 3)])
def test_weight_normalisation_keeps_the_initialisation(conv: nn.Module) -> None:
    nn.init.kaiming_normal_(conv.weight)
    x, before = torch.randn(1, 4, 7, 7), conv.weight.detach().clone()
    y = conv(x)
    weight_normed(nn.Sequential(conv))
    torch.testing.assert_close(conv.weight, before)
    torch.testing.assert_close(conv(x), y)
    assert conv.parametrizations.weight.original0.numel() == 6  # one length for each output channel
    conv.parametrizations.weight.original1.data.mul_(3)  # the direction's length means nothing
    torch.testing.assert_close(conv(x), y)


def test_weight_normalisation_is_put_on_once() -> None:
    module = weight_normed(weight_normed(ResidualBlock(8)))
    assert all(len(layer.parametrizations.weight) == 1 for layer in module.body if isinstance(layer, nn.Conv2d))


def test_unknown_names_are_explained() -> None:
    with pytest.raises(ConfigError, match="norm=bach: there is no normalisation 'bach'; did you mean 'batch'"):
        normalization("bach", 8)
    with pytest.raises(ConfigError, match="block=wide: there is no such block; did you mean 'wide_"):
        ResidualBlock(8, block="wide")
