"""Enlargement by any whole number, in every form."""

import math

import pytest
import torch
from torch import nn

from sr_lightning.blocks import pixel_shuffle, prime_factors, upsampler
from sr_lightning.errors import ConfigError


@pytest.mark.parametrize("scale", range(1, 13))
def test_stages_are_prime_factors(scale: int) -> None:
    assert math.prod(prime_factors(scale)) == scale
    assert all(step in (2, 3, 5, 7, 11) for step in prime_factors(scale))


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("kind", ["pixel_shuffle", "direct", "nearest", "deconv"])
def test_any_whole_scale(kind: str, scale: int) -> None:
    assert upsampler(4, scale, kind)(torch.randn(2, 4, 5, 3)).shape == (2, 4, 5 * scale, 3 * scale)


@pytest.mark.parametrize("kind", ["pixel_shuffle", "direct", "nearest", "deconv"])
def test_last_channels_and_activations(kind: str) -> None:
    module = upsampler(8, 6, kind, out_channels=3, activation=nn.ReLU)
    assert module(torch.randn(1, 8, 4, 5)).shape == (1, 3, 24, 30)
    assert sum(isinstance(layer, nn.ReLU) for layer in module) == (1 if kind == "direct" else 2)
    assert isinstance(module[-1], nn.ReLU)


@pytest.mark.parametrize("scale", [1, 2, 3, 5, 7])
def test_pixel_shuffle_is_its_definition(scale: int) -> None:
    module, x = pixel_shuffle(4, 3, scale), torch.randn(1, 4, 5, 6)
    before, after = module[0](x), module(x)
    for c in range(3):
        for dy in range(scale):
            for dx in range(scale):
                channel = before[:, c * scale**2 + dy * scale + dx]
                assert torch.equal(after[:, c, dy::scale, dx::scale], channel)


def test_an_unknown_name_is_explained() -> None:
    with pytest.raises(ConfigError, match="upsampler=deconf: there is no such upsampler; did you mean 'deconv'"):
        upsampler(8, 2, "deconf")
