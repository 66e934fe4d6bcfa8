"""Checks a data set before days are spent on it: files, pairs, sizes, repeats, and where LR pictures come from."""

import hashlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.data.io import read_picture, to_uint8
from sr_lightning.data.module import PictureDataModule
from sr_lightning.data.pictures import Pictures
from sr_lightning.errors import DataError, PictureError
from sr_lightning.functional import imresize

Pixels = NDArray[np.uint8]  # (H, W, C)

MATLAB = "MATLAB bicubic"
#: A shift of the LR picture by more of its own pixels than this is a sampling grid that lies wrong.
LARGEST_SHIFT = 0.1
#: An LR picture that correlates less than this with the shrunken HR picture shows something else.
LEAST_ALIKE = 0.8
_TRIED = 5  # pictures on which other ways of shrinking are tried


@dataclass
class SetReport:
    """What was found in one set.

    Attributes:
        name: ``training`` or the name of a validation set.
        pictures: Number of HR pictures.
        sizes: Smallest and largest HR ``(height, width)`` by area.
        lr: How LR pictures were made, in words.
        problems: One sentence each.
    """

    name: str
    pictures: int = 0
    sizes: tuple[tuple[int, int], tuple[int, int]] | None = None
    lr: str = ""
    problems: list[str] = field(default_factory=list)


@dataclass
class _Checked:
    size: tuple[int, int]
    digest: bytes
    problem: str = ""
    lr_error: float = float("nan")  # RMS distance to MATLAB's, in levels of 255
    lr_shift: tuple[float, float] = (0.0, 0.0)
    origin: tuple[str, float] | None = None  # the nearest way of shrinking, and its PSNR


def verify(data: PictureDataModule) -> list[SetReport]:
    """Reads every picture of a data set's training and validation parts and reports what is wrong with them.

    Damaged files, HR pictures without LR or of other sizes, flat and repeated pictures, training pictures that are
    validated on, and LR pictures that lie on another sampling grid than MATLAB's bicubic ones.

    Raises:
        DataError: If there is no picture to check.
    """
    sets: dict[str, Pictures] = {}
    reports: list[SetReport] = []
    sources: list[tuple[str, Callable[[], Any]]] = [
        ("training", data.train_pictures),
        ("validation", data.val_pictures),
    ]
    for part, pictures in sources:
        try:
            found = pictures()
        except PictureError as error:
            reports.append(SetReport(part, problems=[str(error)]))
        else:
            sets |= found if isinstance(found, dict) else {part: found} if found else {}
    if not sets and not reports:
        raise DataError(f"{type(data).__name__} is no set of picture files, so that there is nothing to verify")
    seen: dict[bytes, str] = {}
    for name, files in sets.items():
        reports.append(_report(name, files, data.scale, seen))
    return reports


def describe(reports: list[SetReport], most: int = 20) -> str:
    """The reports as text, with the first ``most`` problems of each set."""
    lines = []
    for report in reports:
        sizes = "" if report.sizes is None else ", {}x{} to {}x{} pixels".format(*report.sizes[0], *report.sizes[1])
        lines.append(f"{report.name}: {report.pictures} pictures{sizes}")
        lines += [f"  LR: {report.lr}"] if report.lr else []
        lines += [f"  problem: {text}" for text in report.problems[:most]]
        more = len(report.problems) - most
        lines += [f"  and {more} more problems"] if more > 0 else []
    total = sum(len(report.problems) for report in reports)
    return "\n".join([*lines, f"{total} problems" if total else "no problems"])


def _report(name: str, files: Pictures, scale: int, seen: dict[bytes, str]) -> SetReport:
    report = SetReport(name, len(files))
    checked = []
    for path, result in zip(files.hr, _check_all(files, scale, f"verifying {name}"), strict=True):
        if isinstance(result, str):
            report.problems.append(result)
            continue
        checked.append(result)
        if result.problem:
            report.problems.append(f"{path}: {result.problem}")
        twin = seen.setdefault(result.digest, str(path))
        if twin != str(path):
            report.problems.append(f"{path}: the same picture as {twin}")
    if checked:
        by_area = sorted((result.size for result in checked), key=lambda size: size[0] * size[1])
        report.sizes = by_area[0], by_area[-1]
    if files.lr is None:
        report.lr = f"none in the set; made by {MATLAB} x{scale}"
    else:
        _judge_lr(report, checked)
    return report


def _judge_lr(report: SetReport, checked: list[_Checked]) -> None:
    compared = [result for result in checked if not math.isnan(result.lr_error)]
    if not compared:
        return
    worst = max(result.lr_error for result in compared)
    if worst == 0:
        report.lr = f"equal to {MATLAB} of HR in every pixel"
        return
    mean = float(np.mean([result.lr_error for result in compared]))
    report.lr = f"{mean:.2f} levels (RMS) from {MATLAB} of HR, at worst {worst:.2f}"
    origins = [result.origin for result in compared if result.origin]
    if origins:
        way = max({origin[0] for origin in origins}, key=[origin[0] for origin in origins].count)
        values = [quality for name, quality in origins if name == way]
        exact = all(quality == np.inf for quality in values)
        report.lr += f"; {'equal to' if exact else 'nearest to'} {way}"
        report.lr += "" if exact else f" ({np.mean([v for v in values if v < np.inf]):.1f} dB)"
    rows, columns = np.median([result.lr_shift for result in compared], axis=0)
    if max(abs(rows), abs(columns)) > LARGEST_SHIFT:
        report.problems.append(
            f"the LR pictures are shifted by {rows:+.2f} rows and {columns:+.2f} columns (of LR) against {MATLAB} "
            "of HR: networks trained on them shift every picture back"
        )


def _check_all(files: Pictures, scale: int, what: str) -> Iterator[_Checked | str]:
    from rich.progress import track

    def check(index: int) -> _Checked | str:
        try:
            return _check(files.hr[index], files.lr[index] if files.lr else None, scale, index < _TRIED)
        except PictureError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        yield from track(pool.map(check, range(len(files))), description=what, total=len(files))


def _check(hr_path: Path, lr_path: Path | None, scale: int, try_ways: bool) -> _Checked:
    hr = to_uint8(read_picture(hr_path))
    height, width = hr.shape[:2]
    checked = _Checked((height, width), hashlib.sha256(repr(hr.shape).encode() + hr.tobytes()).digest())
    if min(height, width) < scale:
        checked.problem = f"{height}x{width} pixels are too few for scale {scale}"
    elif (hr == hr[0, 0]).all():
        checked.problem = "every pixel has the same value"
    elif lr_path is not None:
        _compare(checked, hr, lr_path, scale, try_ways)
    return checked


def _compare(checked: _Checked, hr: Pixels, lr_path: Path, scale: int, try_ways: bool) -> None:
    """Notes how far the LR picture lies from MATLAB's of ``hr``."""
    lr = to_uint8(read_picture(lr_path))
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if lr.shape[:2] != (height, width):
        checked.problem = (
            f"has {hr.shape[0]}x{hr.shape[1]} pixels and {lr_path} {lr.shape[0]}x{lr.shape[1]}; "
            f"scale {scale} needs {height}x{width}"
        )
        return
    if lr.shape[2] != hr.shape[2]:
        checked.problem = f"has {hr.shape[2]} channels and {lr_path} {lr.shape[2]}"
        return
    hr = hr[: height * scale, : width * scale]
    expected = WAYS[MATLAB](hr, scale)
    checked.lr_error = float(np.sqrt(np.mean((lr.astype(float) - expected) ** 2)))
    if checked.lr_error == 0:
        return
    if try_ways:
        checked.origin = max(((way, _psnr(lr, make(hr, scale))) for way, make in WAYS.items()), key=lambda way: way[1])
    if np.corrcoef(lr.ravel(), expected.ravel())[0, 1] < LEAST_ALIKE:
        checked.problem = f"{lr_path} is {_psnr(lr, expected):.1f} dB from {MATLAB} of it: another picture?"
    else:
        checked.lr_shift = _shift(lr, expected)


def _psnr(a: Pixels, b: Pixels) -> float:
    error = float(np.mean((a.astype(float) - b) ** 2))
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def _shift(picture: Pixels, reference: Pixels) -> tuple[float, float]:
    """Rows and columns by which the picture's content lies after the reference's: least squares on gradients."""
    if min(picture.shape[:2]) < 3:
        return 0.0, 0.0
    a, b = (x.astype(float).mean(axis=2) for x in (picture, reference))
    rows, columns = np.gradient((a + b) / 2)
    inner = (slice(1, -1), slice(1, -1))
    slopes = np.stack([rows[inner].ravel(), columns[inner].ravel()], axis=1)
    solution = np.linalg.lstsq(slopes, (b - a)[inner].ravel(), rcond=None)[0]
    return float(solution[0]), float(solution[1])


def _matlab(edge: Any, rounding: Any) -> Callable[[Pixels, int], Pixels]:
    def make(hr: Pixels, scale: int) -> Pixels:
        image = torch.from_numpy(hr.copy()).permute(2, 0, 1).double() / 255
        small = imresize(image, 1 / scale, edge=edge, rounding=rounding)
        return (small * 255).round().byte().permute(1, 2, 0).numpy()

    return make


def _pillow(hr: Pixels, scale: int) -> Pixels:
    image = Image.fromarray(hr[..., 0] if hr.shape[2] == 1 else hr)
    small = np.asarray(image.resize((hr.shape[1] // scale, hr.shape[0] // scale), Image.Resampling.BICUBIC))
    return small.reshape(*small.shape[:2], -1)


def _opencv(how: int) -> Callable[[Pixels, int], Pixels]:
    def make(hr: Pixels, scale: int) -> Pixels:
        small: Any = cv2.resize(hr, (hr.shape[1] // scale, hr.shape[0] // scale), interpolation=how)
        return np.asarray(small.reshape(*small.shape[:2], -1), dtype=np.uint8)

    return make


#: The ways in which people make LR pictures.
WAYS: dict[str, Callable[[Pixels, int], Pixels]] = {
    MATLAB: _matlab("symmetric", "per_pass"),
    "MATLAB bicubic rounded once": _matlab("symmetric", "once"),
    "MATLAB bicubic with replicated edges": _matlab("replicate", "per_pass"),
    "Pillow bicubic": _pillow,
    "OpenCV cubic": _opencv(cv2.INTER_CUBIC),
    "OpenCV area": _opencv(cv2.INTER_AREA),
    "the first of every few pixels": lambda hr, scale: hr[::scale, ::scale],
}
