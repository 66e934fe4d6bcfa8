"""SPAN in both forms: merging changes nothing, and spandrel's code computes the same of the same weights."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sr_lightning.inference.engines.exporting import export_network
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import SPAN, SPANF
from sr_lightning.weights.portable import load_safetensors

LAYERS = ("conv_1", "conv_2", *(f"block_{i}.c{j}_r" for i in range(1, 7) for j in range(1, 4)))


def span(seed: int = 0, **arguments: Any) -> SPAN:
    torch.manual_seed(seed)
    return SPAN(**{"scale": 4, "num_features": 8, "branches": True, "value_range": 1.0, **arguments}).eval()


def authors_state(features: int) -> dict[str, torch.Tensor]:
    """Random weights under the authors' names, in training form; ``eval_conv`` is out of date."""
    generator = torch.Generator().manual_seed(0)

    def conv(name: str, into: int, out: int, kernel: int) -> dict[str, torch.Tensor]:
        weight = torch.randn(out, into, kernel, kernel, generator=generator) / (into * kernel**2) ** 0.5
        return {f"{name}.weight": weight, f"{name}.bias": torch.randn(out, generator=generator) / 8}

    state = conv("conv_cat", 4 * features, features, 1) | conv("upsampler.0", features, 48, 3)
    for name in LAYERS:
        into = 3 if name == "conv_1" else features
        state |= conv(f"{name}.sk", into, features, 1) | conv(f"{name}.eval_conv", into, features, 3)
        state |= conv(f"{name}.conv.0", into, 2 * into, 1) | conv(f"{name}.conv.1", 2 * into, 2 * features, 3)
        state |= conv(f"{name}.conv.2", 2 * features, features, 1)
    return state


@pytest.mark.parametrize("branches", [True, False])
@pytest.mark.parametrize("mean_shift", [True, False])
def test_equals_spandrels(spandrel: Any, branches: bool, mean_shift: bool) -> None:
    state = authors_state(8) | ({} if mean_shift else {"no_norm": torch.zeros(1)})
    theirs = spandrel.ModelLoader().load_from_state_dict(dict(state))
    assert theirs.architecture.id == "SPAN" and theirs.scale == 4
    # In double precision: theirs are merged, and gates of such weights turn rounding into differences.
    theirs, lr = theirs.model.eval().double(), torch.rand(1, 3, 9, 7).double()
    model = span(branches=branches, mean_shift=mean_shift, value_range=255.0).double()
    model.load_state_dict(model.published_state({name: value.double() for name, value in state.items()}))
    with torch.inference_mode():
        expected, result = theirs(lr), model(lr)
    assert expected.std() > 0.01
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_merged_computes_the_same() -> None:
    model, lr = span(), torch.rand(2, 3, 9, 7)
    merged = model.merged()
    assert not merged.branches and merged.merged() is merged
    with torch.inference_mode():
        expected = model(lr)
        assert expected.std() > 0.01
        torch.testing.assert_close(merged(lr), expected, atol=1e-5, rtol=0)


def test_its_successor_is_merged_too() -> None:
    torch.manual_seed(0)
    model, lr = SPANF(scale=3, num_features=8, num_blocks=2, branches=True).eval(), torch.rand(2, 3, 9, 7)
    merged = model.merged()
    assert isinstance(merged, SPANF) and not merged.branches and merged.merged() is merged
    with torch.inference_mode():
        torch.testing.assert_close(merged(lr), model(lr), atol=1e-6, rtol=0)


def test_every_setting_is_kept() -> None:
    model = span(num_blocks=3, num_features=6, scale=2, value_range=2.0, mean_shift=False)
    assert dict(model.merged().hparams) == {**model.hparams, "branches": False}


def test_inference_and_export_merge_by_themselves(tmp_path: Path) -> None:
    model, lr = span(num_blocks=2), torch.rand(3, 9, 7)
    upscaler = Upscaler(model, precision="float32")
    with torch.inference_mode():
        torch.testing.assert_close(upscaler.upscale(lr), model(lr[None])[0].clamp(0, 1), atol=1e-5, rtol=0)
    assert not upscaler._computed[0].branches  # type: ignore[union-attr]
    export_network(model, tmp_path / "span.safetensors", "safetensors")
    again = load_safetensors(tmp_path / "span.safetensors")
    assert isinstance(again, SPAN) and not again.branches


def test_published_counts() -> None:
    for features, trained, merged in ((48, 2_236_728, 426_288), (52, None, 498_208), (28, None, 150_688)):
        with torch.device("meta"):
            model, plain = (SPAN(scale=4, num_features=features, branches=branches) for branches in (True, False))
        plain_count, count = (sum(p.numel() for p in each.parameters()) for each in (plain, model))
        assert plain_count == merged
        if trained:  # theirs hold the single convolutions beside the branches
            single = [p for name, p in plain.net.named_parameters() if name.startswith(("head", "blocks", "last"))]
            assert count + sum(p.numel() for p in single) == trained


def test_merged_weights_of_the_authors() -> None:
    """Without branches in the file, its single convolutions are the network's."""
    state = {name: value for name, value in authors_state(8).items() if ".sk." not in name and ".conv." not in name}
    plain, model = span(branches=False), span(branches=True)
    plain.load_state_dict(plain.published_state(state))
    assert torch.equal(plain.net.blocks[2].convs[1].weight, state["block_3.c2_r.eval_conv.weight"])
    assert model.published_state(state).keys() == plain.state_dict().keys()
