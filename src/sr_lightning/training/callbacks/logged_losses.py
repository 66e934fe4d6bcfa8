"""Losses that are logged, whichever loss is trained."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from sr_lightning.devices import random_states_kept
from sr_lightning.errors import ConfigError
from sr_lightning.losses.ldl import LDL
from sr_lightning.metrics.means import mean_score
from sr_lightning.models.adversary import LOGGED

#: What a run logs under ``train/`` or ``val/`` of itself.
_TAKEN = {"loss", "truth", "pixel", "psnr", *LOGGED}


class LoggedLosses(Callback):
    """Logs losses of the pictures that training and validation compute anyway, without a gradient.

    - ``train/<name>``: of the SR and HR that the trained loss has compared in this step. Where it compares several
      pairs, as of the levels of LapSRN, it is the first of the largest.
    - ``val/<set>/<name>`` and ``val/<name>``: means over the pictures of a set, and over all. SR and HR are whole
      pictures, as the protocol prepares them, without its border and its rounding of SR.

    The weights are those of a run without it, to the bit.

    **Source:** the project DeepResNet_SR_MultipleEnhancement trains one of four losses, and logs all of them.

    Args:
        losses: Modules ``(sr, hr) -> scalar`` by the name they are logged under.

    Raises:
        ConfigError: If there are none, a name is that of something else that is logged, or one is ``LDL``.

    Example:
        >>> LoggedLosses({"l1": nn.L1Loss()}).losses
        ModuleDict(
          (l1): L1Loss()
        )
    """

    def __init__(self, losses: Mapping[str, nn.Module]) -> None:
        if not losses:
            raise ConfigError("callbacks.logged_losses needs losses: +loss@callbacks.logged_losses.losses.l1=l1")
        self.losses = nn.ModuleDict(losses)
        if any(isinstance(module, LDL) for module in self.losses.modules()):
            raise ConfigError("callbacks.logged_losses: ldl is for training alone; leave it out")
        self._sr: Tensor | None = None
        self._hr: Tensor | None = None
        self._of_pictures: dict[str, list[float]] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for name in self.losses:
            if name in _TAKEN or name in getattr(pl_module.loss, "weights", ()):
                raise ConfigError(
                    f"callbacks.logged_losses.losses.{name}: the run logs something else under that name; choose "
                    f"another one, or leave it out with ~callbacks.logged_losses.losses.{name}"
                )

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._listen(pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        values = {f"train/{name}": value for name, value in self._heard(pl_module).items()}
        pl_module.log_dict(values, batch_size=len(batch["lr"]))

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._listen(pl_module)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        of_set: str = pl_module.prefix_of_set(dataloader_idx)  # type: ignore[operator]
        for name, value in self._heard(pl_module).items():
            for prefix in {of_set, "val"}:
                self._of_pictures.setdefault(f"{prefix}/{name}", []).append(float(value))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for key, values in self._of_pictures.items():
            pl_module.log(key, mean_score(values))
        self._of_pictures.clear()

    def _listen(self, model: Any) -> None:
        self._sr = self._hr = None
        model.on_comparison = self._keep

    def _keep(self, sr: Tensor, hr: Tensor) -> None:
        if self._sr is None or _pixels(sr) > _pixels(self._sr):
            self._sr, self._hr = sr.detach(), hr.detach()

    def _heard(self, model: Any) -> dict[str, Tensor]:
        """The losses of what was compared since ``_listen``; nothing of pictures without a truth."""
        model.on_comparison = None
        if self._sr is None or self._hr is None:
            return {}
        sr = self._sr.float()
        hr = self._hr.to(sr)
        self._sr = self._hr = None
        with random_states_kept():  # a loss may draw samples
            return {name: loss(sr, hr) for name, loss in self.losses.to(sr.device).items()}


def _pixels(picture: Tensor) -> int:
    return picture.shape[-2] * picture.shape[-1]
