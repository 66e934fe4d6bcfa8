"""Settings at hand and counts of a state, on optimizers and schedules alone: nothing is trained."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.optim import SGD, Adam
from torch.optim import lr_scheduler as schedules

from sr_lightning.errors import ConfigError
from sr_lightning.training.callbacks.recipe import RecipeCheck, _Settings
from sr_lightning.training.schedules import cosine, decay_to_floor, onecycle

Make = Callable[..., Any]


def recipe(schedule: Make | None, *, lr: float = 0.1, kind: Any = SGD, **options: Any) -> tuple[Any, Any]:
    """An optimizer of two groups, the second at half the rate, and its schedule."""
    groups = [{"params": [torch.ones(2, requires_grad=True)], "lr": lr * share} for share in (1, 0.5)]
    optimizer = kind(groups, **options)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer, schedule(optimizer) if schedule else None


def advance(optimizer: Any, scheduler: Any, steps: int) -> list[list[float]]:
    rates = []
    for _ in range(steps):
        optimizer.step()
        if isinstance(scheduler, schedules.ReduceLROnPlateau):
            scheduler.step(1.0)  # never better
        elif scheduler:
            scheduler.step()
        rates.append([group["lr"] for group in optimizer.param_groups])
    return rates


def resumed(before: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
    settings = _Settings.of(now[0], [SimpleNamespace(optimizer=None), *([now[1]] if now[1] else [])])
    now[0].load_state_dict(before[0].state_dict())
    if now[1]:
        now[1].load_state_dict(before[1].state_dict())
    settings.restore()
    return now


MULTISTEP = partial(schedules.MultiStepLR, milestones=[2, 6], gamma=0.5)
PLATEAU = partial(schedules.ReduceLROnPlateau, patience=1, factor=0.5)
SCHEDULES: dict[str, tuple[Make | None, Make | None]] = {
    "none": (None, None),
    "multistep": (MULTISTEP, partial(schedules.MultiStepLR, milestones=[1, 5], gamma=0.1)),
    "gamma": (MULTISTEP, partial(schedules.MultiStepLR, milestones=[2, 6], gamma=0.1)),
    "step": (partial(schedules.StepLR, step_size=3), partial(schedules.StepLR, step_size=2, gamma=0.3)),
    "exponential": (partial(schedules.ExponentialLR, gamma=0.9), partial(schedules.ExponentialLR, gamma=0.8)),
    "cosine": (partial(cosine, total_steps=8), partial(cosine, total_steps=12, final=0.1)),
    "decay": (
        partial(decay_to_floor, every=2, gamma=0.5, floor=0.0, until=9),
        partial(decay_to_floor, every=1, gamma=0.7, floor=0.1, until=6),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("lr", [0.1, 0.3])
@pytest.mark.parametrize("changed", [False, True])
def test_rates_are_those_of_a_run_that_began_so(name: str, lr: float, changed: bool) -> None:
    before, other = SCHEDULES[name]
    now = other if changed else before
    old, straight = recipe(before), recipe(now, lr=lr)
    advance(*old, 4)
    expected = advance(*straight, 8)
    new = resumed(old, recipe(now, lr=lr))
    assert [group["lr"] for group in new[0].param_groups] == pytest.approx(expected[3])
    assert [group["initial_lr"] for group in new[0].param_groups] == [lr, lr / 2]
    if new[1]:
        assert new[1].get_last_lr() == pytest.approx(expected[3]) and new[1].last_epoch == 4
    for rates, wanted in zip(advance(*new, 4), expected[4:], strict=True):
        assert rates == pytest.approx(wanted)


UNCHANGED = [
    MULTISTEP,
    partial(schedules.StepLR, step_size=3),
    partial(schedules.CosineAnnealingLR, T_max=9),
    partial(schedules.CosineAnnealingWarmRestarts, T_0=3, T_mult=2),
    partial(schedules.PolynomialLR, total_iters=9),
    partial(onecycle, total_steps=9),
]


@pytest.mark.parametrize("make", UNCHANGED)
def test_a_schedule_that_nobody_changed_is_not_gone_through_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    old = recipe(make, momentum=0.9)
    advance(*old, 5)
    monkeypatch.delattr(_Settings, "_step_again")
    new = resumed(old, recipe(make, momentum=0.9))
    assert new[1].state_dict() == old[1].state_dict() and advance(*new, 4) == advance(*old, 4)


def test_a_longer_cycle_is_not_gone_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    old = recipe(partial(onecycle, total_steps=9), momentum=0.9)
    straight = recipe(partial(onecycle, total_steps=12), momentum=0.9)
    advance(*old, 5)
    monkeypatch.delattr(_Settings, "_step_again")
    assert advance(*resumed(old, recipe(partial(onecycle, total_steps=12), momentum=0.9)), 6) == [
        pytest.approx(rates) for rates in advance(*straight, 11)[5:]
    ]


LONG = [
    (MULTISTEP, 2),
    (partial(schedules.StepLR, step_size=400, gamma=0.3), 2),
    (partial(onecycle, total_steps=2000), 1),
    (partial(schedules.CyclicLR, base_lr=0.01, max_lr=0.1, step_size_up=30), 1),
    (partial(schedules.ExponentialLR, gamma=0.999), 1000),
]


@pytest.mark.parametrize(("make", "turns"), LONG)
def test_a_long_schedule_is_gone_through_in_its_turns(make: Make, turns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the same bits as step by step."""
    straight = recipe(make, momentum=0.9)
    new = recipe(make, momentum=0.9)
    settings = _Settings.of(new[0], [new[1]])
    advance(*straight, 1000)
    steps: list[int] = []
    step = type(new[1]).step
    monkeypatch.setattr(type(new[1]), "step", lambda self: (steps.append(1), step(self)))
    settings._step_again(1000)
    assert len(steps) == turns
    for ours, wanted in zip(new[0].param_groups, straight[0].param_groups, strict=True):
        assert {k: v for k, v in ours.items() if k != "params"} == {k: v for k, v in wanted.items() if k != "params"}
    monkeypatch.undo()
    ours, wanted = ({k: v for k, v in s.state_dict().items() if k != "_scale_fn_ref"} for s in (new[1], straight[1]))
    assert ours == wanted and advance(*new, 300) == advance(*straight, 300)


def test_states_that_do_not_say_the_first_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of earlier releases: they are taken for having begun with the rate at hand."""
    old = recipe(PLATEAU)
    advance(*old, 4)
    for group in old[0].param_groups:
        del group["initial_lr"]
    new, _ = resumed(old, recipe(PLATEAU))
    assert [(g["lr"], g["initial_lr"]) for g in new.param_groups] == [(0.05, 0.1), (0.025, 0.05)]


def test_settings_of_the_optimizer_are_those_at_hand() -> None:
    old = recipe(MULTISTEP, kind=Adam, betas=(0.9, 0.99), weight_decay=0.1)
    new, _ = resumed(old, recipe(MULTISTEP, kind=Adam, betas=(0.5, 0.9), eps=1e-4))
    for group in new.param_groups:
        assert (group["betas"], group["weight_decay"], group["eps"]) == ((0.5, 0.9), 0, 1e-4)
        assert len(group["params"]) == 1


def test_momenta_of_a_cycle_go_on() -> None:
    old = recipe(partial(onecycle, total_steps=8), momentum=0.9)
    advance(*old, 3)
    new = resumed(old, recipe(partial(onecycle, total_steps=8), momentum=0.9))
    assert new[0].param_groups[1]["momentum"] == old[0].param_groups[1]["momentum"]
    assert advance(*new, 3) == advance(*old, 3)
    assert [g["momentum"] for g in new[0].param_groups] == [g["momentum"] for g in old[0].param_groups]
    assert new[0].param_groups[0]["momentum"] != 0.9


@pytest.mark.parametrize(("lr", "first"), [(0.1, 0.05), (0.3, 0.3)])
def test_a_plateau_goes_on_waiting(lr: float, first: float) -> None:
    """Its counts are the state's, its settings those at hand; the rate falls on from where it was, or is the typed."""
    old = recipe(PLATEAU)
    advance(*old, 4)
    assert (old[1].num_bad_epochs, old[1].best, old[1].last_epoch) == (1, 1.0, 4)
    new = resumed(old, recipe(partial(PLATEAU, patience=2, factor=0.1), lr=lr))
    assert (new[1].num_bad_epochs, new[1].best, new[1].last_epoch) == (1, 1.0, 4)
    assert (new[1].patience, new[1].factor) == (2, 0.1)
    assert [rates[0] for rates in advance(*new, 2)] == pytest.approx([first, first / 10])


def test_a_plateau_goes_on_cooling_down() -> None:
    make = partial(PLATEAU, cooldown=5)
    old = recipe(make)
    advance(*old, 4)
    assert resumed(old, recipe(make))[1].cooldown_counter == old[1].cooldown_counter == 4


def trainer(schedule: Make | None, validation: bool = True, **options: Any) -> Any:
    optimizer, scheduler = recipe(schedule)
    made = [SimpleNamespace(scheduler=scheduler)] if scheduler else []
    return SimpleNamespace(
        optimizers=[optimizer], lr_scheduler_configs=made, enable_validation=validation, ckpt_path=None, callbacks=[],
        fit_loop=SimpleNamespace(state_dict=dict), **options,
    )  # fmt: skip


def test_a_plateau_needs_a_validation() -> None:
    with pytest.raises(ConfigError, match="scheduler=plateau waits for val/psnr, but this run has no validation"):
        RecipeCheck().on_fit_start(trainer(PLATEAU, validation=False), None)  # type: ignore[arg-type]
    RecipeCheck().on_fit_start(trainer(PLATEAU), None)  # type: ignore[arg-type]
    RecipeCheck().on_fit_start(trainer(MULTISTEP, validation=False), None)  # type: ignore[arg-type]


def test_a_checkpoint_is_checked_and_restored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Any] = []
    monkeypatch.setattr("sr_lightning.training.callbacks.recipe.check_recipe", lambda *given: checked.append(given))
    callback, fit, model = RecipeCheck(), trainer(MULTISTEP), Any
    fit.ckpt_path = "run/last.ckpt"
    callback.on_fit_start(fit, model)
    callback.on_train_start(fit, model)
    assert not checked
    callback.on_load_checkpoint(fit, model, {"loops": {"fit_loop": {}}})
    callback.on_fit_start(fit, model)
    ((path, state, given),) = checked
    assert (str(path), state, given) == ("run/last.ckpt", {"loops": {"fit_loop": {}}}, fit)
    (group, _) = fit.optimizers[0].param_groups
    group["momentum"] = 0.7  # as a state brings it
    callback.on_train_start(fit, model)
    assert group["momentum"] == 0
    group["momentum"] = 0.7
    callback.on_train_start(fit, model)
    callback.on_fit_start(fit, model)
    assert group["momentum"] == 0.7 and len(checked) == 1
