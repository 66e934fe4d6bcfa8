"""Optimizers and schedules of a resumed run: of the classes whose state there is, and with the settings at hand."""

import copy
import inspect
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, LambdaLR, MultiStepLR, OneCycleLR, ReduceLROnPlateau, StepLR

from sr_lightning.errors import ConfigError
from sr_lightning.weights.checkpoints import check_kinds, check_recipe

#: What a schedule counts; all else in its state is a setting.
_COUNTED = {"last_epoch", "_step_count", "_last_lr", "best", "T_cur", "T_i", "num_bad_epochs", "cooldown_counter",
            "total_steps", "_schedule_phases"}  # fmt: skip


class RecipeCheck(Callback):
    """Refuses a state of other optimizers or schedules, and a wait for a plateau that nothing measures.

    Lightning would say both in terms of its own, the second after a whole epoch, or, where a network steps its
    optimizers itself, not at all. Of a state that fits, the run takes what was counted and averaged, and keeps its
    own settings: rates, betas, weight decay, milestones, patience. All runs have this callback; no config names it.

    Raises:
        CheckpointError: See ``check_recipe``.
        ConfigError: If the schedule waits for ``val/psnr`` and there is no validation.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None
        self._configured: list[_Settings] = []

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Before any state is loaded."""
        known = ("lightning.", "sr_lightning.")  # other callbacks may keep what they like
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        ours = {c.state_key: c.state_dict() for c in callbacks if type(c).__module__.startswith(known)}
        check_kinds(checkpoint.get("callbacks", {}), ours, "callbacks")
        check_kinds(checkpoint.get("loops", {}), {"fit_loop": trainer.fit_loop.state_dict()}, "loops")
        self._loaded = checkpoint

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After optimizers and schedules were made, and before their state is loaded."""
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        if any(isinstance(scheduler, ReduceLROnPlateau) for scheduler in schedulers) and not trainer.enable_validation:
            raise ConfigError(
                "scheduler=plateau waits for val/psnr, but this run has no validation; set "
                "trainer.limit_val_batches above 0, or choose another scheduler"
            )
        if self._loaded is not None and trainer.ckpt_path:
            check_recipe(Path(trainer.ckpt_path), self._loaded, trainer)
            self._configured = [_Settings.of(optimizer, schedulers) for optimizer in trainer.optimizers]
        self._loaded = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After their state was loaded."""
        for settings in self._configured:
            settings.restore()
        self._configured = []


@dataclass
class _Settings:
    """An optimizer and its schedule, with the settings that they were made with."""

    optimizer: Optimizer
    scheduler: Any
    groups: list[dict[str, Any]]
    schedule: dict[str, Any]

    @classmethod
    def of(cls, optimizer: Optimizer, schedulers: list[Any]) -> "_Settings":
        scheduler = next((s for s in schedulers if s.optimizer is optimizer), None)
        groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        return cls(
            optimizer, scheduler, copy.deepcopy(groups), copy.deepcopy(scheduler.state_dict()) if scheduler else {}
        )

    def restore(self) -> None:
        """Puts the settings back after a state was loaded, and leaves what the state counts."""
        scheduler = self.scheduler
        then = scheduler.state_dict() if scheduler else {}
        other_rates = any(
            ours["initial_lr"] != group.get("initial_lr", ours["initial_lr"])
            for ours, group in zip(self.groups, self.optimizer.param_groups, strict=True)
        )
        other_schedule = any(
            then.get(k) != v for k, v in self.schedule.items() if k not in _COUNTED and k != "base_lrs"
        )
        cycled = {"lr", "momentum", "betas"} if isinstance(scheduler, OneCycleLR | CyclicLR) else {"lr"}
        # What is no argument is counted, such as Prodigy's estimate of the distance.
        settings = self.optimizer.defaults.keys() & inspect.signature(type(self.optimizer)).parameters.keys() - cycled
        for ours, group in zip(self.groups, self.optimizer.param_groups, strict=True):
            # Loading adds to the defaults what the groups of optimizers outside of torch do not have.
            group |= {name: ours[name] for name in settings & ours.keys()}
            group["initial_lr"] = ours["initial_lr"]
            if scheduler is None or (isinstance(scheduler, ReduceLROnPlateau) and other_rates):
                group["lr"] = ours["lr"]
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.load_state_dict({k: v for k, v in self.schedule.items() if k not in _COUNTED})
        elif isinstance(scheduler, LambdaLR):  # its curve is no part of its state
            scheduler.base_lrs = self.schedule["base_lrs"]
            for group, base, factor in zip(
                self.optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True
            ):
                group["lr"] = base * factor(scheduler.last_epoch)
            scheduler._last_lr = [group["lr"] for group in self.optimizer.param_groups]
        elif scheduler is not None and (other_rates or other_schedule):
            self._step_again(then["last_epoch"])

    def _step_again(self, steps: int) -> None:
        """The schedule from its beginning, as far as the state has come: the rates that it would have led to."""
        for ours, group in zip(self.groups, self.optimizer.param_groups, strict=True):
            group |= ours
        self.scheduler.load_state_dict(copy.deepcopy(self.schedule))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no step of the optimizer comes between
            for step in _turns(self.scheduler, steps):
                self.scheduler.last_epoch = step - 1
                self.scheduler.step()
        self.scheduler.last_epoch, self.scheduler._step_count = steps, self.schedule["_step_count"] + steps


def _turns(scheduler: Any, steps: int) -> Iterable[int]:
    """The steps that a schedule has to make on its way there: all others leave the rates as they are."""
    if type(scheduler) is StepLR:
        return range(scheduler.step_size, steps + 1, scheduler.step_size)
    if type(scheduler) is MultiStepLR:
        return [step for step in sorted(scheduler.milestones) if 0 < step <= steps]
    if isinstance(scheduler, OneCycleLR | CyclicLR):  # whose rates follow from the number of the step alone
        return [steps] if steps else []
    return range(1, steps + 1)
