"""Checks one pair of pictures: its faults, and how LR was made from HR."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.data.patches.levels import levels_of, pillow_resized, same_depth, to_float, to_levels
from sr_lightning.functional import imresize
from sr_lightning.functional.levels import rounded

Pixels = NDArray[Any]  # (H, W, C), uint8 or uint16

MATLAB = "MATLAB bicubic"
#: A shift of the LR picture by more of its own pixels than this is a sampling grid that lies wrong.
LARGEST_SHIFT = 0.1
#: An LR picture that correlates less than this with the shrunken HR picture shows something else.
LEAST_ALIKE = 0.8


@dataclass
class SetReport:
    """The findings in one set.

    Attributes:
        name: ``training`` or the name of a validation set.
        pictures: Number of HR pictures.
        sizes: Smallest and largest HR ``(height, width)`` by area.
        lr: How LR pictures were made, in words.
        problems: One sentence each.
        kind: What the set has: pictures or patches.
        unchecked: Why the set could not be looked at.
    """

    name: str
    pictures: int = 0
    sizes: tuple[tuple[int, int], tuple[int, int]] | None = None
    lr: str = ""
    problems: list[str] = field(default_factory=list)
    kind: str = "pictures"
    unchecked: str = ""


@dataclass
class Checked:
    """The findings in one pair of pictures.

    Attributes:
        size: Height and width of HR.
        digest: Hash of HR's pixels.
        problem: A fault, in words.
        lr_error: RMS distance of LR to MATLAB's, in levels of 255.
        lr_shift: Rows and columns by which LR lies after MATLAB's.
        origin: The nearest way of shrinking, and its PSNR.
    """

    size: tuple[int, int]
    digest: bytes
    problem: str = ""
    lr_error: float = float("nan")
    lr_shift: tuple[float, float] = (0.0, 0.0)
    origin: tuple[str, float] | None = None


def check_pair(hr: Pixels, lr: Pixels | None, scale: int, lr_name: object, try_ways: bool) -> Checked:
    """Checks an HR picture, and its LR picture if it has one.

    Args:
        hr: ``(H, W, C)``.
        lr: ``(H // scale, W // scale, C)``, or what was taken for it.
        scale: Whole factor between the two.
        lr_name: What sentences call the LR picture.
        try_ways: Whether to find the way of shrinking that comes nearest, which takes time.
    """
    height, width = hr.shape[:2]
    checked = Checked((height, width), hashlib.sha256(repr(hr.shape).encode() + hr.tobytes()).digest())
    if min(height, width) < scale:
        checked.problem = f"{height}x{width} pixels are too few for scale {scale}"
    elif (hr == hr[0, 0]).all():
        checked.problem = "every pixel has the same value"
    elif lr is not None:
        hr, lr = same_depth([hr, lr])
        _compare(checked, hr, lr, scale, lr_name, try_ways)
    return checked


def _compare(checked: Checked, hr: Pixels, lr: Pixels, scale: int, lr_name: object, try_ways: bool) -> None:
    """Records how far the LR picture is from MATLAB's reduction of ``hr``."""
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    if lr.shape[:2] != (height, width):
        checked.problem = (
            f"has {hr.shape[0]}x{hr.shape[1]} pixels and {lr_name} {lr.shape[0]}x{lr.shape[1]}; "
            f"scale {scale} needs {height}x{width}"
        )
        return
    if lr.shape[2] != hr.shape[2]:
        checked.problem = f"has {hr.shape[2]} channels and {lr_name} {lr.shape[2]}"
        return
    expected = measure(checked, hr[: height * scale, : width * scale], lr, scale, try_ways)
    if checked.lr_error and not nearly_equal(lr, expected):
        checked.problem = f"{lr_name} is {_psnr(lr, expected):.1f} dB from {MATLAB} of it: another picture?"
        checked.lr_shift = (0.0, 0.0)


def measure(checked: Checked, hr: Pixels, lr: Pixels, scale: int, try_ways: bool, border: int = 0) -> Pixels:
    """Records distance, shift and origin of LR, without that many pixels at each border.

    Returns:
        MATLAB's LR picture, of the same size.
    """

    def inner(picture: Pixels) -> Pixels:
        return picture[border : picture.shape[0] - border, border : picture.shape[1] - border]

    lr, expected = inner(lr), inner(WAYS[MATLAB](hr, scale))
    checked.lr_error = float(np.sqrt(np.mean((lr.astype(float) - expected) ** 2))) * 255 / levels_of(lr.dtype)
    if checked.lr_error == 0:
        checked.origin = (MATLAB, float("inf"))
    else:
        if try_ways:
            quality = {way: _psnr(lr, inner(make(hr, scale))) for way, make in WAYS.items()}
            checked.origin = max(quality.items(), key=lambda item: item[1])
        checked.lr_shift = shift(lr, expected)
    return expected


def nearly_equal(a: Pixels, b: Pixels) -> bool:
    """Whether two pictures show the same. Flat pictures do."""
    if a.min() == a.max() or b.min() == b.max():
        return True
    return bool(np.corrcoef(a.ravel(), b.ravel())[0, 1] >= LEAST_ALIKE)


def judge_lr(checked: Sequence[Checked]) -> tuple[str, list[str]]:
    """Says how the LR pictures of a set were made, and what is wrong with that."""
    compared = [result for result in checked if not math.isnan(result.lr_error)]
    if not compared:
        return "", []
    worst = max(result.lr_error for result in compared)
    if worst == 0:
        return f"equal to {MATLAB} of HR in every pixel", []
    mean = float(np.mean([result.lr_error for result in compared]))
    words = f"{mean:.2f} levels (RMS) from {MATLAB} of HR, at worst {worst:.2f}"
    origins = [result.origin for result in compared if result.origin]
    if origins:
        way = max({origin[0] for origin in origins}, key=[origin[0] for origin in origins].count)
        values = [quality for name, quality in origins if name == way]
        if any(quality < np.inf for quality in values):
            words += f"; nearest to {way} ({np.mean([v for v in values if v < np.inf]):.1f} dB)"
        else:
            some = "" if len(values) == len(origins) else f"{len(values)} of {len(origins)} "
            words += f"; {some}equal to {way}"
    rows, columns = np.median([result.lr_shift for result in compared], axis=0)
    if max(abs(rows), abs(columns)) <= LARGEST_SHIFT:
        return words, []
    return words, [
        f"the LR pictures are shifted by {rows:+.2f} rows and {columns:+.2f} columns (of LR) against {MATLAB} "
        "of HR: networks trained on them shift every picture back"
    ]


def _psnr(a: Pixels, b: Pixels) -> float:
    error = float(np.mean((a.astype(float) - b) ** 2))
    return float(10 * np.log10(levels_of(a.dtype) ** 2 / error)) if error else float("inf")


def shift(picture: Pixels, reference: Pixels) -> tuple[float, float]:
    """The shift of a picture against the reference, in rows and columns, by least squares on gradients."""
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
        image = to_float(hr).permute(2, 0, 1)
        small = imresize(image, 1 / scale, edge=edge, rounding=rounding if hr.dtype == np.uint8 else "none")
        return to_levels(rounded(small, levels_of(hr.dtype)).permute(1, 2, 0), hr.dtype)

    return make


def _pillow(hr: Pixels, scale: int) -> Pixels:
    size = hr.shape[0] // scale, hr.shape[1] // scale
    return pillow_resized(hr.transpose(2, 0, 1), size, Image.Resampling.BICUBIC).transpose(1, 2, 0)


def _opencv(how: int) -> Callable[[Pixels, int], Pixels]:
    def make(hr: Pixels, scale: int) -> Pixels:
        small: Any = cv2.resize(hr, (hr.shape[1] // scale, hr.shape[0] // scale), interpolation=how)
        return np.asarray(small.reshape(*small.shape[:2], -1), dtype=hr.dtype)

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
    # Nearest neighbour of MATLAB and Pillow; at even scales the later one of the two in the middle.
    "the middle of every few pixels": lambda hr, scale: hr[scale // 2 :: scale, scale // 2 :: scale],
}
