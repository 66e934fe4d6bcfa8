"""Ends runs of a search that promise little."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch import Callback, LightningModule, Trainer

from sr_lightning.atomic import AnyPath
from sr_lightning.training.search import study_of

if TYPE_CHECKING:
    from optuna.trial import Trial


class Pruning(Callback):
    """Reports a score after each validation to the search that the run belongs to, and stops where that prunes it.

    A run that is no part of a search is left alone. All runs have this callback; no config names it.

    Args:
        folder: Of the run, whose name is its number in the search.
        monitor: The score.
    """

    def __init__(self, folder: AnyPath, monitor: str = "val/psnr") -> None:
        self.folder, self.monitor = Path(folder), monitor
        self.pruned = False
        self._trial: Trial | None = None
        self._searched = False

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        study = study_of(self.folder.parent) if trainer.is_global_zero and self.folder.name.isdecimal() else None
        trials = study.get_trials(deepcopy=False) if study else []
        if study and int(self.folder.name) < len(trials) and not trials[int(self.folder.name)].state.is_finished():
            from optuna.trial import Trial

            self._trial = Trial(study, trials[int(self.folder.name)]._trial_id)
        self._searched = trainer.strategy.broadcast(self._trial is not None)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        score = trainer.callback_metrics.get(self.monitor)
        if trainer.sanity_checking or not self._searched:
            return
        if self._trial is not None and score is not None:
            self._trial.report(float(score), step=trainer.current_epoch)
            self.pruned = bool(self._trial.should_prune())
        self.pruned = trainer.strategy.broadcast(self.pruned)  # of the first process, for all
        trainer.should_stop = trainer.should_stop or self.pruned
