"""What every network takes from the class that all of them are, pinned without training anything."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sr_lightning.errors import ConfigError
from sr_lightning.models.base import SuperResolutionModule, _total_steps
from sr_lightning.models.espcn import ESPCN


def in_trainer(**state: Any) -> SuperResolutionModule:
    model = ESPCN(2)
    model._trainer = SimpleNamespace(**state)
    return model


def test_whole_numbers_become_values_in_0_to_1() -> None:
    batch: Any = {"hr": torch.tensor([0, 51, 255], dtype=torch.uint8), "lr": torch.tensor([0.5]), "name": ["a"]}
    as_float: Any = in_trainer(training=True).on_after_batch_transfer(batch, 0)
    assert torch.equal(as_float["hr"], torch.tensor([0, 0.2, 1])) and as_float["lr"] is batch["lr"]
    assert in_trainer(training=False).on_after_batch_transfer(batch, 0) is batch


@pytest.mark.parametrize(
    ("psnr", "mean"),
    [([30.0, 32.0], 31.0), ([30.0, math.inf], 30.0), ([math.inf], math.inf), ([30.0, math.nan, math.inf], math.nan)],
)
def test_mean_of_validation(psnr: list[float], mean: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A perfect picture is left out, a diverged one is not."""
    trainer = {"datamodule": SimpleNamespace(val_names=["set5"]), "state": SimpleNamespace(fn="validate")}
    model, logged = in_trainer(**trainer), {}
    monkeypatch.setattr(model, "log", lambda key, value, **_: logged.update({key: value}))
    scores = iter(psnr)
    monkeypatch.setattr(model, "score", lambda batch: (None, {"psnr": torch.tensor([next(scores)]).double()}))
    for i in range(len(psnr)):
        model.validation_step({}, i)
    model.on_validation_epoch_end()
    assert logged == {key: pytest.approx(mean, nan_ok=True) for key in ("val/set5/psnr_y", "val/psnr")}
    logged.clear()
    model.on_validation_epoch_end()
    assert not logged


@pytest.mark.parametrize(
    ("settings", "optimizers", "steps"),
    [
        ({}, 1, 15),
        ({"accumulate_grad_batches": 2}, 1, 9),  # the last update of an epoch has one batch alone
        ({"limit_train_batches": 0.5}, 1, 6),
        ({"limit_train_batches": 3, "accumulate_grad_batches": 2}, 1, 6),
        ({"max_steps": 7}, 1, 7),
        ({"max_steps": 7}, 2, 4),
        ({"max_steps": 70}, 1, 15),
        ({"max_steps": 7, "max_epochs": -1}, 1, 7),
    ],
)
def test_length_of_a_run(settings: dict[str, Any], optimizers: int, steps: int) -> None:
    usual = {"max_steps": -1, "max_epochs": 3, "limit_train_batches": 1.0, "accumulate_grad_batches": 1}
    trainer = SimpleNamespace(**{**usual, **settings}, datamodule=SimpleNamespace(batches_per_epoch=5))
    assert _total_steps(trainer, optimizers) == steps


def test_an_open_length_is_refused() -> None:
    trainer = SimpleNamespace(
        max_steps=-1, max_epochs=-1, limit_train_batches=1.0, accumulate_grad_batches=1,
        datamodule=SimpleNamespace(batches_per_epoch=5),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="its length is open"):
        _total_steps(trainer)
