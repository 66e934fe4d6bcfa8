"""``cluster=ray``: several processes, on one machine or many, enlarge files, with a network each.

Ray Data hands out names alone, a block of them at a time; pictures never pass through it. What a process does with a
name is what ``several`` does without Ray. A process that dies is replaced, and Ray hands its block out again; who gets
it asks the journal what of it is done.
"""

import contextlib
import io
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import torch
from omegaconf import DictConfig

from sr_lightning.cli.start import warnings_as_lines
from sr_lightning.data.files.io import no_pixel_limit
from sr_lightning.errors import ConfigError, ResultExistsError, SRError
from sr_lightning.inference.files.account import Fate, fate_of
from sr_lightning.inference.files.journal import Journal
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
        fates = {number: Fate(*fate) for number, fate in known.items()}
        rest = {job: number for number, job in jobs.items() if number not in fates}

        def end(job: Job, outcome: Outcome) -> None:
            fate = fates[rest[job]] = fate_of(job, outcome)
            ray.get(self._journal.note.remote(rest[job], tuple(fate)))

        with said() as lines, no_pixel_limit():
            todo = [replace(job, taken=self._taken) for job in rest]
            if todo:
                upscale_files(todo, self._upscaler, self._cfg, lambda job: lambda done: None, end)
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
    with ray_here() as ray:
        options, workers, threads, share = _shares(ray, cfg.workers)
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
            raise SRError(f"cluster=ray: the workers cannot work ({_last_line(error)})") from None


def _has_result(job: Job, upscaler: Upscaler, cfg: DictConfig, end: Callable[[Fate], None]) -> bool:
    """Whether the result is there, as far as names tell: then, no worker is asked."""
    try:
        refuse_known(job, upscaler, cfg)
    except ResultExistsError as error:
        end(fate_of(job, error))
        return True
    return False


def _shares(ray: Any, workers: int | None) -> tuple[dict[str, Any], int, int, float]:
    """What Ray gives each process, how many there are, their threads, and their share of a machine's memory."""
    there = ray.cluster_resources()
    cores, gpus = int(there.get("CPU", 1)), int(there.get("GPU", 0))
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    nodes = [of_node for of_node in nodes if of_node] or [1]
    most = gpus or cores
    if workers is not None and workers > most:
        what = "GPUs" if gpus else "cores"
        raise ConfigError(f"workers={workers}: Ray has {most} {what}; type workers={most} or less")
    workers = workers or most
    threads = max(1, min([cores // workers, *nodes]))  # a process lives on one node
    options: dict[str, Any] = {"num_cpus": threads, **({"num_gpus": 1} if gpus else {})}
    return options, workers, threads, 1 / math.ceil(workers / len(nodes))


@contextmanager
def ray_here(cores: int | None = None) -> Iterator[Any]:
    """Ray, connected to the cluster that ``RAY_ADDRESS`` names, or begun on this machine until the block ends.

    Args:
        cores: Of this machine, that it may use; by default, all.

    Raises:
        ConfigError: If Ray is missing, or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what goes wrong is told in a sentence
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise ConfigError('cluster=ray: Ray is not installed; pip install "sr_lightning[ray]"') from None
    begun = not ray.is_initialized()
    if begun:
        own: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False, "num_cpus": cores}
        try:
            with _without_first_words():
                ray.init(logging_level=logging.ERROR, log_to_driver=False, configure_logging=True, **own)
        except ConnectionError as error:
            address = os.environ.get("RAY_ADDRESS")
            raise ConfigError(f"RAY_ADDRESS={address}: no cluster answers there ({_last_line(error)})") from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.verbose_progress = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Ray's threads print what they hear of processes where the names of results go, and the rest when it ends.
    with contextlib.redirect_stdout(_Heard(sys.stderr)):
        try:
            yield ray
        finally:
            if begun:
                ray.shutdown()


@contextmanager
def _without_first_words() -> Iterator[None]:
    """Hides what Ray's native code writes on the error stream when it starts."""
    sys.stderr.flush()
    usual, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(usual, 2)
        for each in (usual, nowhere):
            os.close(each)


class _Heard(io.TextIOBase):
    """In place of what Ray prints on the output: a sentence if a process died."""

    def __init__(self, errors: TextIO) -> None:
        self._errors = errors

    def write(self, text: str) -> int:
        if "A worker died" in text:
            print("a worker died; another one goes on with what it had not done", file=self._errors)
        return len(text)


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
    return "\0".join([str(job.source), str(job.folder), str(job.twin or ""), job.url or "", job.into or ""])


def job_of(row: str) -> Job:
    """The job of ``row_of``."""
    source, folder, twin, url, into = str(row).split("\0")
    return Job(Path(source), Path(folder), Path(twin) if twin else None, url or None, into or None)


def _last_line(error: BaseException) -> str:
    return str(error).strip().rpartition("\n")[2][:300] or type(error).__name__
