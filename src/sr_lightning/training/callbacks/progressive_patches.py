"""Training that begins with small patches."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from sr_lightning.errors import ConfigError
from sr_lightning.models.schedule import total_steps


class ProgressivePatches(Callback):
    """Parts each patch into smaller ones at the beginning of the run, and less so later.

    A batch keeps its number of pixels: ``parts=2`` makes four patches of half the side of each. So early steps see more
    places, and all take about the same time. What a step sees depends on its number alone, also when a run is resumed.

    **Paper:** Zamir et al., Restormer, CVPR 2022, which begins with small patches in large batches.

    Args:
        parts: Pairs: from which part of the run on, from 0 to 1, and into how many parts the side is divided.

    Raises:
        ConfigError: If the parts cannot be.

    Example:
        >>> ProgressivePatches([(0, 4), (0.3, 2), (0.6, 1)]).at(0.5)
        2
    """

    def __init__(self, parts: Sequence[Sequence[Any]]) -> None:
        try:
            self.parts: dict[float, int] = {float(begin): count for begin, count in parts}
        except (TypeError, ValueError):
            raise ConfigError(f"{_KEY}={parts}: must be pairs, such as {_EXAMPLE}") from None
        for begin, count in self.parts.items():
            if not 0 <= begin <= 1 or not isinstance(count, int) or count < 1:
                raise ConfigError(f"{_KEY}={parts}: [{begin:g},{count}] cannot be; write it as in {_EXAMPLE}")
        if 0 not in self.parts:
            raise ConfigError(f"{_KEY}={parts}: says nothing of the beginning; add a pair with 0, as in {_EXAMPLE}")

    def at(self, done: float) -> int:
        """Into how many parts the side of a patch is divided when so much of the run is done."""
        return self.parts[max(begin for begin in self.parts if begin <= done)]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuses scales that are drawn: their patches have sides that do not divide."""
        if getattr(getattr(trainer, "datamodule", None), "scale_range", None):
            raise ConfigError("callbacks: progressive_patches needs patches of one size, and data.scales draws others")

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: dict[str, Any], batch_idx: int
    ) -> None:
        updates = trainer.global_step // max(1, len(trainer.optimizers))
        count = self.at(min(1.0, updates / max(1, total_steps(trainer))))
        if count > 1:
            batch.update(parted(batch, count))


_KEY, _EXAMPLE = "callbacks.progressive_patches.parts", "[[0,4],[0.3,2],[0.6,1]]"


def parted(batch: Mapping[str, Any], count: int) -> dict[str, Any]:
    """A batch in which each patch is parted into ``count * count`` patches, row by row.

    Raises:
        ConfigError: If the patches do not divide.

    Example:
        >>> import torch
        >>> {key: tuple(x.shape) for key, x in parted({"lr": torch.zeros(2, 3, 8, 8), "hr": torch.zeros(2, 3, 16, 16)}, 2).items()}
        {'lr': (8, 3, 4, 4), 'hr': (8, 3, 8, 8)}
    """  # noqa: E501
    return {key: _parted(key, value, count, len(batch["lr"])) for key, value in batch.items()}


def _parted(key: str, value: Any, count: int, patches: int) -> Any:
    if isinstance(value, Tensor) and value.ndim == 4:
        height, width = value.shape[-2:]
        unit = 2 * count if key == "raw" else count  # a mosaic's cells have two rows
        if height % unit or width % unit:
            raise ConfigError(
                f"{_KEY}: patches of {height}x{width} in {key} do not divide into {count}x{count}; "
                f"make data.patch_size a multiple of {count} times the scale, or choose other parts"
            )
        value = value.unflatten(-2, (count, -1)).unflatten(-1, (count, -1))  # type: ignore[no-untyped-call]
        return value.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
    if isinstance(value, Tensor) and value.ndim and len(value) == patches:
        return value.repeat_interleave(count**2, 0)
    if isinstance(value, list) and len(value) == patches:
        return [each for each in value for _ in range(count**2)]
    return value
