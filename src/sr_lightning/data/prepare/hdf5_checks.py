"""Checks the patches of an HDF5 file: reads all of them, and compares some."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_lightning.atomic import AnyPath
from sr_lightning.data.patches.levels import to_levels
from sr_lightning.data.prepare.pair_checks import (
    LARGEST_SHIFT,
    Checked,
    Pixels,
    SetReport,
    judge_lr,
    measure,
    nearly_equal,
    shift,
)
from sr_lightning.data.sets.hdf5 import HDF5Store, open_patches, opened
from sr_lightning.errors import DataError

SAMPLE = 256  # pairs that are compared
BORDER = 2  # LR pixels at the border of a patch that were made with pixels that it lacks
_BLOCK = 2**24  # bytes read at a time


def check_hdf5(name: str, file: AnyPath, scale: int, value_range: float | None) -> SetReport:
    """Reads a whole file, and compares the LR of patches from all of its parts with their HR.

    Args:
        name: Of the report.
        file: The HDF5 file.
        scale: Whole factor between LR and HR.
        value_range: Largest value of floating-point patches; None finds out by looking.
    """
    file = Path(file)
    report = SetReport(name, kind="patches")
    try:
        stores = open_patches(file, scale, value_range)
        lr, hr = stores["lr"], stores["hr"]
        report.pictures = len(hr)
        report.sizes = hr.shapes[0][1:], hr.shapes[0][1:]
        for store in {store.key: store for store in stores.values()}.values():
            _read(report, store, is_hr=store.key == hr.key)
        if report.problems:
            return report
        chosen = np.unique(np.linspace(0, len(hr) - 1, SAMPLE).round().astype(int)).tolist()
        pairs = [(_pixels(hr[index]), _pixels(lr[index])) for index in chosen]
    except DataError as error:
        report.problems.append(str(error))
        return report
    if len({store.shapes[0][0] for store in stores.values()}) > 1:
        report.problems.append(f"{file}: lr and hr differ in their number of channels")
    elif pairs[0][0].shape == pairs[0][1].shape and scale > 1:
        _judge_enlarged(report, file, pairs)
    elif min(lr.shapes[0][1:]) > 2 * BORDER:
        _judge(report, file, pairs, scale)
    else:
        report.lr = f"not compared, because patches of {lr.shapes[0][1]}x{lr.shapes[0][2]} are too small for it"
    return report


def _read(report: SetReport, store: HDF5Store, is_hr: bool) -> None:
    from rich.progress import track

    flat = broken = 0
    with opened(store.file) as content:
        data = content[store.key]
        step = max(1, _BLOCK // (int(np.prod(data.shape[1:])) * data.dtype.itemsize))
        for start in track(range(0, len(data), step), description=f"verifying {report.name}, {store.key}"):
            block = data[start : start + step].reshape(min(step, len(data) - start), -1)
            broken += int((~np.isfinite(block)).any(axis=1).sum()) if block.dtype.kind == "f" else 0
            flat += int((block == block[:, :1]).all(axis=1).sum())
    place = f"{store.file}: {store.key}"
    if broken:
        report.problems.append(f"{place}: {broken} of {len(data)} patches have values that are no finite numbers")
    # Skies and borders are flat, and every set of small patches has some.
    if is_hr and flat > len(store) / 2:
        report.problems.append(f"{place}: {flat} of {len(store)} patches have the same value in every pixel")


def _pixels(picture: NDArray[Any]) -> Pixels:
    """``(C, H, W)`` in whatever type to ``(H, W, C)`` in 8 or 16 bit."""
    if picture.dtype == np.float32:
        picture = to_levels(torch.from_numpy(picture), np.uint8)
    return np.ascontiguousarray(picture.transpose(1, 2, 0))


def _judge(report: SetReport, file: Path, pairs: list[tuple[Pixels, Pixels]], scale: int) -> None:
    results: list[Checked] = []
    expected = []
    for hr, lr in pairs:
        results.append(Checked((hr.shape[0], hr.shape[1]), b""))
        expected.append(measure(results[-1], hr, lr, scale, True, BORDER))
    inner = [lr[BORDER:-BORDER, BORDER:-BORDER] for _, lr in pairs]
    if not nearly_equal(np.stack(inner), np.stack(expected)):
        report.problems.append(f"{file}: lr and hr do not show the same; were they put in different orders?")
        return
    words, problems = judge_lr(results)
    report.lr = f"{words} (compared in {len(pairs)} patches)"
    report.problems += problems


def _judge_enlarged(report: SetReport, file: Path, pairs: list[tuple[Pixels, Pixels]]) -> None:
    hr, lr = (np.stack(pictures) for pictures in zip(*pairs, strict=True))
    report.lr = f"enlarged beforehand (compared in {len(pairs)} patches)"
    if np.array_equal(hr, lr):
        report.problems.append(f"{file}: lr and hr are the same pictures")
    elif not nearly_equal(lr, hr):
        report.problems.append(f"{file}: lr and hr do not show the same; were they put in different orders?")
    else:
        rows, columns = np.median([shift(small, large) for large, small in pairs], axis=0)
        if max(abs(rows), abs(columns)) > LARGEST_SHIFT:
            report.problems.append(f"{file}: lr lies {rows:+.2f} rows and {columns:+.2f} columns after hr")
