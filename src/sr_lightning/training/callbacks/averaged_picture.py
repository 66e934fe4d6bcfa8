"""What the moving average of a network makes of the batch at hand."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn

from sr_lightning.errors import ConfigError
from sr_lightning.losses.ldl import LDL, NEEDS_AVERAGE


class AveragedPicture(Callback):
    """Gives the loss ``LDL`` the picture of the network's moving average. All runs have this callback.

    Raises:
        ConfigError: If the loss needs it, and there is no moving average.
    """

    def __init__(self) -> None:
        self._averaging: Any = None
        self._inputs: Any = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """After the callback ``ema`` has copied the network."""
        waiting = [module for module in getattr(pl_module.loss, "modules", tuple)() if isinstance(module, LDL)]
        if stage != "fit" or not waiting:
            return
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        self._averaging = next((each for each in callbacks if isinstance(each, WeightAveraging)), None)
        if self._averaging is None:
            raise ConfigError(NEEDS_AVERAGE)
        for module in waiting:
            module.average = self._picture
        self._hook = pl_module.net.register_forward_hook(self._keep, with_kwargs=True)  # type: ignore[operator,union-attr]

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self._averaging is not None:
            self._hook.remove()
        self._averaging = self._inputs = None

    def __deepcopy__(self, memo: Any) -> "AveragedPicture":
        """Itself: a copy of the network needs no second average."""
        return self

    def _keep(self, net: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if net.training:
            self._inputs = args, kwargs

    def _picture(self) -> Tensor:
        args, kwargs = self._inputs
        net = self._averaging._average_model.module.net.eval()
        with torch.no_grad():
            return net(*args, **kwargs).float()  # type: ignore[no-any-return]
