"""Trains: from the first step or from a checkpoint, until the end or what stops it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule, Trainer
from torch import nn

from sr_lightning.cli.sweep_jobs import is_run_of_sweep
from sr_lightning.errors import CheckpointError, ConfigError, NothingToDo
from sr_lightning.evaluation.scoring import count_parameters
from sr_lightning.models import SuperResolutionModule
from sr_lightning.training.budget import TimeBudget
from sr_lightning.training.callbacks import RecipeCheck, StopAtSignal, TrainingTime
from sr_lightning.training.checkpoint_files import AtomicCheckpointIO
from sr_lightning.training.failures import failures_told, state_errors_told
from sr_lightning.training.hardware import freed_memory_kept
from sr_lightning.training.processes import batch_of_all
from sr_lightning.training.run_folders import earlier_run_backed_up, sweep_leftovers
from sr_lightning.weights.checkpoints import check_checkpoint, damaged


def fit(
    trainer: Trainer, model: SuperResolutionModule, data: LightningDataModule, ckpt_path: str | None, folder: Path
) -> float:
    """Trains, from a checkpoint's state if one is given.

    Returns:
        The seconds it took, those before the checkpoint included.
    """
    _check_network_fits(model, data)
    if trainer.is_global_zero:  # also where the killed run had done its last step
        sweep_leftovers(folder, ckpt_path)
    if ckpt_path:
        checkpoint = check_checkpoint(Path(ckpt_path), model)
        TimeBudget.of(trainer).resume(trainer, checkpoint)
        # A run of a sweep that was killed after its last step has to be scored.
        if not (is_run_of_sweep() and Path(ckpt_path).is_relative_to(folder)):
            _check_there_is_more_to_do(Path(ckpt_path), checkpoint, trainer)
        if isinstance(io := trainer.strategy.checkpoint_io, AtomicCheckpointIO):
            io.checked = Path(ckpt_path), checkpoint
        del checkpoint  # it is large, and training takes long
    trainer.callbacks.append(RecipeCheck())  # type: ignore[attr-defined]
    if has_unused_parameters(model):  # plain DDP waits for the gradient of every parameter
        getattr(trainer.strategy, "_ddp_kwargs", {}).setdefault("find_unused_parameters", True)
    took, stop = TrainingTime(), StopAtSignal(folder / "checkpoints")
    trainer.callbacks.append(took)  # type: ignore[attr-defined]
    trainer.callbacks.append(stop)  # type: ignore[attr-defined]  # the last: it saves what all others have done
    if trainer.is_global_zero and (line := batch_of_all(trainer, data)):
        print(line, file=sys.stderr)
    with (
        failures_told(trainer, folder, stop),
        earlier_run_backed_up(folder, ckpt_path) if trainer.is_global_zero else nullcontext(),
        stop.listening(),
        kill_peers_on_error(trainer),
        state_errors_told(ckpt_path),
        freed_memory_kept(),
    ):
        trainer.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
    return took.seconds


def _check_network_fits(model: SuperResolutionModule, data: LightningDataModule) -> None:
    if not count_parameters(model):
        raise ConfigError(f"{type(model).__name__} has no parameters to train; use python -m sr_lightning.evaluate")
    if getattr(data, "scale_range", None) and not model.any_scale:
        raise ConfigError(
            f"data.scales: a range of scales is for networks of any scale, such as model=liif; {type(model).__name__} "
            "needs a list, or null"
        )
    scales = getattr(data, "scales", None)
    if scales and not model.multi_scale:
        raise ConfigError(
            f"data.scales={scales}: {type(model).__name__} has weights for one scale; "
            "choose a network that serves several, or set data.scales=null"
        )


def _check_there_is_more_to_do(path: Path, checkpoint: dict[str, Any], trainer: Trainer) -> None:
    if "optimizer_states" not in checkpoint:
        raise CheckpointError(f"{path}: holds only weights; start from them with init_from={path}")
    try:
        at_end = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"]
        epochs, steps = checkpoint["epoch"] + at_end, checkpoint["global_step"]
    except (KeyError, TypeError):
        raise damaged(path, "it does not say how far its run got") from None
    for name, state in checkpoint.get("callbacks", {}).items():
        if not (isinstance(state, dict) and state):  # Lightning writes no empty ones, and passes over them
            raise damaged(path, f"the state of {name.partition('{')[0]} is missing")
    for done, end, unit, key in (
        (epochs, trainer.max_epochs, "epoch", "epochs"),
        (steps, trainer.max_steps, "step", "trainer.max_steps"),
    ):
        if end is not None and end >= 0 and done >= end:
            raise NothingToDo(f"{path}: already at {unit} {done} of {end}; to train longer, type {key}={2 * done}")


def has_unused_parameters(model: SuperResolutionModule) -> bool:
    """Whether there are parameters that some training step gives no gradient to."""
    per_scale = model.multi_scale and any(isinstance(m, nn.ModuleDict) and len(m) > 1 for m in model.net.modules())
    return per_scale or bool(model.unused) or not model.automatic_optimization


@contextmanager
def kill_peers_on_error(trainer: Trainer) -> Iterator[None]:
    """Kills the other processes of a distributed run if the first one fails.

    Otherwise they would wait for it, or report that they lost their connection.
    """
    try:
        yield
    except BaseException:
        for process in getattr(trainer.strategy.launcher, "procs", []):
            process.kill()
        raise
