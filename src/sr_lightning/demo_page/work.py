"""What the page does with a picture: check it, show it, enlarge it as ``upscale`` does."""

import os
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from PIL import Image

from sr_lightning.data.files.io import Photo, to_uint8
from sr_lightning.data.files.metadata import Metadata
from sr_lightning.data.files.pages.reading import pages_of, read_page
from sr_lightning.data.files.pages.writing import ending_of
from sr_lightning.data.files.png_chunks import is_srgb
from sr_lightning.data.files.raw import camera_rendering, is_raw
from sr_lightning.data.files.writing import write_photo
from sr_lightning.demo_page.networks import Network
from sr_lightning.errors import ConfigError
from sr_lightning.inference.files.enlarging import upscale_file
from sr_lightning.inference.files.targets import Job
from sr_lightning.inference.files.uploads import TIMES, check_result, check_upload, page_sizes
from sr_lightning.inference.sizes import wanted_size

VIEW_MEGAPIXELS = 12  # what the slider shows of larger results: phones decode no more
PREVIEW = 1600  # pixels, larger side


@dataclass(frozen=True)
class Result:
    """What the page shows: the file to download, two pictures of one size, what was measured, and what went wrong."""

    target: Path
    before: Path
    after: Path
    facts: list[str]
    problems: Sequence[str] = ()


def preview(path: Path, folder: Path) -> Path:
    """A small picture of an upload, for browsers that know neither RAW nor TIFF; of an animation, itself."""
    pages = None if is_raw(path) else pages_of(path)
    if pages and pages.animated:
        return Path(shutil.copy(path, folder / f"preview_{time.time_ns()}{ending_of(pages)}"))
    photo = Photo(camera_rendering(path, bits=8, half_size=True)) if is_raw(path) else read_page(path)
    height, width = photo.pixels.shape[:2]
    shrink = min(1.0, PREVIEW / max(height, width))
    return _view(photo, (max(1, round(height * shrink)), max(1, round(width * shrink))), folder, "preview")


def enlarge(
    source: Path,
    folder: Path,
    network: Network,
    bicubic: Network,
    cfg: DictConfig,
    on_progress: Callable[[float], None],
    *,
    name: str,
    scale: int,
    wanted: str | None = None,
    ensemble: bool = False,
    ending: str | None = None,
) -> Result:
    """Enlarges an upload as ``upscale`` does, and makes the pictures of the slider.

    Args:
        source: The upload.
        folder: For everything that is written.
        network: The network.
        bicubic: What the slider compares it with.
        cfg: Of ``demo``, with the limits.
        on_progress: Told which share is done; may raise to stop.
        name: Of the network, for the facts.
        scale: One of the network's.
        wanted: Nothing, a factor, or WIDTHxHEIGHT.
        ensemble: Average eight flips and turns.
        ending: Of the result; None for that of the upload.

    Raises:
        SRError: If the picture or an option cannot be used, or a limit is exceeded.
    """
    height, width = check_upload(source, cfg)
    if ending == "gif" and not page_sizes(source):
        raise ConfigError(f"{source}: holds one picture, and GIF is for animations; choose another file type.")
    how = "mean" if ensemble else None
    asked = _size(wanted)
    options = network.with_options(scale=scale, ensemble=how, format=ending, overwrite=True, **asked)
    upscaler = network.upscaler(scale, how, **asked)
    size = wanted_size(height, width, upscaler.model.scale, options.factor, options.size)
    check_result(source, size, upscaler.model.scale, options, cfg.max_megapixels)
    on_progress(0)
    begin = time.perf_counter()
    (target,) = upscale_file(Job(source, folder), upscaler, options, partial(_at_work, source, on_progress))
    seconds = time.perf_counter() - begin
    after = read_page(target)
    size = after.pixels.shape[:2]
    photo = Photo(camera_rendering(source, bits=8)) if is_raw(source) else read_page(source)
    shrink = min(1.0, (VIEW_MEGAPIXELS * 1e6 / (size[0] * size[1])) ** 0.5)
    shown = max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink))
    before = bicubic.upscaler(scale).photo(photo, size=shown, bits=8)
    found = pages_of(target)
    megapixels = sum(rows * columns for rows, columns in (found.sizes if found else [size])) / 1e6
    facts = [
        f"{width} {TIMES} {height} → {size[1]} {TIMES} {size[0]}",
        *([f"{found.count} {found.word}s, the first is shown"] if found else []),
        f"{after.pixels.dtype.itemsize * 8} bit {target.suffix.lstrip('.').upper()}",
        f"{seconds:.1f} s",
        f"{megapixels / seconds:.2g} megapixels/s",
        f"{name} {TIMES}{upscaler.model.scale}",
        str(upscaler.autocast or "float32").removeprefix("torch."),
        *([upscaler.noted] if upscaler.noted else []),
    ]
    return Result(target, _view(before, shown, folder, "before"), _view(after, shown, folder, "after"), facts)


def packed(results: list[Result], target: Path, problems: Sequence[str]) -> Result:
    """One ZIP of all results, which shows the first; files of one name are numbered."""
    seen: Counter[str] = Counter()
    with zipfile.ZipFile(target, "w") as archive:  # stored: pictures are compressed
        for result in results:
            path = result.target
            seen[path.name] += 1
            number = f"_{seen[path.name]}" if seen[path.name] > 1 else ""
            archive.write(path, f"{path.stem}{number}{path.suffix}")
    facts = [f"{len(results)} pictures", f"shown: {results[0].target.name}", *results[0].facts]
    return Result(target, results[0].before, results[0].after, facts, problems)


def _at_work(source: Path, on_progress: Callable[[float], None], done: float) -> None:
    """Keeps an upload from growing too old while it is needed."""
    with suppress(FileNotFoundError):
        os.utime(source)
    on_progress(done)


def _size(wanted: str | None) -> dict[str, Any]:
    """``factor`` or ``size`` of ``upscale`` from what was typed."""
    wanted = (wanted or "").strip().lower().replace(TIMES, "x").replace(",", ".").removesuffix("x")
    if not wanted or "x" in wanted:
        return {"size": wanted or None, "factor": None}
    try:
        return {"factor": float(wanted), "size": None}
    except ValueError:
        raise ConfigError(f"{wanted}: must be a factor such as 2.5, or a size such as 3840x2160") from None


def _view(photo: Photo, size: tuple[int, int], folder: Path, name: str) -> Path:
    """Writes what a browser shows, in the same colours: JPEG, or PNG for opacity and colours it cannot name."""
    metadata = Metadata(icc=photo.metadata.icc, chunks=photo.metadata.chunks)
    ending = ".jpg" if photo.alpha is None and (metadata.icc or is_srgb(metadata.chunks)) else ".png"
    target = folder / f"{name}_{time.time_ns()}{ending}"  # browsers do not load twice what has the same name
    shown = replace(
        photo,
        pixels=_reduced(photo.pixels, size),
        alpha=None if photo.alpha is None else _reduced(photo.alpha, size),
        metadata=metadata,
    )
    write_photo(target, shown)
    return target


def _reduced(pixels: Any, size: tuple[int, int]) -> Any:
    eight = to_uint8(pixels)
    if eight.shape[:2] == size:
        return eight
    image = Image.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight)
    return np.asarray(image.resize(size[::-1], Image.Resampling.LANCZOS)).reshape(*size, -1)
