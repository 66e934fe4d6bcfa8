"""What a typed training becomes before Hydra reads it: a folder common to all processes, and its own checkpoint."""

import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from sr_lightning.cli.arguments import is_sweep
from sr_lightning.config import parsed_value
from sr_lightning.errors import ConfigError
from sr_lightning.ranks import is_first_process, slurm_step, started_together
from sr_lightning.training.recorded_settings import override_key
from sr_lightning.training.resume import with_settings_of_run
from sr_lightning.training.run_folders import LAST


def training_arguments(argv: Sequence[str]) -> list[str]:
    """All that is to be done to the arguments of ``train``, in its order.

    Raises:
        SRError: If no folder is common to processes that were started together, or a run cannot be resumed.

    Example:
        >>> training_arguments(["model=rdn", "ckpt_path=auto", "run_dir=no/such/folder"])
        ['model=rdn', 'run_dir=no/such/folder']
    """
    return with_settings_of_run(with_own_checkpoint(with_common_folder(argv)))


def with_common_folder(argv: Sequence[str]) -> list[str]:
    """Gives processes that torchrun or SLURM started together one run folder, which the first of them writes.

    The folder of a SLURM job has the numbers of job and step, which stay when the job is put back into the queue.

    Raises:
        ConfigError: If nothing says which folder.
    """
    given = list(argv)
    step = slurm_step()
    if is_sweep(given) or not (started_together() or (step and "trainer=slurm" in given)):
        return given
    if _run_dir(given) is None:
        if step is None:
            raise ConfigError(
                "several processes were started together, and each would make a run folder; type run_dir=FOLDER, the "
                "same for all"
            )
        given.append(f"run_dir=runs/train/slurm-{step}")
    # Hydra's notes and log are the first one's.
    return given if is_first_process() else [*given, "hydra.output_subdir=null", "hydra/job_logging=disabled"]


def with_own_checkpoint(argv: Sequence[str]) -> list[str]:
    """Replaces ``ckpt_path=auto`` by the last checkpoint in the run's own folder; drops it where there is none yet.

    ``trainer=slurm`` stands for it, too: a job that was put back into the queue is the same command. Where the last one
    is damaged, the best one takes its place.

    Raises:
        ConfigError: If no folder is named: a new one has no checkpoint.
    """
    given = list(argv)
    asked = [arg for arg in given if override_key(arg) == "ckpt_path"]
    if not asked and "trainer=slurm" in given and _run_dir(given):
        given, asked = [*given, "ckpt_path=auto"], ["ckpt_path=auto"]
    if not asked or parsed_value(asked[-1]) != "auto" or is_sweep(given):  # runs of a sweep see to it themselves
        return given
    folder = _run_dir(given)
    if folder is None:
        raise ConfigError(
            "ckpt_path=auto goes on in the folder of the run, so type it, too: run_dir=FOLDER; a checkpoint of another "
            "folder is named as it is: ckpt_path=FILE"
        )
    kept = [arg for arg in given if arg not in asked]
    last = Path(folder) / LAST
    for path in (last, last.with_name("best.ckpt")):
        if zipfile.is_zipfile(path):
            return [*kept, f"ckpt_path={path}"]
        if path.is_file() and is_first_process():
            print(f"{path}: damaged; the run goes on before it", file=sys.stderr)
    return kept


def _run_dir(argv: Sequence[str]) -> str | None:
    """The folder that was typed."""
    named = [arg for arg in argv if override_key(arg) in ("run_dir", "hydra.run.dir")]
    value = parsed_value(named[-1]) if named else None
    return str(value) if value is not None else None
