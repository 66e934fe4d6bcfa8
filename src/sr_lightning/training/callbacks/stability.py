"""Runs that stay stable: clipped gradients, skipped batches, and a stop where nothing can be saved any more."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer

from sr_lightning.atomic import atomic_write
from sr_lightning.devices import copied_to_cpu
from sr_lightning.errors import ConfigError, SRError
from sr_lightning.functional.gradients import any_gradient


class AdjustableClipping(Callback):
    """Clips gradients to ``theta / lr``, so that no step is longer than ``theta`` whatever the learning rate.

    **Papers:** Kim, Lee, Lee, Accurate Image Super-Resolution Using Very Deep Convolutional Networks, CVPR 2016,
    section 3.2: every element (``kind="value"``). Tai, Yang, Liu, Image Super-Resolution via Deep Recursive Residual
    Network, CVPR 2017: the L2 norm of all gradients together (``kind="norm"``), theta 0.01. The widespread PyTorch port
    of VDSR bounds the norm by 0.4 at every learning rate: that is ``trainer.gradient_clip_val=0.4``.

    Args:
        theta: Bound of a step of plain gradient descent.
        kind: ``"norm"`` or ``"value"``. With several learning rates, the norm is bounded by the largest, and the
            elements of each group by its own.
    """

    def __init__(self, theta: float = 0.01, kind: Literal["norm", "value"] = "norm") -> None:
        if theta <= 0 or kind not in ("norm", "value"):
            raise ConfigError(f"theta={theta}, kind={kind}: theta must be above 0, and kind norm or value")
        self.theta, self.kind = theta, kind

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        groups = [group for group in optimizer.param_groups if group["lr"] > 0]
        if self.kind == "value":
            for group in groups:
                torch.nn.utils.clip_grad_value_(group["params"], self.theta / group["lr"])
        elif groups:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.theta / max(group["lr"] for group in groups))


class SkipExploding(Callback):
    """Makes no step for batches whose loss is far above what it was.

    The gradients are dropped before the optimizer sees them, on all ranks alike, so that weights and momenta stay
    as they were. Losses are compared on the host, which costs GPUs a wait in every step.

    **Sources:** RDN's training code skips above 3 times the batch before, RCAN's above 1e6.

    Args:
        factor: Skips above so many times the loss of the batch before; null for no such bound.
        limit: Skips above this loss; null for no such bound.
    """

    def __init__(self, factor: float | None = 3.0, limit: float | None = 1e6) -> None:
        self.factor, self.limit = factor or float("inf"), limit or float("inf")
        self.previous = float("inf")
        self.skipped = 0
        self._drop = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit" and not pl_module.automatic_optimization:
            raise ConfigError(f"callbacks=skip_exploding: {type(pl_module).__name__} steps its optimizers itself")

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        mean: Any = trainer.strategy.reduce(loss.detach().float() / _loss_scale(trainer), reduce_op="mean")
        now = float(mean)
        self._drop |= now > self.limit or now > self.factor * self.previous
        self.previous = now if now < float("inf") else self.previous

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if self._drop:  # optimizers pass over parameters without a gradient
            optimizer.zero_grad(set_to_none=True)
            self.skipped += 1
        self._drop = False
        pl_module.log("train/skipped", float(self.skipped))

    def state_dict(self) -> dict[str, Any]:
        return {"previous": self.previous, "skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.previous, self.skipped = float(state_dict["previous"]), int(state_dict["skipped"])


class StopOnNaN(Callback):
    """Ends the run at the first loss that is no finite number, and notes the pictures of that batch.

    The loss is looked at before the step that would ruin the weights. A GPU tells one batch later, so that nobody
    waits for it, but always before a checkpoint is written.

    Args:
        folder: Where ``nan_batch.json`` goes.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder) / "nan_batch.json"
        self._batch: dict[str, Any] = {}
        self._asked: tuple[Tensor, Tensor, Callable[[], None] | None, dict[str, Any]] | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        where = {"epoch": trainer.current_epoch, "batch": batch_idx, "step": trainer.global_step}
        self._batch = {**where, "names": list(batch.get("name", []))}

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self._check()
        mine = loss.detach().float()
        everywhere: Any = trainer.strategy.reduce(mine.isfinite().float(), reduce_op="mean")
        (everywhere, mine), wait = copied_to_cpu(everywhere, mine)
        self._asked = everywhere, mine, wait, self._batch
        if wait is None:
            self._check()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._check()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._check()

    def _check(self) -> None:
        """Raises if the loss last asked for was not finite on some rank."""
        if self._asked is None:
            return
        everywhere, mine, wait, batch = self._asked
        self._asked = None
        if wait is not None:
            wait()
        if everywhere.item() == 1:
            return
        if not mine.isfinite():  # on the rank whose pictures they are
            with atomic_write(self.path) as temporary:
                temporary.write_text(json.dumps({"loss": str(mine.item()), **batch}, indent=2) + "\n")
        raise SRError(
            f"train/loss is {mine.item() if not mine.isfinite() else 'nan'} in epoch {batch['epoch']}, batch "
            f"{batch['batch']}; its pictures are named in {self.path}: lower optimizer.lr, clip gradients with "
            "trainer.gradient_clip_val=1, or leave these pictures out"
        )


class NoticeStandstill(Callback):
    """Says in one sentence that a run does not learn, because no weight has a gradient or the loss never changes.

    Dead activations are the usual cause: no loss is NaN then, and the run goes on to its end. A GPU waits at
    each look.

    Args:
        every: Steps between two looks.
        looks: In a row that must find no gradient, or the same loss to the bit.
    """

    def __init__(self, every: int = 50, looks: int = 3) -> None:
        if every < 1 or looks < 2:
            raise ConfigError(f"every={every}, looks={looks}: every must be above 0, and looks above 1")
        self.every, self.looks = every, looks
        self._loss: Tensor | None = None
        self._seen: list[tuple[bool, float]] = []  # whether there was a gradient, and the loss
        self._told = False

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        self._loss = loss.detach()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if self._told or self._loss is None or trainer.global_step % self.every:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not parameters:  # another callback dropped them
            return
        self._seen = [*self._seen[1 - self.looks :], (bool(any_gradient(parameters)), float(self._loss))]
        learns, losses = any(found for found, _ in self._seen), {loss for _, loss in self._seen}
        if len(self._seen) < self.looks or (learns and len(losses) > 1) or losses == {0.0}:
            return
        self._told = True
        what = "its loss is the same to the bit" if learns else "no weight has a gradient: its activations are dead"
        rank_zero_warn(
            f"step {trainer.global_step}: this run does not learn; at {self.looks} looks, {self.every} steps apart, "
            f"{what}; lower optimizer.lr, or begin again with another seed="
        )


def _loss_scale(trainer: Trainer) -> float:
    """What the loss was multiplied by before the backward pass: fp16's scale, over accumulated batches."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return (scaler.get_scale() if scaler else 1.0) / trainer.accumulate_grad_batches
