"""RCAN and the residual family: parts are exchanged by name."""

import pytest
import torch

from sr_lightning.models import EDSR, RCAN


@pytest.mark.parametrize("attention", ["none", "channel_full", "spatial", "mpr_sa", "mix"])
def test_attention_by_name(attention: str) -> None:
    model = RCAN(scale=2, num_features=16, num_groups=1, num_blocks=1, attention=attention)
    assert model(torch.rand(1, 3, 6, 9)).shape == (1, 3, 12, 18)


@pytest.mark.parametrize("block", ["residual", "wide_a", "wide_b", "asymmetric"])
@pytest.mark.parametrize("norm", ["none", "batch", "instance", "weight"])
@pytest.mark.parametrize("upsampler", ["pixel_shuffle", "direct", "nearest", "deconv"])
def test_edsr_of_all_parts(block: str, norm: str, upsampler: str) -> None:
    model = EDSR(scale=3, num_features=16, num_blocks=1, block=block, norm=norm, upsampler=upsampler, attention="mix")
    assert model(torch.rand(1, 3, 6, 9)).shape == (1, 3, 18, 27)
    assert any("original0" in name for name, _ in model.named_parameters()) == (norm == "weight")


def test_edsr_without_extras_has_the_names_it_always_had() -> None:
    names = [name for name, _ in EDSR(scale=2, num_features=8, num_blocks=1).named_parameters()]
    stems = ["head", "body.0.body.0", "body.0.body.2", "body.1", "tail.0.0", "tail.1"]
    assert names == [f"net.{stem}.{kind}" for stem in stems for kind in ("weight", "bias")]


def test_rcan_with_fewer_parts_is_edsr_with_groups() -> None:
    rcan = RCAN(scale=2, num_features=16, num_groups=1, num_blocks=2, attention="none")
    edsr = EDSR(scale=2, num_features=16, num_blocks=2)
    extra = 16 * 16 * 9 + 16  # the group's own convolution
    assert sum(p.numel() for p in rcan.parameters()) == sum(p.numel() for p in edsr.parameters()) + extra


def test_any_whole_scale() -> None:
    assert EDSR(scale=6, num_features=8, num_blocks=1)(torch.rand(1, 3, 4, 5)).shape == (1, 3, 24, 30)
