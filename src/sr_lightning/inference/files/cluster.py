"""``cluster=ray``: several processes, on one machine or many, enlarge files, with a network each.

Ray Data hands out names alone, a block of them at a time; pictures never pass through it. What a process does with a
name is what ``several`` does without Ray. A process that dies is replaced, and Ray hands its block out again; who gets
it asks the journal what of it is done.
"""

import contextlib
import io
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from sr_lightning.cli.start import warnings_as_lines
from sr_lightning.data.files.io import no_pixel_limit
from sr_lightning.devices import is_gpu
from sr_lightning.errors import ConfigError, DataError, ResultExistsError, SRError
from sr_lightning.inference.engines.engine import ON_CPU
from sr_lightning.inference.files.account import Fate, fate_of
from sr_lightning.inference.files.journal import Journal
from sr_lightning.inference.files.ray_here import last_line, ray_here
from sr_lightning.inference.files.several import Outcome, refuse_known, upscale_files
from sr_lightning.inference.files.taken import Taken
from sr_lightning.inference.files.targets import Job
from sr_lightning.inference.loading import load_upscaler
from sr_lightning.inference.memory import free_memory
from sr_lightning.inference.upscaler import Upscaler

#: Names in a block, at most: results are told when a block is done.
BLOCK = 64
#: Blocks for each process, at least, so that none waits long for the others at the end.
BLOCKS = 8
#: How often a picture is begun, at most. Ray would hand it out for ever.
TRIES = 2
#: Why it has no result then.
ENDS = "ended its worker twice (usually for want of memory)"


class Worker:
    """A network in a process of its own.

    Args:
        cfg: Of ``upscale``.
        taken: Which results were there at the start.
        journal: The actor of the ``Journal``.
        threads: For computing.
        share: Of the machine's free memory.
        folder: From which paths lead, as far as the machine has it.
    """

    def __init__(
        self, cfg: DictConfig, taken: Taken | None, journal: Any, threads: int, share: float, folder: str
    ) -> None:
        with contextlib.suppress(OSError):
            os.chdir(folder)
        torch.set_num_threads(threads)
        if taken is not None:  # which alone decides: what appears from now on is this command's
            cfg.overwrite = True
        if cfg.memory is None:
            cfg.memory = max(0.1, free_memory() * share / 1e9)
        self._cfg, self._taken, self._journal = cfg, taken, journal
        self._upscaler = load_upscaler(cfg)

    def __call__(self, block: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Enlarges the files of a block, and gives what became of each."""
        import ray

        jobs = {int(number): job_of(row) for number, row in zip(block["number"], block["job"], strict=True)}
        known = ray.get(self._journal.known.remote(list(jobs)))
        begun = ray.get(self._journal.begun.remote(list(jobs)))
        fates = {number: Fate(*fate) for number, fate in known.items()}
        fates |= {number: fate_of(jobs[number], DataError(ENDS)) for number in begun if begun[number] >= TRIES}
        rest = {job: number for number, job in jobs.items() if number not in fates}

        def begin(job: Job) -> Callable[[float], None]:
            ray.get(self._journal.begin.remote(rest[job]))
            return lambda done: None

        def end(job: Job, outcome: Outcome) -> None:
            fate = fates[rest[job]] = fate_of(job, outcome)
            ray.get(self._journal.note.remote(rest[job], tuple(fate)))

        with said() as lines, no_pixel_limit():
            todo = [replace(job, taken=self._taken) for job in rest]
            # A worker died over this block. Each picture is done alone now, so that none is blamed for another one,
            # which is read while it is computed.
            for each in [[job] for job in todo] if begun else filter(None, [todo]):
                upscale_files(each, self._upscaler, self._cfg, begin, end)
        lines_of = [*[""] * (len(jobs) - 1), lines.getvalue()]
        return {
            "number": list(jobs),
            "written": ["\n".join(fates[number].written) for number in jobs],
            "failed": [fates[number].failed for number in jobs],
            "exists": [fates[number].exists for number in jobs],
            "said": lines_of,
        }


def upscale_on_ray(
    jobs: list[Job],
    upscaler: Upscaler,
    cfg: DictConfig,
    taken: Taken | None,
    end: Callable[[Fate], None],
    said_of: Callable[[str], None],
) -> None:
    """Enlarges files by several processes.

    Args:
        jobs: The files, which know ``taken``.
        upscaler: As the processes will have it, to tell names of results.
        cfg: Of ``upscale``, with ``workers``.
        taken: Which results were there at the start; None if they are to be replaced.
        end: Is called with what became of each file, in any order.
        said_of: Is called with lines that the processes said.

    Raises:
        ConfigError: If Ray is missing, or has fewer cores or GPUs than ``workers`` asks for.
        SRError: If the processes cannot work at all.
    """
    on_gpus = computes_on_gpus(cfg, upscaler)
    with ray_here() as ray:
        options, workers, threads, share = shares(ray, cfg.workers, on_gpus)
        jobs = [job for job in jobs if not _has_result(job, upscaler, cfg, end)]
        if not jobs:
            return
        workers = min(workers, len(jobs))
        journal = ray.remote(num_cpus=0)(Journal).options(max_concurrency=1).remote()
        block = max(1, min(BLOCK, len(jobs) // (workers * BLOCKS)))
        rows = [{"number": number, "job": row_of(job)} for number, job in enumerate(jobs)]
        names = ray.data.from_items(rows, override_num_blocks=math.ceil(len(rows) / block))
        del rows
        fates = names.map_batches(
            Worker,
            fn_constructor_args=(cfg, taken, journal, threads, share, str(Path.cwd())),
            batch_size=None,
            batch_format="numpy",
            concurrency=workers,
            **options,
        )
        try:
            for batch in fates.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=0):
                for written, failed, exists in zip(batch["written"], batch["failed"], batch["exists"], strict=True):
                    end(Fate(str(written).split("\n") if written else [], str(failed), bool(exists)))
                for lines in filter(None, batch["said"]):
                    said_of(str(lines))
                journal.forget.remote([int(number) for number in batch["number"]])
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, SRError):
                raise cause from None
            raise SRError(f"cluster=ray: the workers cannot work ({last_line(error)})") from None


def _has_result(job: Job, upscaler: Upscaler, cfg: DictConfig, end: Callable[[Fate], None]) -> bool:
    """Whether the result is there, as far as names tell: then, no worker is asked."""
    try:
        refuse_known(job, upscaler, cfg)
    except ResultExistsError as error:
        end(fate_of(job, error))
        return True
    return False


def computes_on_gpus(cfg: DictConfig, upscaler: Upscaler) -> bool:
    """Whether each process is to have a GPU, if Ray has some: by ``device``, the engine and the network.

    Args:
        cfg: Of ``upscale``.
        upscaler: Of this process; its machine may have no GPU where others have.

    Raises:
        ConfigError: If ``device`` has the number of a GPU.
    """
    if cfg.device is None:
        return not (upscaler.model.cpu_only or cfg.engine in ON_CPU)
    device = torch.device(cfg.device)
    if is_gpu(device) and device.index is not None:
        instead = f"type device={device.type}"
        raise ConfigError(
            f"device={cfg.device}: Ray gives each worker a GPU of its own, whatever its number; {instead}"
        )
    return is_gpu(device)


def shares(ray: Any, workers: int | None, on_gpus: bool) -> tuple[dict[str, Any], int, int, float]:
    """What Ray gives each process, how many there are, their threads, and their share of a machine's memory.

    Args:
        ray: The module, connected.
        workers: How many processes, at least 1; None for one for each GPU or core.
        on_gpus: Whether they compute on GPUs, if Ray has some.

    Raises:
        ConfigError: If there are fewer GPUs or cores.
    """
    there = ray.cluster_resources()
    cores, gpus = int(there.get("CPU", 1)), int(there.get("GPU", 0)) if on_gpus else 0
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    nodes = [of_node for of_node in nodes if of_node] or [1]
    most = gpus or cores
    if workers is not None and workers > most:
        what = f"{most} {'GPU' if gpus else 'core'}{'' if most == 1 else 's'}"
        instead = ", or device=cpu" if gpus and workers <= cores else ""
        raise ConfigError(f"workers={workers}: Ray has {what}; type workers={most}{' or less' * (most > 1)}{instead}")
    workers = workers or most
    threads = max(1, min([cores // workers, *nodes]))  # a process lives on one node
    options: dict[str, Any] = {"num_cpus": threads, **({"num_gpus": 1} if gpus else {})}
    return options, workers, threads, 1 / math.ceil(workers / len(nodes))


@contextmanager
def said() -> Iterator[io.StringIO]:
    """What is said on the error stream and by warnings within the block, one line each."""
    lines = io.StringIO()
    with warnings_as_lines(), contextlib.redirect_stderr(lines):
        yield lines


def row_of(job: Job) -> str:
    """A job as one text, without what all share.

    Example:
        >>> job_of(row_of(Job(Path("a.png"), Path("large")))).folder
        PosixPath('large')
    """
    return "\0".join([str(job.source), str(job.folder), job.twin or "", job.url or "", job.into or ""])


def job_of(row: str) -> Job:
    """The job of ``row_of``."""
    source, folder, twin, url, into = str(row).split("\0")
    return Job(Path(source), Path(folder), twin or None, url or None, into or None)
