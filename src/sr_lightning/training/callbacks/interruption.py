"""A run that is told to stop: it finishes its step, saves everything, and says how to go on."""

import os
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from sr_lightning.atomic import AnyPath
from sr_lightning.cli.sweep_jobs import has_a_process_of_its_own
from sr_lightning.errors import Interrupted
from sr_lightning.ranks import slurm_job
from sr_lightning.training.slurm import SlurmJob, requeue

#: What asks a run to stop: Ctrl-C, ``kill`` and batch systems, a closed terminal, and the warning before a time limit.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
SIGNALS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


class StopAtSignal(Callback):
    """Ends training at SIGINT, SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2 with a checkpoint that resumes to the same bits.

    It stops between two updates inside of an epoch: there, weights, optimizer, random state and position in the data
    are all that counts, whereas the scores of a validation that has just been are not in checkpoints. A second signal
    stops at once, with whatever was saved before.

    Args:
        folder: Where ``last.ckpt`` goes.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.signum: int | None = None
        self._training, self._saved = False, -1
        self._signals: tuple[int, ...] = ()
        self._requeued = False
        self._process = os.getpid()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Receives signals, and hands them back afterwards to whoever had them."""
        if threading.current_thread() is not threading.main_thread():  # Python takes signals in the main thread alone
            yield
            return
        # Signals that are ignored stay ignored: Ctrl-C in a script's background, the end of a nohup's terminal.
        before = {s: signal.getsignal(s) for s in SIGNALS if signal.getsignal(s) is not signal.SIG_IGN}
        self._signals, self._process = tuple(before), os.getpid()
        # From now on, since loaders' workers inherit it: Ctrl-C reaches them too, and they have batches to deliver.
        self._receive_all()
        try:
            yield
        except KeyboardInterrupt:
            if self.signum is None:
                raise
            raise Interrupted(f"interrupted; {resume_hint(self.folder)}", self.signum) from None
        finally:
            for signum, handler in () if self._requeued else before.items():
                signal.signal(signum, handler)

    def _receive_all(self) -> None:
        for signum in self._signals:
            signal.signal(signum, self._receive)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a loader's worker
            if signum == signal.SIGTERM:
                os._exit(128 + signum)
            return
        # Batch systems repeat themselves while a checkpoint is being written.
        again, self.signum = self.signum is not None and not has_a_process_of_its_own(), signum
        if again or not self._training:
            raise KeyboardInterrupt
        os.write(2, b"\nstopping after this step; once more stops at once\n")  # print may not be called in a handler

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._training = True
        self._receive_all()  # Lightning has taken some for itself meanwhile

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._training = False

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._saved = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        updated = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if updated and not trainer.is_last_batch and self._asked(trainer):
            trainer.save_checkpoint(self.folder / "last.ckpt")
            raise self.ended(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        one_update = trainer.num_training_batches <= trainer.accumulate_grad_batches  # an epoch without an inside
        if one_update and self._saved == trainer.global_step and self._asked(trainer):
            raise self.ended(trainer)

    def _asked(self, trainer: Trainer) -> bool:
        """Whether any process was told to stop: all of them stop after the same step, and for the same reason."""
        asked = self.signum is not None
        if trainer.world_size > 1 and (asked := trainer.strategy.reduce_boolean_decision(asked, all=False)):
            mine = torch.tensor(float(self.signum or 0), device=trainer.strategy.root_device)
            self.signum = round(float(trainer.strategy.reduce(mine, reduce_op="max")))
        return asked

    def ended(self, trainer: Trainer) -> Interrupted:
        """What the user reads. A job of SLURM whose time ends goes back into the queue."""
        signum, next_steps = self.signum or signal.SIGINT, resume_hint(self.folder)
        job, environment = slurm_job(), getattr(trainer.strategy, "cluster_environment", None)
        if signum == signal.SIGUSR1 and job and isinstance(environment, SlurmJob) and environment.requeue:
            self._requeued = True
            for (
                name
            ) in self._signals:  # SLURM ends a job that it requeues; all is saved, and the last line is to be said
                signal.signal(name, signal.SIG_IGN)
            done, said = requeue(job) if trainer.is_global_zero else (True, "the job goes back into the queue")
            next_steps = said if done else f"{said}; {next_steps}"
        return Interrupted(f"interrupted after step {trainer.global_step}; {next_steps}", signum)


def resume_hint(folder: AnyPath) -> str:
    """What to type to resume from the newest checkpoint of a folder."""
    # Hidden ones are half written.
    whole = (path for path in Path(folder).glob("*.ckpt") if not path.name.startswith("."))
    kept = sorted(whole, key=lambda path: (path.stat().st_mtime_ns, path.name == "last.ckpt"))
    if not kept:
        return "nothing was saved yet"
    newest = kept[-1]
    short = newest.relative_to(Path.cwd()) if newest.is_relative_to(Path.cwd()) else newest
    return f"resume with: python -m sr_lightning.train {shlex.quote(f'ckpt_path={short}')}"
