"""Schedules that know how long the run is, that of a resumed run too."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import LRScheduler

from sr_lightning.config import compose
from sr_lightning.errors import ConfigError
from sr_lightning.train import train
from sr_lightning.training.schedules import constant, cosine, decay_to_floor, onecycle

QUICK = [
    "model=espcn", "data.batches_per_epoch=4", "data.batch_size=2", "data.num_workers=0", "data.patch_size=24",
    "trainer=cpu", "trainer.precision=32-true", "trainer.limit_val_batches=1", "trainer.enable_progress_bar=false",
]  # fmt: skip


def schedule(factory: Any, total_steps: int) -> LRScheduler:
    return factory(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9), total_steps=total_steps)


def rates(scheduler: LRScheduler, steps: int) -> list[tuple[float, float]]:
    seen = []
    for _ in range(steps):
        scheduler.optimizer.step()
        scheduler.step()
        seen.append((scheduler.get_last_lr()[0], scheduler.optimizer.param_groups[0]["momentum"]))
    return seen


@pytest.mark.parametrize("factory", [cosine, onecycle])
@pytest.mark.parametrize("longer", [10, 25])
def test_a_resumed_run_follows_the_curve_of_its_own_length(factory: Any, longer: int) -> None:
    old, new, straight = schedule(factory, 10), schedule(factory, longer), schedule(factory, longer)
    rates(old, 10)
    new.optimizer.load_state_dict(old.optimizer.state_dict())  # in Lightning's order
    new.load_state_dict(old.state_dict())
    assert rates(new, longer - 10) == rates(straight, longer)[10:]


def test_cosine_stays_down_after_its_end() -> None:
    """A callback, or another count of steps, may go on: the rate must not rise again."""
    seen = [rate for rate, _ in rates(schedule(partial(cosine, final=0.1), 4), 9)]
    assert seen[:4] == pytest.approx([0.1 + 0.9 * (1 + math.cos(math.pi * k / 4)) / 2 for k in (1, 2, 3, 4)])
    assert seen[3:] == pytest.approx([0.1] * 6)


def test_constant_and_cosine_from_the_first_step() -> None:
    assert [rate for rate, _ in rates(constant(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)), 3)] == [
        0.3
    ] * 3
    assert [rate for rate, _ in rates(schedule(cosine, 0), 2)] == [0.0] * 2
    assert [rate for rate, _ in rates(schedule(cosine, 2), 2)] == pytest.approx([0.5, 0.0])


def test_onecycle_by_its_formula() -> None:
    """A cosine up over three tenths of the run, from a 25th, and one down to a 10,000th of that."""
    down = lambda begin, end, part: end + (begin - end) * (1 + math.cos(math.pi * part)) / 2  # noqa: E731
    begin = 1 / 25
    expected = [down(begin, 1, k / 5) for k in range(1, 6)] + [down(1, begin / 1e4, k / 14) for k in range(1, 15)]
    seen = rates(schedule(onecycle, 20), 19)
    assert [rate for rate, _ in seen] == pytest.approx(expected, rel=1e-9)
    assert seen[4][1] == pytest.approx(0.85) and seen[-1][1] == pytest.approx(0.95)
    linear = rates(schedule(partial(onecycle, anneal_strategy="linear", pct_start=0.5, div_factor=2.0), 11), 3)
    assert linear[0][0] == pytest.approx(0.5 + 0.5 / 4.5)
    assert schedule(onecycle, 0).total_steps == 1
    assert schedule(partial(onecycle, pct_start=0.05), 20).get_last_lr() == [pytest.approx(1.0)]


@pytest.mark.parametrize(("share", "expected"), [(0, [0.75, 0.25, 0.0]), (1, [0.04, 0.28, 0.76])])
def test_onecycle_only_falls_or_only_rises(share: int, expected: list[float]) -> None:
    """A whole number does, too."""
    made = schedule(partial(onecycle, pct_start=share), 4 if share else 3)
    seen = [made.get_last_lr()[0], *(rate for rate, _ in rates(made, 2))]
    assert seen == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pct_start": 1.5}, "scheduler.pct_start=1.5: must be a number from 0 to 1"),
        ({"pct_start": math.nan}, "scheduler.pct_start=nan: must be a number from 0 to 1"),
        ({"div_factor": 0}, "scheduler.div_factor=0: must be a number above 0"),
        ({"final_div_factor": 0}, "scheduler.final_div_factor=0: must be a number above 0"),
        ({"anneal_strategy": "up"}, "scheduler.anneal_strategy=up: must be cos or linear"),
    ],
)
def test_what_onecycle_refuses(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        schedule(partial(onecycle, **settings), 10)
    assert str(refusal.value) == said


def test_momenta_that_onecycle_moves() -> None:
    weight, sgd, adam = torch.zeros(1, requires_grad=True), torch.optim.SGD, torch.optim.Adam
    for optimizer, key, expected in (
        (sgd([weight], lr=1.0), "momentum", 0),
        (sgd([weight], lr=1.0, momentum=0.5), "momentum", 0.95),
        (adam([weight], lr=1.0), "betas", (0.95, 0.999)),
        (torch.optim.Adagrad([weight], lr=1.0), "momentum", None),
    ):
        onecycle(optimizer, 10)
        assert optimizer.param_groups[0].get(key) == expected


def test_bounds_of_decay_to_floor() -> None:
    decay = partial(schedule, total_steps=0)
    for settings in ({"gamma": 0.0}, {"gamma": 1.1}, {"floor": -0.1}, {"floor": 1.1}):
        with pytest.raises(ValueError, match="between 0 and 1"):
            decay(lambda optimizer, total_steps, s=settings: decay_to_floor(optimizer, **{**USUAL, **s}))
    for settings in ({"gamma": 1.0}, {"floor": 0.0}, {"floor": 1.0}):
        decay(lambda optimizer, total_steps, s=settings: decay_to_floor(optimizer, **{**USUAL, **s}))


USUAL: dict[str, Any] = {"every": 1, "gamma": 0.5, "floor": 0.1, "until": 9}


def test_onecycle_goes_on_for_longer(tmp_path: Path) -> None:
    def run(folder: str, epochs: int, *args: str) -> Path:
        options = ["scheduler=onecycle", f"epochs={epochs}", f"run_dir={tmp_path / folder}", *args]
        train(compose("train", [*QUICK, *options]))
        return tmp_path / folder / "checkpoints" / "last.ckpt"

    first = run("first", 1)
    last = torch.load(run("second", 3, f"ckpt_path={first}"), weights_only=True)
    assert last["global_step"] == 12
    assert last["lr_schedulers"][0]["total_steps"] == 12


def test_rawsrs_schedule() -> None:
    """2e-4 times 0.96 for each epoch up to the 20th, never below 1e-5, which the other 20 have."""
    options = compose("train", ["experiment=rawsr_synthesis_x2", "data.batches_per_epoch=10"])
    settings = {key: value for key, value in options.scheduler.items() if not str(key).startswith("_")}
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=options.optimizer.lr)
    scheduler = decay_to_floor(optimizer, **settings)
    for step in range(400):
        epoch = step // 10
        expected = max(2e-4 * 0.96**epoch, 1e-5) if epoch < 20 else 1e-5
        assert scheduler.get_last_lr()[0] == pytest.approx(expected)
        optimizer.step()
        scheduler.step()
    with pytest.raises(ValueError, match="every=0"):
        decay_to_floor(optimizer, every=0, gamma=0.5, floor=0.1, until=1)
