import numpy as np
import pytest
import torch

from sr_lightning.errors import ConfigError
from sr_lightning.inference.engines.mixed_network import MixedNetwork
from sr_lightning.inference.loading import load, with_strength
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import LIIF, WDSR, Bicubic
from sr_lightning.weights.shipped import load_pretrained

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_a_share_of_each(strength: float) -> None:
    network, other = load_pretrained("span", 2), Bicubic(scale=2)
    lr = torch.rand(1, 3, 12, 14, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = strength * network(lr) + (1 - strength) * other(lr)
        assert torch.allclose(MixedNetwork(network, other, strength)(lr), expected, atol=1e-6)


def test_tiles_of_a_mixture_equal_the_whole() -> None:
    """One of the two is computed at half the size, so tiles must begin on even pixels."""
    torch.manual_seed(0)
    odd = WDSR(scale=2, num_features=8, num_blocks=1, unshuffle=2)
    mixed = MixedNetwork(odd, load_pretrained("span", 2), 0.5)
    assert mixed.tile_multiple == 2
    whole, tiled = (Upscaler(mixed, tile=tile, precision="float32").upscale(PICTURE) for tile in (64, 20))
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_full_strength_is_the_network_itself() -> None:
    network = load_pretrained("span", 3)
    assert with_strength(network, 1.0) is network


def test_photo_is_mixed_with_bicubic_and_others_with_photo() -> None:
    assert with_strength(load_pretrained("photo", 2), 0.5, "photo").title == "WDSR with 50% Bicubic"
    assert with_strength(load_pretrained("span", 2), 0.25, "span").title == "SPAN with 75% WDSR"
    assert with_strength(load_pretrained("span", 3), 0.25, "span").title == "SPAN with 75% Bicubic"


def test_no_strength_is_the_conservative_network() -> None:
    mild = load("span", 2, device="cpu", precision="float32", strength=0.0).upscale(PICTURE)
    photo = load("photo", 2, device="cpu", precision="float32").upscale(PICTURE)
    assert np.abs(mild.astype(int) - photo).max() <= 1


@pytest.mark.parametrize("strength", [-0.1, 1.5])
def test_a_strength_beyond_all_is_refused(strength: float) -> None:
    with pytest.raises(ConfigError, match="strength"):
        load("span", 2, strength=strength)


def test_networks_that_cannot_be_mixed_are_refused() -> None:
    with pytest.raises(ConfigError, match="one scale"):
        MixedNetwork(load_pretrained("span", 2), Bicubic(scale=3), 0.5)
    with pytest.raises(ConfigError, match="one scale"):
        MixedNetwork(LIIF(trunk_args={"num_features": 8, "num_blocks": 1}, hidden_features=8), Bicubic(scale=2), 0.5)
