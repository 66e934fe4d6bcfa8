"""Runs that do not learn are told so, once."""

import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from sr_lightning.config import build, compose
from sr_lightning.errors import ConfigError
from sr_lightning.training.callbacks import NoticeStandstill


def steps(net: nn.Module, count: int, constant: bool = False) -> None:
    """Training by hand, with the two hooks that Lightning calls."""
    notice: Any = NoticeStandstill(every=2, looks=3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    for step in range(count):
        x = torch.rand(4, 3, generator=generator)
        loss = (net(x) - (1 if constant else x[:, :1])).abs().mean()
        notice.on_before_backward(None, None, loss)
        optimizer.zero_grad()
        loss.backward()
        notice.on_before_optimizer_step(SimpleNamespace(global_step=step), None, optimizer)
        optimizer.step()


def network(sign: int, bias: bool = False) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8, bias=False), nn.ReLU(), nn.Linear(8, 1, bias=bias))
    net[0].weight.data = sign * net[0].weight.data.abs()
    return net


@pytest.mark.parametrize("bias", [False, True])  # the last bias goes on learning the mean
def test_dead_activations_are_told_once(bias: bool) -> None:
    message = "step 4: this run does not learn; at 3 looks, 2 steps apart, no weight has a gradient: .*optimizer.lr"
    with pytest.warns(UserWarning, match=message) as told:
        steps(network(-1, bias), 20)
    assert len(told) == 1


def test_a_loss_that_never_changes_is_told() -> None:
    class Clamped(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = super().forward(x)
            return y - y.detach()  # has a gradient and no effect

    message = "step 4: this run does not learn; at 3 looks, 2 steps apart, its loss is the same to the bit"
    with pytest.warns(UserWarning, match=message) as told:
        steps(Clamped(3, 1), 20, constant=True)
    assert len(told) == 1


def test_what_learns_is_left_alone() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps(network(1), 20)


def test_what_is_learnt_to_the_bit_is_left_alone() -> None:
    class Perfect(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = super().forward(x)
            return y - y.detach() + 1

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps(Perfect(3, 1), 20, constant=True)


def test_it_is_part_of_every_run() -> None:
    assert isinstance(build(compose("train", []).callbacks.notice_standstill), NoticeStandstill)
    with pytest.raises(ConfigError, match="looks above 1"):
        NoticeStandstill(looks=1)
