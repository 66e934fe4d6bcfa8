"""A slow machine trains for fewer epochs, with the whole schedule, and resumes to the same bits."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sr_lightning.config import build, compose
from sr_lightning.errors import NothingToDo
from sr_lightning.training.budget import LEAST, TimeBudget, minutes_to_train
from sr_lightning.training.building import build_model, build_trainer, prepare_run
from sr_lightning.training.fitting import fit

QUICK = (
    "model=espcn", "model.num_features=8", "data.batches_per_epoch=2", "data.batch_size=2", "data.num_workers=0",
    "data.patch_size=24", "trainer=cpu", "trainer.precision=float32", "trainer.enable_progress_bar=false",
    "logger=none",
)  # fmt: skip


def fitted(folder: Path, seconds: float, *typed: str, ckpt_path: Path | None = None) -> Any:
    """Trains by a clock that moves on by so many seconds whenever it is looked at."""
    cfg = compose("train", [*QUICK, f"run_dir={folder}", *typed])
    prepare_run(cfg)
    trainer, model = build_trainer(cfg, folder), build_model(cfg)
    passed = iter(float(seconds * i) for i in range(1000))
    TimeBudget.of(trainer)._clock = lambda: next(passed)
    folder.mkdir(exist_ok=True)
    fit(trainer, model, build(cfg.data), str(ckpt_path) if ckpt_path else None, folder)
    return trainer


def state(folder: Path, name: str = "last") -> dict[str, Any]:
    return torch.load(folder / f"checkpoints/{name}.ckpt", weights_only=True)


@pytest.mark.parametrize("scheduler", ["cosine", "onecycle"])
@pytest.mark.parametrize("validation", [True, False])
def test_a_slow_run_is_shortened_with_its_schedule(scheduler: str, validation: bool, tmp_path: Path) -> None:
    typed = [f"scheduler={scheduler}", *([] if validation else ["trainer.limit_val_batches=0"])]
    trainer = fitted(tmp_path / "slow", 24.0, *typed)  # five of these epochs fit into two minutes
    assert (trainer.current_epoch, trainer.global_step) == (5, 10)
    plain = fitted(tmp_path / "plain", 0.0, *typed, "epochs=5")
    rate, other = (t.optimizers[0].param_groups[0]["lr"] for t in (trainer, plain))
    assert rate == pytest.approx(other, abs=1e-12)


def test_a_fast_run_is_left_as_it_is(tmp_path: Path) -> None:
    fitted(tmp_path / "fast", 12.0)
    fitted(tmp_path / "plain", 0.0, "max_minutes=null")
    assert all(
        torch.equal(value, state(tmp_path / "plain")["state_dict"][name])
        for name, value in state(tmp_path / "fast")["state_dict"].items()
    )
    assert state(tmp_path / "fast")["global_step"] == 20


def test_a_resumed_run_has_the_length_that_was_decided(tmp_path: Path) -> None:
    fitted(tmp_path / "whole", 24.0)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError, match="killed"):

        def stop(self: TimeBudget, trainer: Any, module: Any) -> None:
            if trainer.current_epoch == 2:
                raise RuntimeError("killed")

        patch.setattr(
            TimeBudget, "on_train_epoch_start", lambda *a, _was=TimeBudget.on_train_epoch_start: (stop(*a), _was(*a))
        )
        fitted(tmp_path / "broken", 24.0)
    trainer = fitted(tmp_path / "rest", 1e-3, ckpt_path=tmp_path / "broken/checkpoints/last.ckpt")  # on a fast machine
    assert trainer.current_epoch == 5
    whole, rest = (state(tmp_path / name) for name in ("whole", "rest"))
    assert all(torch.equal(value, rest["state_dict"][name]) for name, value in whole["state_dict"].items())
    assert whole["lr_schedulers"] == rest["lr_schedulers"]
    with pytest.raises(NothingToDo, match="already at epoch 5 of 5"):
        fitted(tmp_path / "again", 1e-3, ckpt_path=tmp_path / "rest/checkpoints/last.ckpt")
    longer = fitted(tmp_path / "longer", 24.0, "epochs=7", ckpt_path=tmp_path / "rest/checkpoints/last.ckpt")
    assert longer.current_epoch == 7


def test_the_shortest_run() -> None:
    budget = TimeBudget(1.0)
    assert [budget.epochs_for(epoch, 10) for epoch in (0.0, 6.0, 7.0, 1e9)] == [10, 10, 8, LEAST]
    assert budget.epochs_for(1e9, 1) == 1


def test_a_typed_length_goes_before() -> None:
    for typed, minutes in (
        ([], 2.0),
        (["epochs=10"], None),
        (["trainer.max_steps=5"], None),
        (["experiment=fsrcnn_t91_x2"], None),
        (["epochs=10", "max_minutes=3"], 3.0),
        (["max_minutes=null"], None),
        (["data=t91"], None),
    ):
        assert minutes_to_train(compose("train", typed)) == minutes, typed


def test_the_closing_line_says_it(tmp_path: Path) -> None:
    trainer = fitted(tmp_path, 24.0)
    assert TimeBudget.of(trainer).told() == " (5 of 10 epochs, for max_minutes=2)"
