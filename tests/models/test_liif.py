"""LIIF's places, trunks and training."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sr_lightning.errors import ConfigError
from sr_lightning.functional.coordinates import Axis
from sr_lightning.models.liif import LIIF, LIIFNet
from sr_lightning.weights.load import load_model

WINDOWS = {"num_features": 12, "num_heads": 3, "window": 4}
TRUNKS: dict[str, dict[str, Any]] = {
    "edsr": {"num_features": 8, "num_blocks": 2},
    "rdn": {"num_features": 8, "growth_rate": 4, "num_blocks": 2, "num_layers": 2},
    "rcan": {"num_features": 16, "num_groups": 2, "num_blocks": 1, "reduction": 4},
    "rrdb": {"num_features": 8, "growth_rate": 4, "num_blocks": 1},
    "swinir": {**WINDOWS, "num_groups": 1, "num_blocks": 2},
    "hat": {**WINDOWS, "num_groups": 1, "num_blocks": 2, "key_window": 6, "compression": 4, "reduction": 4},
    "dat": {"num_features": 32, "num_groups": 1, "num_blocks": 3, "num_heads": 2},
    "atd": {**WINDOWS, "num_groups": 1, "num_blocks": 2, "num_tokens": 6, "narrow": 4},
    "pft": {**WINDOWS, "num_blocks": [2, 2]},
}


def liif(trunk: str = "edsr", **more: Any) -> LIIF:
    torch.manual_seed(0)
    return LIIF(trunk=trunk, trunk_args=TRUNKS[trunk], hidden_features=16, hidden_layers=3, **more)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_its_weights_tell_the_trunk(trunk: str, tmp_path: Path) -> None:
    model = liif(trunk).eval()
    torch.save(model.net.state_dict(), tmp_path / "net.pth")
    found: Any = load_model(tmp_path / "net.pth")
    assert (found.trunk, found.trunk_args, found.hidden_layers) == (trunk, TRUNKS[trunk], 3)
    lr = torch.rand(1, 3, 7, 6)
    with torch.inference_mode():
        assert torch.equal(found(lr, scale=2.7), model(lr, scale=2.7))


def test_a_trunk_has_no_layer_that_is_not_used() -> None:
    for trunk in TRUNKS:
        model = liif(trunk)
        model(torch.rand(2, 3, 5, 5)).sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters()), trunk


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trunk": "edrs"}, "trunk=edrs: no network with features before its tail; did you mean 'edsr'"),
        ({"trunk": "fsrcnn"}, "trunk=fsrcnn: no network with features before its tail; did you mean "),
        ({"trunk_args": {"width": 3}}, "trunk_args: EDSR has no argument width"),
        ({"scale": 0.5}, "scale=0.5: must be a number, 1 or more"),
        ({"scale": float("inf")}, "scale=inf: must be a number, 1 or more"),
    ],
    ids=str,
)
def test_what_cannot_be_is_told(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LIIF(**arguments)


def test_tiles_are_those_of_the_trunk() -> None:
    swinir = {"num_features": 12, "num_groups": 1, "num_blocks": 2, "num_heads": 3, "window": 4, "drop_path": 0.0}
    model = LIIF(trunk="swinir", trunk_args=swinir, hidden_features=8).eval()
    assert model.tile_multiple == 4
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 5, 9), scale=1.6).shape == (1, 3, 8, 14)
    assert liif("rrdb").halo == 15 + 4 + 2
    assert (liif().halo, liif().tile_multiple) == (None, 1)


@torch.inference_mode()
def test_some_places_are_those_of_the_whole_result() -> None:
    net: Any = liif().net
    features, size = net.features(torch.rand(2, 3, 6, 5)), (15, 11)
    whole = net.pixels(features, Axis(15, 6), Axis(11, 5))
    places = torch.stack([torch.randperm(15 * 11)[:40] for _ in range(2)])
    some = net.pixels_at(features, places, size)
    for picture in range(2):
        expected = whole[picture].flatten(1)[:, places[picture]]
        assert torch.allclose(some[picture, ..., 0], expected, atol=1e-6)


@torch.inference_mode()
def test_a_whole_picture_is_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, lr = liif().double(), torch.rand(1, 3, 9, 14, dtype=torch.float64)
    at_once = model(lr, scale=2.9)
    monkeypatch.setattr("sr_lightning.models.liif.PART", 5)
    assert torch.allclose(model(lr, scale=2.9), at_once, atol=1e-12)


def test_a_step_draws_other_places_each_time() -> None:
    model = liif(num_queries=30)
    lr, hr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 19, 19)
    torch.manual_seed(1)
    first, second = (float(model.training_losses({"lr": lr, "hr": hr})["loss"].detach()) for _ in range(2))
    assert first != second
    torch.manual_seed(1)
    assert float(model.training_losses({"lr": lr, "hr": hr})["loss"]) == first  # which a resumed run repeats


def test_all_places_make_the_loss_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    model, lr, hr = liif(num_queries=None), torch.rand(1, 3, 8, 7), torch.rand(1, 3, 20, 17)
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(model.loss, "forward", lambda sr, hr: seen.append(sr) or (sr - hr).abs().mean())
    model.training_losses({"lr": lr, "hr": hr})
    net = model.net
    assert isinstance(net, LIIFNet)
    assert torch.equal(seen[0], net.pixels(net.features(lr), Axis(20, 8), Axis(17, 7)))
