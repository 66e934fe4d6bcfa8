"""Whether optimizers and schedules have what they need, asked before the first step."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sr_lightning.checkpoints import check_recipe
from sr_lightning.errors import ConfigError


class RecipeCheck(Callback):
    """Refuses a state of other optimizers or schedules, and a wait for a plateau that nothing measures.

    Lightning would say both in terms of its own, the second after a whole epoch, or, where a network steps its
    optimizers by itself, not at all. All runs have this callback; no config names it.

    Raises:
        CheckpointError: See :func:`sr_lightning.checkpoints.check_recipe`.
        ConfigError: If the schedule waits for ``val/psnr`` and there is no validation.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._loaded = checkpoint

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After optimizers and schedules were made, and before their state is loaded."""
        waits = any(isinstance(config.scheduler, ReduceLROnPlateau) for config in trainer.lr_scheduler_configs)
        if waits and not trainer.enable_validation:
            raise ConfigError(
                "scheduler=plateau waits for val/psnr, but this run has no validation; set "
                "trainer.limit_val_batches above 0, or choose another scheduler"
            )
        if self._loaded is not None and trainer.ckpt_path:
            check_recipe(Path(trainer.ckpt_path), self._loaded, trainer)
        self._loaded = None
