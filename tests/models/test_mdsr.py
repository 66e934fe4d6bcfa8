"""MDSR: one network, several scales."""

import pytest
import torch

from sr_lightning.errors import ConfigError
from sr_lightning.models import MDSR


def small(scale: int = 2, **options: object) -> MDSR:
    torch.manual_seed(0)
    return MDSR(scale=scale, num_features=8, num_blocks=1, **options)  # type: ignore[arg-type]


def test_counts_are_for_all_scales() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in MDSR(num_blocks=80).parameters()) == 7_953_987
        assert sum(p.numel() for p in MDSR(num_blocks=16).parameters()) == 3_227_203


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_scale_of_one_network(scale: int) -> None:
    model, lr = small(2), torch.rand(1, 3, 6, 9)
    assert model(lr, scale=scale).shape == (1, 3, 6 * scale, 9 * scale)
    assert torch.equal(model(lr, scale=scale), small(scale)(lr))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_batch_of_one_scale_trains_its_parts_and_the_body(scale: int) -> None:
    model = small(2)
    side = 6 * scale
    batch = {"lr": torch.rand(1, 3, 6, 6), "hr": torch.rand(1, 3, side, side), "name": ["a"], "scale": scale}
    model.training_losses(batch)["loss"].backward()  # type: ignore[arg-type]
    for name, parameter in model.named_parameters():
        others = [f"net.{part}.{s}." for part in ("preparation", "upsamplers") for s in {2, 3, 4} - {scale}]
        assert (parameter.grad is None) == name.startswith(tuple(others)), name


def test_unknown_scales_are_explained() -> None:
    with pytest.raises(ConfigError, match="scale=5: this network has parts for 2, 3, 4"):
        small(5)
    with pytest.raises(ConfigError, match="scales 2, 3, 4, none for 8"):
        small(2)(torch.rand(1, 3, 6, 6), scale=8)
    assert small(8, scales=[8])(torch.rand(1, 3, 4, 4)).shape == (1, 3, 32, 32)
