"""``python -m sr_lightning.upscale``: enlarge pictures and camera RAW files of any size."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sr_lightning.config import run
from sr_lightning.errors import CheckpointError, ConfigError, DataError, PictureError, SRError

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from rich.progress import Progress, TaskID


def upscale(cfg: DictConfig) -> list[Path]:
    """Enlarges every picture that ``input`` names; goes on after a bad file.

    Returns:
        The files written.

    Raises:
        SRError: If an option cannot work, or a picture could not be enlarged.

    Example:
        >>> from sr_lightning.config import compose
        >>> upscale(compose("upscale", ["model=bicubic", "input=photo.png"]))  # doctest: +SKIP
        [PosixPath('photo_x2.png')]
    """
    from PIL import Image
    from rich.console import Console
    from rich.progress import Progress

    from sr_lightning.inference.jobs import find_jobs, upscale_file
    from sr_lightning.inference.loading import load_upscaler

    if not cfg.input:
        raise ConfigError("input is missing: input=PICTURE, a folder, or a pattern in quotes")
    jobs = find_jobs(cfg)
    upscaler = load_upscaler(cfg)
    jobs = [job for job in jobs if len(jobs) == 1 or upscaler.takes(job.source)]
    written: list[Path] = []
    failed: list[str] = []
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # for uploads, which these files are not
    try:
        with Progress(console=Console(stderr=True)) as progress:
            for job in jobs:
                bar = progress.add_task(job.source.name, total=1.0)
                show = partial(_show, progress, bar)
                try:
                    written += upscale_file(job, upscaler, cfg, show)
                except (DataError, CheckpointError, MemoryError) as error:
                    failed.append(_sentence(job.source, error))
                    progress.remove_task(bar)
    finally:  # what was written before Ctrl-C, too
        Image.MAX_IMAGE_PIXELS = limit
        for path in written:
            print(path)
    if failed:
        raise SRError("\n  ".join([f"{len(failed)} of {len(jobs)} pictures could not be enlarged:", *failed]))
    return written


def _sentence(source: Path, error: Exception) -> str:
    if isinstance(error, PictureError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{source}: there is not enough memory for the result{f' ({error})' if str(error) else ''}"
    return f"{source}: {error}"


def _show(progress: Progress, bar: TaskID, done: float) -> None:
    progress.update(bar, completed=done)


def main() -> None:
    """Entry point of ``sr-upscale``."""
    run(upscale, "upscale")


if __name__ == "__main__":
    main()
