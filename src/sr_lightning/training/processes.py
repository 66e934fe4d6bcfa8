"""What several processes change for a run, and how it ends when one of them is lost."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer

from sr_lightning.errors import SRError
from sr_lightning.ranks import started_together
from sr_lightning.training.callbacks import resume_hint

#: What NCCL, gloo and the store of torchrun write where another process no longer answers.
_LOST = ("Connection closed by peer", "Connection reset", "NCCL", "Broken pipe", "Timed out", "timed out", "recvBytes")


def batch_of_all(trainer: Trainer, data: LightningDataModule) -> str | None:
    """What the number of processes changes, in a line; None for one process.

    The gradients of all processes are averaged, so that they train as one process with a batch of all their patches.
    """
    count, each = trainer.world_size, getattr(data, "batch_size", None)
    if count == 1 or each is None:
        return None
    where = f"{count} processes on {trainer.num_nodes} nodes" if trainer.num_nodes > 1 else f"{count} processes"
    return (
        f"{where}: a step trains on {count} x {each} = {count * each} patches, and the learning rate stays as it is; "
        f"one process with data.batch_size={count * each} is the same training; each process scores all validation "
        "pictures"
    )


def lost_process(error: BaseException, trainer: Trainer, folder: Path) -> SRError | None:
    """The sentence for an error that says that another process of the run is gone; None for any other error."""
    if trainer.world_size == 1:
        return None
    distributed: Any = torch.distributed
    known = isinstance(error, getattr(distributed, "DistError", ()))
    if not known and not any(words in str(error) for words in _LOST):
        return None
    again = "start all of them again with ckpt_path=auto" if started_together() else resume_hint(folder / "checkpoints")
    return SRError(f"another process of this run ended or cannot be reached, and its own output says why; then {again}")
