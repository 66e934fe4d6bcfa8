"""The figure of every paper: a picture with a box, and what each method makes of the detail in it."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.data.files.io import read_picture, to_uint8
from sr_lightning.errors import ConfigError, PictureError
from sr_lightning.evaluation.crops import window_with_most_error
from sr_lightning.reports.collect import Run
from sr_lightning.reports.sections import Method, Section

Pixels = NDArray[np.uint8]

#: Pixels: longer side of the overview and of a crop, which would else make the page heavy.
OVERVIEW, CROP = 720, 256


@dataclass(frozen=True)
class Panel:
    """A crop as a data URI, the method's name and its scores of the whole picture."""

    label: str
    scores: dict[str, float]
    uri: str


@dataclass(frozen=True)
class Figure:
    """The whole picture as a data URI, its size and the box ``(left, top, width, height)`` in its pixels."""

    name: str
    uri: str
    size: tuple[int, int]
    box: tuple[int, int, int, int]
    panels: list[Panel]


def picture_names(section: Section) -> dict[str, list[Method]]:
    """``set/picture`` of every scored picture that was saved, and the methods that saved it."""
    found: dict[str, list[Method]] = {}
    for method in section.methods:
        names = {f"{s}/{p}" for r in method.runs for s, v in r.values.items() for x in v.values() for p in x}
        for name in sorted(names):
            if _saved(method, name):
                found.setdefault(name, []).append(method)
    return found


def most_different_picture(section: Section) -> str | None:
    """The saved picture that most methods share, and on which their PSNR differs most."""

    def spread(item: tuple[str, list[Method]]) -> tuple[int, float]:
        name, methods = item
        set_name, picture = name.split("/", 1)
        values = [m.scores(set_name, "psnr").get(picture, np.nan) for m in methods]
        finite = [v for v in values if np.isfinite(v)]
        return len(methods), max(finite) - min(finite) if finite else 0.0

    return max(picture_names(section).items(), key=spread, default=(None, []))[0]


def make_figure(section: Section, name: str, box: Sequence[int] | None = None) -> tuple[Figure, list[str]]:
    """The figure of a picture that ``picture_names`` lists, and notes on what it lacks.

    Args:
        section: Methods to compare.
        name: ``set/picture``.
        box: Left, top, width and height of the detail; by default where the best and the worst method differ most.

    Raises:
        ConfigError: If the box is not inside the picture.
    """
    notes: list[str] = []
    methods: list[tuple[str, dict[str, float], Pixels]] = []
    set_name, picture = name.split("/", 1)
    for method in picture_names(section)[name]:
        run, path = _saved(method, name) or (method.runs[0], Path())
        try:
            pixels = _read(path)
        except PictureError as error:
            notes.append(f"{section.title}: {str(error).replace(str(run.folder), run.shown)}")
            continue
        if methods and pixels.shape != methods[0][2].shape:
            notes.append(f"{section.title}: the {name} of {method.label} has another size and is left out")
            continue
        scores = {metric: v[picture] for metric, v in run.values[set_name].items() if picture in v}
        methods.append((method.label, scores, pixels))
    if not methods:
        raise PictureError(f"{name}: no saved picture of it can be read")
    height, width = methods[0][2].shape[:2]
    left, top, w, h = _box(box, name, [(_psnr(scores), pixels) for _, scores, pixels in methods])
    truth = _truth(section, name, (height, width))
    if truth is None:
        notes.append(f"{section.title}: no truth of {name} beside its pictures; evaluate again with save_images=true")
    shown = [*([("HR", {}, truth)] if truth is not None else []), *methods]
    overview = max(methods, key=lambda m: _psnr(m[1]))[2] if truth is None else truth
    panels = [Panel(label, s, _uri(pixels[top : top + h, left : left + w], CROP)) for label, s, pixels in shown]
    return Figure(name, _uri(overview, OVERVIEW, "WEBP"), (width, height), (left, top, w, h), panels), notes


def _saved(method: Method, name: str) -> tuple[Run, Path] | None:
    """The first run of a method that saved a picture, and the file."""
    set_name, picture = name.split("/", 1)
    runs = (run for run in method.runs if set_name in run.values)
    return next(((run, path) for run in runs if (path := _picture(run, set_name, f"{picture}.png"))), None)


def _picture(run: Run, *parts: str) -> Path | None:
    """A file of a run's pictures, if it is there; names in result files of others may lead out of the run folder."""
    path = run.folder.joinpath("pictures", *parts)
    try:
        inside = path.resolve().is_relative_to(run.folder.resolve())
        return path if inside and path.is_file() else None
    except (OSError, ValueError):  # names that no file can have
        return None


def _psnr(scores: dict[str, float]) -> float:
    """For comparisons: nan, as of a network that diverged, is worst."""
    value = scores.get("psnr", 0.0)
    return -np.inf if np.isnan(value) else value


def _truth(section: Section, name: str, size: tuple[int, int]) -> Pixels | None:
    """HR as any run of the section saved it, cropped at the right and bottom as every protocol does."""
    set_name, picture = name.split("/", 1)
    for run in (run for method in section.methods for run in method.runs):
        path = _picture(run, set_name, "hr", f"{picture}.png")
        try:
            pixels = _read(path)[: size[0], : size[1]] if path else None
        except PictureError:
            continue
        if pixels is not None and pixels.shape[:2] == size:
            return pixels
    return None


def _box(box: Sequence[int] | None, name: str, methods: list[tuple[float, Pixels]]) -> tuple[int, int, int, int]:
    height, width = methods[0][1].shape[:2]
    if box is not None:
        left, top, w, h = box
        if left + w > width or top + h > height:
            raise ConfigError(f"box={list(box)}: reaches out of {name}, which has {width}x{height} pixels")
        return left, top, w, h
    best, worst = (choose(methods, key=lambda m: m[0])[1] for choose in (max, min))
    size = min(height, width, max(24, min(height, width) // 5))
    if best is worst:
        return (width - size) // 2, (height - size) // 2, size, size
    error = torch.from_numpy(best.astype(np.float32) - worst.astype(np.float32)).permute(2, 0, 1)[None]
    top, left = window_with_most_error(error, size)
    return left, top, size, size


def _read(path: Path) -> Pixels:
    """RGB, whatever the file holds."""
    pixels = to_uint8(read_picture(path))
    return pixels if pixels.shape[-1] == 3 else np.repeat(pixels[..., :1], 3, axis=-1)


def _uri(pixels: Pixels, limit: int, form: str = "PNG") -> str:
    image = Image.fromarray(pixels)
    if max(image.size) > limit:
        image.thumbnail((limit, limit), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": 88, "method": 6} if form == "WEBP" else {"optimize": True}
    image.save(buffer, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
