"""What a run measures of its own steps: speed, waiting for data, gradients, learning rates and memory."""

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor
from torch.optim import Optimizer

from sr_lightning.devices import GPUS, peak_of_process
from sr_lightning.inference.memory import process_memory

#: What Lightning's loop calls the wait for the next batch.
_FETCH = "[_TrainingEpochLoop].train_dataloader_next"


class Measurements(Callback):
    """Logs how a run goes, once every ``trainer.log_every_n_steps`` steps, under the same keys in every logger.

    - ``speed/patches_per_second``: patches of all processes together, since the reading before. Validation and what
      happens between epochs do not count, nor does the first step, which warms up.
    - ``speed/waiting_share``: the part of that time, 0 to 1, in which the first process waited for its next batch.
    - ``train/gradient_norm``: L2 norm of all gradients of the network, unscaled and before they are clipped, of the
      logged step alone. Processes have averaged their gradients before, so it is the same in all.
    - ``train/discriminator_gradient_norm``: the same of a discriminator.
    - ``train/learning_rate``: of the logged step; ``train/learning_rate_2`` … of further groups of parameters,
      ``train/discriminator_learning_rate`` of a discriminator.
    - ``memory/peak_gb``: the most memory since the start in 10^9 bytes, on a GPU of its allocator, elsewhere of the
      first process.

    Steps that another callback skips or stops at are measured, too: this one goes first. Nothing here waits for a GPU:
    what lies on it is read with the loss, when the loggers are written.

    Example:
        >>> Measurements().state_dict()  # a resumed run begins to measure anew
        {}
    """

    def __init__(self) -> None:
        self._due = False
        self._of_step: dict[str, Tensor] = {}
        self._watch = _Watch()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._watch = _Watch()
        trainer.profiler = _Watched(trainer.profiler, self._watch)  # type: ignore[attr-defined]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        step = trainer.fit_loop.epoch_loop._batches_that_stepped + 1  # as Lightning counts them for its loggers
        last = trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        updates = last or not pl_module.automatic_optimization
        self._due = bool(trainer.loggers) and updates and step % every == 0
        self._of_step = {}

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if not self._due:
            return
        of = "discriminator_" if _position(trainer, optimizer) else ""
        self._of_step[f"train/{of}gradient_norm"] = gradient_norm(trainer, optimizer)
        for number, group in enumerate(optimizer.param_groups, start=1):
            suffix = f"_{number}" if number > 1 else ""
            self._of_step[f"train/{of}learning_rate{suffix}"] = _on_host(float(group["lr"]))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._watch.batch_done(len(batch["lr"]))
        if not self._due:
            return
        device = trainer.strategy.root_device
        read = self._watch.read()
        if read is not None:
            patches, seconds, waited = read
            if trainer.world_size > 1:
                # Filled there: a number that is copied to a GPU would wait for it.
                mine = torch.full((), float(patches), device=device)
                rate: Any = trainer.strategy.reduce(mine, reduce_op="sum") / seconds
            else:
                rate = _on_host(patches / seconds)
            self._of_step |= {"speed/patches_per_second": rate, "speed/waiting_share": _on_host(waited / seconds)}
        self._of_step["memory/peak_gb"] = _on_host(_peak_bytes(device) / 1e9)
        pl_module.log_dict(self._of_step, on_step=True, on_epoch=False, batch_size=1)
        self._due = False

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._watch.pause()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._watch.pause()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _unwatch(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        _unwatch(trainer)


def gradient_norm(trainer: Trainer, optimizer: Optimizer) -> Tensor:
    """L2 norm of all gradients that an optimizer is about to use, on their device.

    Args:
        trainer: Whose strategy tells whether each process has a part of the gradients alone.
        optimizer: Before its step, with gradients that are unscaled already.
    """
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if isinstance(trainer.strategy, FSDPStrategy) and trainer.world_size > 1:
        squared: Any = trainer.strategy.reduce(norm.float().to(trainer.strategy.root_device) ** 2, reduce_op="sum")
        return torch.sqrt(squared)
    return norm.detach().float()


class _Watch:
    """The clock of a run: how long its steps took, and how long of it they waited for batches.

    Time between a pause and the next wait for a batch does not count.
    """

    def __init__(self) -> None:
        self._since: float | None = None  # the reading before; None: the first step is not done yet
        self._paused: float | None = None
        self._fetching = self._waited = 0.0
        self._patches = 0

    def pause(self) -> None:
        if self._paused is None:
            self._paused = time.perf_counter()

    def fetch(self) -> None:
        self._fetching = time.perf_counter()
        if self._paused is not None:
            if self._since is not None:
                self._since += self._fetching - self._paused
            self._paused = None

    def fetched(self) -> None:
        self._waited += time.perf_counter() - self._fetching

    def batch_done(self, patches: int) -> None:
        if self._since is None:
            self._since, self._waited = time.perf_counter(), 0.0
            return
        self._patches += patches

    def read(self) -> tuple[int, float, float] | None:
        """Patches, seconds and seconds of waiting since the reading before, which it forgets; None if there are none.

        A wait that began before a pause may be longer than what is left of the time: a share is 1 at most.
        """
        now = time.perf_counter()
        if self._since is None or not self._patches:
            return None
        seconds = max(now - self._since, 1e-9)
        result = self._patches, seconds, min(self._waited, seconds)
        self._since, self._patches, self._waited = now, 0, 0.0
        return result


class _Watched(Profiler):
    """The run's profiler, with a watch on the waits for batches."""

    def __init__(self, inner: Profiler, watch: _Watch) -> None:
        super().__init__(dirpath=inner.dirpath, filename=inner.filename)
        self.inner, self.watch = inner, watch

    def start(self, action_name: str) -> None:
        if action_name == _FETCH:
            self.watch.fetch()
        self.inner.start(action_name)

    def stop(self, action_name: str) -> None:
        self.inner.stop(action_name)
        if action_name == _FETCH:
            self.watch.fetched()

    def summary(self) -> str:
        return self.inner.summary()

    def setup(self, stage: str, local_rank: int | None = None, log_dir: str | Path | None = None) -> None:
        self.inner.setup(stage, local_rank, str(log_dir) if log_dir else None)

    def describe(self) -> None:
        self.inner.describe()

    def teardown(self, stage: str | None) -> None:
        self.inner.teardown(stage)


def _unwatch(trainer: Trainer) -> None:
    if isinstance(trainer.profiler, _Watched):  # type: ignore[attr-defined]
        trainer.profiler = trainer.profiler.inner  # type: ignore[attr-defined]


def _position(trainer: Trainer, optimizer: Optimizer) -> int:
    """The optimizer's place among those of the run: the network's is the first, a discriminator's the second."""
    return next((i for i, other in enumerate(trainer.optimizers) if other is optimizer), 0)


def _on_host(value: float) -> Tensor:
    """A number that Lightning leaves where it is: plain ones are copied to the device, which waits."""
    return torch.tensor(value, dtype=torch.float64, device="cpu")


def _peak_bytes(device: torch.device) -> int:
    return peak_of_process(device) if device.type in GPUS else process_memory("VmHWM")
