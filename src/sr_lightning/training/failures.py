"""What ends a training, each told in one sentence that says how to go on."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.connectors import checkpoint_connector

from sr_lightning.errors import FULL_DISK, UNUSABLE_PLACE, ConfigError, SRError
from sr_lightning.inference.memory import is_out_of_memory
from sr_lightning.training.callbacks import RecipeCheck, StopAtSignal, resume_hint
from sr_lightning.training.processes import lost_process
from sr_lightning.weights.checkpoints import damaged

_DATALOADER = "torch.utils.data.dataloader"


@contextmanager
def failures_told(trainer: Trainer, folder: Path, stop: StopAtSignal) -> Iterator[None]:
    """Turns the errors that users can mend into SRError, and Lightning's answer to a signal into its own."""
    try:
        yield
    except MisconfigurationException as error:
        raise ConfigError(" ".join(str(error).split())) from error
    except OSError as error:
        hint = resume_hint(folder / "checkpoints")
        if isinstance(error, ConnectionError) and any(module == _DATALOADER for module, _ in _calls(error)):
            raise _worker_lost(folder) from None
        if error.errno in FULL_DISK:
            raise SRError(f"{folder}: the disk is full; free space, then {hint}") from None
        if error.errno not in UNUSABLE_PLACE:
            raise
        raise SRError(f"{error.filename or folder}: cannot be used ({error.strerror}); fix that, then {hint}") from None
    except (RuntimeError, MemoryError) as error:
        if stop.signum is not None and "DataLoader worker" in str(error):  # the signal of a batch system ends it too
            raise stop.ended(trainer) from None
        if "DataLoader worker (pid" in str(error):  # not "process", which tells an error of its own
            raise _worker_lost(folder) from None
        if lost := lost_process(error, trainer, folder):
            raise lost from None
        if not is_out_of_memory(error):
            raise
        raise SRError(
            "there is not enough memory for a training step; lower data.batch_size or data.patch_size, "
            f"then {resume_hint(folder / 'checkpoints')}"
        ) from None
    except SystemExit as end:  # Lightning's answer to an interrupt
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        raise stop.ended(trainer) from None


def _calls(error: BaseException) -> list[tuple[str, str]]:
    """The modules and names of the functions that the error went through."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [(str(frame.f_globals.get("__name__")), frame.f_code.co_name) for frame in frames]


def _worker_lost(folder: Path) -> SRError:
    return SRError(
        "a process that loads pictures was killed, usually because memory was full; "
        f"lower data.num_workers, then {resume_hint(folder / 'checkpoints')}"
    )


@contextmanager
def state_errors_told(ckpt_path: str | None) -> Iterator[None]:
    """Turns any error of Lightning and torch while they restore a run's state into one sentence."""
    try:
        yield
    except (SRError, OSError):
        raise
    except Exception as error:
        taking = any(
            module == RecipeCheck.__module__
            or (module == checkpoint_connector.__name__ and "restore" in function)
            or function == "_load_combined_loader_states"  # of Lightning's loop
            for module, function in _calls(error)
        )
        if ckpt_path is None or not taking or is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise damaged(ckpt_path, f"the state of its run cannot be restored ({reason})") from error
