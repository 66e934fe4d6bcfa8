"""How a run writes its checkpoints, and reads the one that it goes on from."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from sr_lightning.atomic import atomic_write


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target and renames: a full disk or a kill leaves the file that was there before.

    Attributes:
        checked: The file that a run goes on from, and what was read of it: it is not read again, and cannot have
            changed. Other files, as those by which processes hand over their weights, are read as ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self.checked: tuple[Path, dict[str, Any]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "checked": None}  # spawned processes read it themselves: every tensor costs a file

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with atomic_write(Path(path)) as temporary, temporary.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch closes its archive, which a full disk has cut short
                raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None
            file.flush()
            os.fsync(file.fileno())

    def load_checkpoint(self, path: Any, *args: Any, **options: Any) -> dict[str, Any]:
        if self.checked is None or self.checked[0] != Path(path):
            return super().load_checkpoint(path, *args, **options)
        (_, checked), self.checked = self.checked, None
        return checked
