"""Jobs of SLURM that are put back into the queue before their time ends."""

import os
import subprocess

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from sr_lightning.errors import ConfigError
from sr_lightning.ranks import slurm_job

#: What srun tells each process.
_OF_SRUN = {"SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_NTASKS"}


class SlurmJob(SLURMEnvironment):
    """The processes that ``srun`` started, and whether their job goes back into the queue at SIGUSR1.

    Lightning's own requeueing saves where the signal finds it, in the middle of a step. Here the run stops between two
    steps, so that it goes on to the same bits; see ``StopAtSignal``.

    Args:
        requeue: Whether SIGUSR1 puts the job back into the queue.

    Raises:
        ConfigError: If no ``srun`` started this process.
    """

    def __init__(self, requeue: bool = True) -> None:
        if not self.detect() or slurm_job() is None or not os.environ.keys() >= _OF_SRUN:
            raise ConfigError(
                "trainer=slurm: srun did not start this process; type srun before the command, in a script for sbatch, "
                "or trainer=ddp for this machine alone"
            )
        super().__init__(auto_requeue=False)
        self.requeue = requeue


def requeue(job: str) -> tuple[bool, str]:
    """Puts a job back into the queue, under its number.

    Returns:
        Whether SLURM did, and a sentence about it.
    """
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"job {job} cannot be put back into the queue ({error})"
    if done.returncode:
        return False, f"SLURM does not put job {job} back into the queue ({' '.join(done.stderr.split())})"
    return True, f"SLURM puts job {job} back into the queue, where it goes on"
