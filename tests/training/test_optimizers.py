"""Optimizers of another package, by name."""

from typing import Any

import pytest
import torch

from sr_lightning.errors import ConfigError
from sr_lightning.models import EDSR
from sr_lightning.training.optimizers import named_optimizer

pytest.importorskip("pytorch_optimizer")


@pytest.mark.parametrize("name", ["adan", "lion", "muon", "prodigy", "soap", "schedulefreeadamw", "adopt", "came"])
def test_it_lowers_the_loss(name: str) -> None:
    torch.manual_seed(0)
    model: Any = EDSR(scale=2, num_features=8, num_blocks=1)
    lr, hr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)
    optimizer = named_optimizer([{"params": [*model.parameters()]}], name, lr=1e-3)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = (model(lr) - hr).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_muon_is_for_matrices_alone() -> None:
    model = EDSR(scale=2, num_features=8, num_blocks=1)
    groups = named_optimizer([{"params": [*model.parameters()], "lr": 0.1}], "muon", lr=1e-3).param_groups
    assert [(group["use_muon"], group["lr"], {p.ndim for p in group["params"]}) for group in groups] == [
        (True, 0.1, {4}),
        (False, 0.1, {1}),
    ]


def test_what_cannot_be() -> None:
    groups = [{"params": [torch.zeros(2, requires_grad=True)]}]
    with pytest.raises(ConfigError, match=r"optimizer.name=adann: there is no such optimizer; did you mean 'adan'"):
        named_optimizer(groups, "adann", lr=1e-3)
    with pytest.raises(ConfigError, match=r"optimizer.colour: adan has no such setting"):
        named_optimizer(groups, "adan", lr=1e-3, colour="red")
    with pytest.raises(ConfigError, match=r"optimizer.name=ranger21: needs more than gradients"):
        named_optimizer(groups, "ranger21", lr=1e-3)
    with pytest.raises(ConfigError, match=r"optimizer.name=Lion: learning rate must be positive"):
        named_optimizer(groups, "Lion", lr=-1.0)
    for value in (float("nan"), "fast", None):
        with pytest.raises(ConfigError, match=r"^optimizer.adamw_lr=\w+: must be a number$"):
            named_optimizer(groups, "muon", lr=1e-3, adamw_lr=value)
