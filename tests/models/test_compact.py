"""Compact computes what spandrel's code computes of the same weights."""

from typing import Any

import pytest
import torch

from sr_lightning.models import Compact


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_equals_spandrels(spandrel: Any, scale: int) -> None:
    torch.manual_seed(0)
    model = Compact(scale=scale, num_features=8, num_convs=3).eval()
    for layer in model.net.body[1::2]:
        torch.nn.init.uniform_(layer.weight, -0.5, 0.5)
    theirs = spandrel.ModelLoader().load_from_state_dict(model.net.state_dict())
    assert theirs.architecture.id == "Compact" and theirs.scale == scale
    lr = torch.rand(1, 3, 9, 7)
    with torch.inference_mode():
        torch.testing.assert_close(model(lr), theirs.model(lr), atol=1e-5, rtol=0)


def test_published_counts() -> None:
    for num_convs, expected in ((32, 1_213_296), (16, 621_424)):
        assert sum(p.numel() for p in Compact(scale=4, num_convs=num_convs).parameters()) == expected


def test_without_weights_it_repeats_pixels() -> None:
    model = Compact(scale=2, num_features=8, num_convs=1)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    lr = torch.rand(1, 3, 4, 5)
    assert torch.equal(model(lr), lr.repeat_interleave(2, -1).repeat_interleave(2, -2))
