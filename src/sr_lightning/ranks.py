"""Which of the processes of a distributed run this one is, told by the environment of whoever started it."""

import os


def is_first_process() -> bool:
    """Whether it is the first of its run, or the only one; known before torch is imported.

    Example:
        >>> is_first_process()
        True
    """
    numbers = [_number("NODE_RANK")]
    if _number("WORLD_SIZE") > 1:  # of torchrun and of Lightning's own start
        numbers += [_number("RANK"), _number("GROUP_RANK"), _number("LOCAL_RANK")]
    if _number("SLURM_STEP_NUM_TASKS") > 1:  # of srun; a job's script has none
        numbers.append(_number("SLURM_PROCID"))
    return not any(numbers)


def started_together() -> bool:
    """Whether torchrun, ``srun`` or a number of its node started it as one of several processes.

    These run the whole command, each with what was typed. Processes that Lightning starts are not among them: they
    are told the folder of their run.

    Example:
        >>> started_together()
        False
    """
    several = _number("WORLD_SIZE") > 1 or _number("SLURM_STEP_NUM_TASKS") > 1
    return ("NODE_RANK" in os.environ and "LOCAL_RANK" not in os.environ) or (several and not _by_lightning())


def slurm_step() -> str | None:
    """Job and step, as SLURM writes them: ``7.0`` is what the first ``srun`` of job 7 started. None outside SLURM.

    A job that SLURM has put back into its queue keeps its number, and its steps are counted from 0 again.
    """
    job = slurm_job()
    return f"{job}.{_number('SLURM_STEP_ID')}" if job else None


def slurm_job() -> str | None:
    """The number of the SLURM job of this process, with that of the task in an array; None outside SLURM."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID', '0')}" if array else os.environ.get("SLURM_JOB_ID")


def _by_lightning() -> bool:
    """Lightning's processes have a number on their node and none among all; torchrun's and SLURM's have both."""
    return "LOCAL_RANK" in os.environ and "RANK" not in os.environ and "SLURM_PROCID" not in os.environ


def _number(name: str) -> int:
    """A number of the environment; 0 where there is none."""
    value = os.environ.get(name, "")
    return int(value) if value.isdecimal() else 0
