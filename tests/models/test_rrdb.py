"""RRDB: ESRGAN's and Real-ESRGAN's forms compute what spandrel's code computes of the same weights."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sr_lightning.inference import receptive_radius
from sr_lightning.models import RRDB
from sr_lightning.weights.load import load_model

SMALL: dict[str, Any] = {"num_features": 8, "num_blocks": 2}


def published_names(model: RRDB) -> dict[str, torch.Tensor]:
    """BasicSR's, written out by hand."""
    named, blocks = {}, model.num_blocks
    for name, value in model.net.state_dict().items():
        layer, _, kind = name.rpartition(".")
        parts = layer.split(".")
        if layer == "head":
            new = "conv_first"
        elif layer == f"body.{blocks}":
            new = "conv_body"
        elif parts[0] == "body":
            new = f"body.{parts[1]}.rdb{int(parts[3]) + 1}.conv{int(parts[5]) + 1}"
        elif parts[0] == "upsampler":
            new = f"conv_up{(int(parts[1]) + 2) // 3}"
        else:
            new = {"last.0": "conv_hr", "last.2": "conv_last"}[layer]
        named[f"{new}.{kind}"] = value
    return named


@pytest.mark.parametrize(("scale", "unshuffle"), [(1, 4), (2, 2), (1, 1), (2, 1), (4, 1), (8, 1)])
def test_equals_spandrels(spandrel: Any, scale: int, unshuffle: int) -> None:
    torch.manual_seed(0)
    model = RRDB(scale=scale, unshuffle=unshuffle, **SMALL).eval()
    theirs = spandrel.ModelLoader().load_from_state_dict(published_names(model))
    assert theirs.architecture.id == "ESRGAN" and theirs.scale == scale
    lr = torch.rand(1, 3, 15, 13)
    with torch.inference_mode():
        expected, result = theirs.model(lr), model(lr)
    assert expected.std() > 0.01
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [3, 4])
def test_published_names_come_back(scale: int) -> None:
    model = RRDB(scale=scale, **SMALL)
    state = model.published_state(published_names(model))
    assert state.keys() == model.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_each_layout_is_recognised_in_a_file(scale: int, tmp_path: Path) -> None:
    """Old names all begin with ``model.``, which is a prefix elsewhere."""
    model, whose = RRDB(scale=scale, **SMALL), set()
    ours = {name.removeprefix("net."): value for name, value in model.state_dict().items()}
    for layout in model.layouts:
        if (state := layout.to_theirs(ours)) is None:  # for another scale
            continue
        torch.save(state, tmp_path / "file.pth")
        again = load_model(tmp_path / "file.pth")
        assert isinstance(again, RRDB) and dict(again.hparams) == dict(model.hparams)
        assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
        whose.add(layout.whose)
    assert whose == {"BasicSR", "ESRGAN", "ESRGAN (old names)"}


def test_published_counts() -> None:
    def count(**arguments: int) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in RRDB(**arguments).parameters())

    assert count(scale=4) == 16_697_987
    assert count(scale=4, num_blocks=6) == 4_467_779
    assert count(scale=2, unshuffle=2) == 16_703_171
    assert count(scale=1, unshuffle=4) == 16_723_907


@pytest.mark.parametrize(("scale", "unshuffle"), [(1, 4), (2, 2), (4, 1), (8, 1)])
def test_the_halo_is_what_is_measured(scale: int, unshuffle: int) -> None:
    model = RRDB(scale=scale, unshuffle=unshuffle, num_features=8, growth_rate=4, num_blocks=1)
    assert model.tile_multiple == unshuffle
    assert model.halo == receptive_radius(model.net, (3,), scale, multiple=unshuffle)


def test_the_halo_of_large_networks() -> None:
    with torch.device("meta"):
        assert (RRDB(num_blocks=23).halo, RRDB(scale=2, unshuffle=2, num_blocks=23).halo) == (64, 128)


def test_the_unshuffled_grid_must_not_move() -> None:
    model = RRDB(scale=2, unshuffle=2, num_features=8, growth_rate=4, num_blocks=1)
    assert receptive_radius(model.net, (3,), 2, multiple=1) is None
