"""Learning-rate schedules that depend on the length of the run."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from sr_lightning.limits import check_value

_Anneal = Literal["cos", "linear"]


def constant(optimizer: Optimizer) -> LRScheduler:
    """The learning rate stays as it is."""
    return LambdaLR(optimizer, lambda _: 1.0)


def cosine(optimizer: Optimizer, total_steps: int, final: float = 0.0) -> LRScheduler:
    """From the optimizer's learning rate down to ``final`` times it along half a cosine, over the whole run.

    The length is that of the run at hand: a run that is resumed to go on for longer follows the longer curve.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> cosine(optimizer, total_steps=100).get_last_lr()
        [1.0]
    """

    def factor(step: int) -> float:
        return final + (1 - final) * (1 + math.cos(math.pi * min(1.0, step / max(1, total_steps)))) / 2

    return LambdaLR(optimizer, factor)


def decay_to_floor(optimizer: Optimizer, every: int, gamma: float, floor: float, until: int) -> LRScheduler:
    """Times ``gamma`` every so many updates, but never less than the floor, and the floor itself in the end.

    Args:
        optimizer: Whose learning rates are the first.
        every: Updates between the steps.
        gamma: Factor of a step.
        floor: The least learning rate, as a part of the first.
        until: Update from which on the learning rate is the floor.

    Raises:
        ValueError: If an argument cannot be.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> scheduler = decay_to_floor(optimizer, every=1, gamma=0.5, floor=0.3, until=9)
        >>> [(scheduler.get_last_lr()[0], optimizer.step(), scheduler.step())[0] for _ in range(4)]
        [1.0, 0.5, 0.3, 0.3]
    """
    if every < 1 or not 0 < gamma <= 1 or not 0 <= floor <= 1:
        raise ValueError(f"every={every} must be at least 1, gamma={gamma} and floor={floor} between 0 and 1")

    def factor(step: int) -> float:
        return max(gamma ** (step // every), floor) if step < until else floor

    return LambdaLR(optimizer, factor)


class _OneCycle(OneCycleLR):
    """Has the length of the run at hand, where a checkpoint would bring back that of the run before."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        length = ("total_steps", "_schedule_phases")
        super().load_state_dict({key: value for key, value in state_dict.items() if key not in length})


def onecycle(
    optimizer: Optimizer,
    total_steps: int,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    anneal_strategy: _Anneal = "cos",
) -> LRScheduler:
    """Up to the optimizer's learning rate and down again, once over the whole run; momenta go the other way.

    **Paper:** Smith, Topin, Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates, 2017.
    Every group of parameters keeps its own learning rate as the maximum. A run that is resumed to go on for longer
    follows the longer curve.

    Args:
        optimizer: Whose learning rates are the maxima.
        total_steps: Updates in the run.
        pct_start: Part of the run in which the rate rises.
        div_factor: The first rate is the maximum over this.
        final_div_factor: The last rate is the first over this.
        anneal_strategy: ``"cos"`` or ``"linear"``.

    Raises:
        ConfigError: If an argument cannot be.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> round(onecycle(optimizer, total_steps=100).get_last_lr()[0], 6)
        0.04
    """
    check_value("scheduler.pct_start", pct_start, Annotated[float, Field(ge=0, le=1)])
    check_value("scheduler.div_factor", div_factor, PositiveFloat)
    check_value("scheduler.final_div_factor", final_div_factor, PositiveFloat)
    check_value("scheduler.anneal_strategy", anneal_strategy, _Anneal)
    pct_start = float(pct_start)  # torch refuses whole numbers
    if pct_start * total_steps == 1:  # the first update has the highest rate; torch would divide by 0
        pct_start *= 1 - 1e-9
    momentum = "betas" in optimizer.defaults or optimizer.defaults.get("momentum", 0) > 0
    return _OneCycle(
        optimizer,
        [group["lr"] for group in optimizer.param_groups],
        total_steps=max(1, total_steps),
        pct_start=pct_start,
        anneal_strategy=anneal_strategy,
        cycle_momentum=momentum,
        div_factor=div_factor,
        final_div_factor=final_div_factor,
    )
