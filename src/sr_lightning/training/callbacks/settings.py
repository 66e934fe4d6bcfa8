"""All settings of a run, written to its folder and to every logger."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from omegaconf import DictConfig, OmegaConf

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.evaluation.scoring import versions
from sr_lightning.ranks import is_first_process
from sr_lightning.training.run_folders import SETTINGS


class SettingsRecord(Callback):
    """Writes the resolved config as ``config.yaml`` and hands it to the loggers, with the versions that run.

    It writes before the first step: a folder without the file is that of a run that did not begin. All runs have this
    callback; no config names it.

    Args:
        settings: The config of the run.
        folder: Its folder.
    """

    def __init__(self, settings: DictConfig, folder: Path) -> None:
        self.settings, self.folder = settings, folder

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Logs all settings. Lightning would log the network's arguments alone, and mix them with these."""
        pl_module._log_hyperparams = False
        everything: Any = OmegaConf.to_container(self.settings, resolve=True)
        for logger in trainer.loggers:
            logger.log_hyperparams({**everything, "versions": versions()})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            write_settings(self.settings, self.folder)


def write_settings(settings: DictConfig, folder: AnyPath) -> None:
    """Writes ``config.yaml``, which resuming reads."""
    folder = Path(folder)
    if is_first_process():
        with atomic_write(folder / SETTINGS) as temporary:
            OmegaConf.save(settings, temporary, resolve=True)
