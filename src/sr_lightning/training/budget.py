"""A time budget for training: a slow machine trains for fewer epochs, but follows the whole schedule."""

import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from omegaconf import DictConfig, OmegaConf

from sr_lightning.errors import ConfigError
from sr_lightning.models import SuperResolutionModule

#: A run of fewer epochs would end before its learning rate has fallen.
LEAST = 3
#: What a schedule knows of the length of its run.
_LENGTH = ("lr_lambdas", "total_steps", "_schedule_phases")


class TimeBudget(Callback):
    """Shortens a run to the whole epochs that fit into a time. It measures the first epoch to know how many these are.

    The schedule follows the new length. The length is in checkpoints, and a resumed run takes it from there: it
    ends with the same bits on any machine. A run that fits into the time is not changed, and neither is one that was
    interrupted in its first epoch.

    Args:
        minutes: Time for training. With None, the run is never shortened.
        clock: The time in seconds, from any moment on.

    Example:
        >>> TimeBudget(1.5).epochs_for(epoch=20.0, planned=10)
        4
    """

    def __init__(self, minutes: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.minutes, self._clock = minutes, clock
        self.planned, self.epochs = 0, 0  # 0: not decided
        self._begin: float | None = None

    @classmethod
    def of(cls, trainer: Trainer) -> "TimeBudget":
        """That of a trainer, or one that never shortens."""
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        return next((callback for callback in callbacks if isinstance(callback, cls)), cls())

    def epochs_for(self, epoch: float, planned: int) -> int:
        """The number of epochs that fit, at most those planned, if one takes so many seconds."""
        fitting = int(60 * (self.minutes or 0) // max(epoch, 1e-9))
        return min(planned, max(LEAST, fitting))

    def state_dict(self) -> dict[str, Any]:
        """What was decided; nothing before."""
        return {"planned": self.planned, "epochs": self.epochs} if self.epochs else {}

    def resume(self, trainer: Trainer, checkpoint: dict[str, Any]) -> None:
        """Takes over what the run before has decided, unless another number of epochs was asked for since."""
        match checkpoint.get("callbacks", {}).get(self.state_key):
            case {"planned": int(planned), "epochs": int(epochs)} if self.minutes and planned == trainer.max_epochs:
                self.planned, self.epochs = planned, epochs
                trainer.fit_loop.max_epochs = epochs

    def told(self) -> str:
        """What the closing line says about a run that was shortened."""
        if not 0 < self.epochs < self.planned:
            return ""
        return f" ({self.epochs} of {self.planned} epochs, for max_minutes={self.minutes:g})"

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.global_step == 0:
            self._begin = self._clock()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before the checkpoint of the epoch is written."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and trainer.is_last_batch:
            self._decide(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Where no validation was."""
        self._decide(trainer, pl_module)

    def _decide(self, trainer: Trainer, pl_module: LightningModule) -> None:
        planned = trainer.max_epochs or 0
        if self.minutes is None or self._begin is None or self.epochs or planned <= 0:
            return
        # All processes of a run take the time of the first.
        self.epochs = trainer.strategy.broadcast(self.epochs_for(self._clock() - self._begin, planned))
        self.planned = planned
        if self.epochs < planned:
            trainer.fit_loop.max_epochs = self.epochs
            assert isinstance(pl_module, SuperResolutionModule)
            for ours, fresh in zip(trainer.lr_scheduler_configs, _schedules(pl_module), strict=True):
                for name in _LENGTH:
                    if hasattr(fresh, name):
                        setattr(ours.scheduler, name, getattr(fresh, name))


def minutes_to_train(cfg: DictConfig) -> float | None:
    """The time for training, in minutes: ``max_minutes``, or None if another length was typed.

    Raises:
        ConfigError: If it is no positive number.

    Example:
        >>> from sr_lightning.config import compose
        >>> minutes_to_train(compose("train", ["max_minutes=2"])), minutes_to_train(compose("train", ["epochs=9"]))
        (2.0, None)
    """
    typed = {str(override).lstrip("+~").partition("=")[0] for override in cfg.get("overrides") or ()}
    lengths = {"epochs", "trainer.max_epochs", "trainer.max_steps", "trainer.max_time", "experiment"}
    minutes = cfg.get("max_minutes")
    if minutes is None or ("max_minutes" not in typed and typed & lengths):
        return None
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes < float("inf"):
        raise ConfigError(f"max_minutes={minutes}: must be a number above 0, or null for no limit")
    epochs = OmegaConf.select(cfg, "trainer.max_epochs")
    if epochs is None or epochs < 1:
        raise ConfigError(f"max_minutes={minutes}: shortens a number of epochs; give epochs=, or trainer.max_time=")
    return float(minutes)


def _schedules(model: SuperResolutionModule) -> list[Any]:
    """The schedules of a model, made anew for the length that its run has now."""
    made = model.configure_optimizers()
    if isinstance(made, dict):
        return [made["lr_scheduler"]["scheduler"]]
    return list(made[1]) if isinstance(made, tuple) else []
