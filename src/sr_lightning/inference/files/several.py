"""Several files: the next is read, and the last one written, while one is computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.raw import is_raw
from sr_lightning.errors import CheckpointError, DataError, PictureError
from sr_lightning.inference.files.animations import several_of
from sr_lightning.inference.files.copies import Copies, copies
from sr_lightning.inference.files.enlarging import (
    Opened,
    Progress,
    compute,
    is_video,
    read,
    size_of,
    upscale_file,
    warnings_told_apart,
    write,
)
from sr_lightning.inference.files.targets import Job, refuse_known_result
from sr_lightning.inference.memory import leaves_room
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.inference.zero_shot import ZeroShotUpscaler

#: What becomes of a file: what was written, by path or URL, or why nothing was.
Outcome = list[Path | str] | DataError | CheckpointError | MemoryError | OSError
_FAILURES = (DataError, CheckpointError, MemoryError, OSError)


def upscale_files(
    jobs: list[Job],
    upscaler: Upscaler,
    cfg: DictConfig,
    begin: Callable[[Job], Progress],
    end: Callable[[Job, Outcome], None],
) -> None:
    """Enlarges files one after the other. A file that fails does not stop the others.

    While one is computed, the next is read and the last one written, by a thread each; one that is large for the
    memory, an animation, a video and a RAW file are done alone. An interruption waits for what is being written.

    Args:
        jobs: The files.
        upscaler: Of one.
        cfg: Of ``upscale``.
        begin: Is called with each file in turn before it is computed; returns what is told the share that is done.
        end: Is called with each file in turn, when it is written or has failed.
    """
    ahead: Future[_Ready] | None = None
    behind: tuple[Job, Future[list[Path | str]]] | None = None

    def finish() -> None:
        nonlocal behind
        if behind is not None:
            job, writing = behind
            try:
                writing.exception()  # waits
            finally:  # what was written is told, whoever interrupts
                behind = None
                finished(job, _outcome(writing))

    with (
        copies() as at_hand,
        warnings_told_apart(),
        ThreadPoolExecutor(1, "read") as reader,
        ThreadPoolExecutor(1, "write") as writer,
    ):
        prepare = partial(_prepared, at_hand=at_hand, upscaler=upscaler, cfg=cfg)

        def finished(job: Job, outcome: Outcome) -> None:
            try:
                end(job, outcome)
            finally:
                at_hand.drop(job)

        try:
            for number, job in enumerate(jobs):
                on_progress = begin(job)
                reading, ahead = ahead, None
                try:
                    ready = reading.result() if reading else prepare(job, alone=len(jobs) == 1)
                    if ready.opened is None:
                        finish()
                        finished(job, at_hand.sent(job, upscale_file(ready.job, upscaler, cfg, on_progress)))
                        continue
                    if 0 < number < len(jobs) - 1:  # the first prepares the network, and nothing disturbs it
                        ahead = reader.submit(prepare, jobs[number + 1])
                    result = compute(ready.opened, upscaler, cfg, on_progress)
                except _FAILURES as error:
                    finish()
                    finished(job, error)
                    continue
                finish()
                behind = job, writer.submit(_written, job, ready.opened, result, cfg, at_hand)
                del result  # which goes when it is written
        finally:
            finish()


@dataclass(frozen=True)
class _Ready:
    """A job whose files are on this machine, and its picture, unless it is to be done alone."""

    job: Job
    opened: Opened | None


def refuse_known(job: Job, upscaler: Upscaler, cfg: DictConfig) -> None:
    """Raises a ``ResultExistsError`` if the result is there, as far as the picture's name tells."""
    if not is_video(job.source):
        ending = ".dng" if upscaler.model.packed else ".png" if is_raw(job.source) else job.source.suffix.lower()
        refuse_known_result(job, cfg, upscaler.model.scale, ending)


def _prepared(job: Job, at_hand: Copies, upscaler: Upscaler, cfg: DictConfig, alone: bool = False) -> _Ready:
    """Fetches what is elsewhere, and reads it if that leaves room; not what has its result already."""
    refuse_known(job, upscaler, cfg)
    job = at_hand.of(job)
    return _Ready(job, None if alone else _read_beside(job, upscaler, cfg))


def _written(job: Job, opened: Opened, result: Photo, cfg: DictConfig, at_hand: Copies) -> list[Path | str]:
    return at_hand.sent(job, write(opened, result, cfg))


def _read_beside(job: Job, upscaler: Upscaler, cfg: DictConfig) -> Opened | None:
    """A picture that leaves room for others while it is computed; None for what is to be done alone."""
    other = isinstance(upscaler, ZeroShotUpscaler) or upscaler.model.reads_mosaic
    if other or job.source.is_dir() or is_video(job.source) or is_raw(job.source):
        return None
    try:
        if several_of(job.source, cfg) or not leaves_room(job.source, cfg.memory, size_of(upscaler, cfg), cfg.bits):
            return None
    except PictureError:  # which is told in its turn
        return None
    try:
        return read(job, upscaler, cfg)
    except MemoryError:
        return None


def _outcome(writing: Future[list[Path | str]]) -> Outcome:
    try:
        return writing.result()
    except _FAILURES as error:
        return error
