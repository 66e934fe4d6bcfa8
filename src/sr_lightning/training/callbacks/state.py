"""What a checkpoint keeps of a run."""

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, callbacks
from torch import Tensor

from sr_lightning.devices import devices_here, random_states, set_random_states


class ModelCheckpoint(callbacks.ModelCheckpoint):
    """Lightning's, with the best score in memory where a run is resumed into another folder, too.

    The best weights so far stay in the old folder until a better epoch writes its own into the new one. ``save_last``
    means after every validation, the best or not.
    """

    def _save_topk_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        super()._save_topk_checkpoint(trainer, monitor_candidates)
        # Lightning 2.6 writes the last checkpoint where this is so: by default only beside a new best.
        self._last_global_step_saved = trainer.global_step

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state_dict = {**state_dict, "dirpath": self.dirpath}
        if not Path(state_dict["best_model_path"]).is_file():  # then the best that this run saves is the best there is
            best = ("best_model_path", "best_model_score", "best_k_models", "kth_best_model_path", "kth_value")
            state_dict |= {name: getattr(self, name) for name in best}
        super().load_state_dict(state_dict)


class RandomState(Callback):
    """Keeps torch's random state in checkpoints, so that a resumed run repeats the one that was not stopped.

    Patches need none of it (see ``PatchSampler``); dropout and noise do.
    """

    def state_dict(self) -> dict[str, Any]:
        return random_states()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for device in {"cpu", *devices_here()} & {"cpu", *state_dict}:
            torch.Generator(device).set_state(state_dict[device].cpu())  # raises here, and not when the run has begun
        self._loaded: dict[str, Any] | None = state_dict

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        state = getattr(self, "_loaded", None)
        if state:
            set_random_states(state)
            self._loaded = None


class TrainingTime(Callback):
    """Seconds of training from now on, and those that a resumed run took until its checkpoint was written.

    Example:
        >>> time = TrainingTime()
        >>> time.load_state_dict({"seconds": 60.0})
        >>> int(time.seconds)
        60
    """

    def __init__(self) -> None:
        self._begin = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begin

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._begin -= float(state_dict["seconds"])
