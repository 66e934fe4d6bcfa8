"""The device and the precision of a trainer, in this library's words."""

from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from sr_lightning.errors import ConfigError

#: Lightning's names of precisions, which work too.
_PRECISIONS = {"float32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def trainer_settings(trainer: DictConfig) -> Any:
    """The config of a trainer with Lightning's name of the precision.

    Raises:
        ConfigError: If it asks for a GPU, and PyTorch finds none.
    """
    _refuse_missing_gpu(trainer.get("accelerator"))
    precision = str(trainer.get("precision"))
    return OmegaConf.merge(trainer, {"precision": _PRECISIONS[precision]} if precision in _PRECISIONS else {})


def _refuse_missing_gpu(accelerator: Any) -> None:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    there["gpu"] = any(there.values())
    if not there.get(accelerator, True):
        raise ConfigError(
            f"trainer.accelerator={accelerator}: PyTorch finds none on this machine; type trainer=cpu, or install the "
            "build of PyTorch for your GPU"
        )
