"""Names that files of weights have from older releases of torch."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sr_lightning.errors import CheckpointError
from sr_lightning.models import EDSR, WDSR
from sr_lightning.weights.load import load_weights


def old(net: nn.Module) -> dict[str, torch.Tensor]:
    """The state of a network whose convolutions are normalised as before torch 2.0."""
    state = {}
    for name, value in net.state_dict().items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        state[name.replace("parametrizations.weight.original1", "weight_v")] = value
    return state


def test_those_are_the_old_names() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        then = nn.utils.weight_norm(nn.Conv2d(3, 8, 3))  # type: ignore[no-untyped-call]
    now = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3))
    shapes = {name: value.shape for name, value in then.state_dict().items()}
    assert {name: value.shape for name, value in old(now).items()} == shapes


@pytest.mark.parametrize("prefix", ["", "module.", "net."])
def test_weight_normalisation_by_its_old_names(prefix: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"scale": 2, "num_features": 8, "num_blocks": 1}
    source, target = WDSR(**options), WDSR(**options)
    for parameter in source.parameters():
        nn.init.normal_(parameter)
    state = {prefix + name: value for name, value in old(source.net).items()}
    assert any(name.endswith("weight_g") for name in state)
    torch.save(state, tmp_path / "old.pth")
    load_weights(target, tmp_path / "old.pth")
    lr = torch.rand(1, 3, 6, 6)
    assert torch.equal(source(lr), target(lr))


def test_a_network_without_it_says_what_the_file_has(tmp_path: Path) -> None:
    torch.save({"head.weight_g": torch.ones(4, 1, 1, 1), "head.weight_v": torch.ones(4, 3, 3, 3)}, tmp_path / "old.pth")
    with pytest.raises(CheckpointError, match=r"no net\.head\.weight_g, net\.head\.weight_v"):
        load_weights(EDSR(scale=2, num_features=4, num_blocks=1), tmp_path / "old.pth")
