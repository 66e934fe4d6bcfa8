"""``python -m sr_lightning.data.srraw.statistics FOLDER``: where enlarging fails, the reason for SRNet's second task.

FOLDER has ``LR`` and ``HR``, as ``SRRAW/X4/train``.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.data.files.io import read_picture, to_uint8
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.data.srraw.labels import residual
from sr_lightning.errors import ConfigError, DataError, SRError


def residual_counts(folder: AnyPath) -> NDArray[np.int64]:
    """How many samples have each value 0...255 of ``|HR - bicubic(LR)|``, over all pairs and colours of a folder.

    Raises:
        DataError: If pictures are missing or cannot be used.
    """
    folder = Path(folder)
    from rich.progress import track

    pairs = Pictures.in_folders(folder / "HR", folder / "LR")
    counts = np.zeros(256, dtype=np.int64)
    for paths in track(list(zip(pairs.hr, pairs.lr or (), strict=True)), description="comparing"):
        hr, lr = (to_uint8(read_picture(path)) for path in paths)
        if hr.shape[-1] != lr.shape[-1]:
            raise DataError(f"{paths[0]}: has {hr.shape[-1]} channels, its LR picture {lr.shape[-1]}")
        counts += np.bincount(residual(hr, lr).ravel(), minlength=256)
    return counts


def proportions(counts: NDArray[np.int64], bins: int = 10, upper: int = 256) -> list[tuple[float, float, float, float]]:
    """Equal bins of the residual: its bounds, the share of samples in it, and their share of the whole residual.

    Args:
        counts: Of each value 0...255.
        bins: Their number.
        upper: End of the last but for what lies above, which it counts too.

    Example:
        >>> counts = np.bincount([0, 0, 0, 200], minlength=256)
        >>> proportions(counts, bins=2)
        [(0.0, 128.0, 0.75, 0.0), (128.0, 256.0, 0.25, 1.0)]
    """
    if not (bins >= 1 and 1 <= upper <= 256):
        raise ConfigError(f"bins={bins} upper={upper}: there must be a bin or more, up to a value of 1 to 256")
    edges = np.linspace(0, upper, bins + 1)
    values = np.arange(256)
    which = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
    samples = np.bincount(which, counts, bins) / max(counts.sum(), 1)
    error = np.bincount(which, counts * values, bins) / max((counts * values).sum(), 1)
    rows = zip(edges[:-1], edges[1:], samples, error, strict=True)
    return [(float(a), float(b), float(c), float(d)) for a, b, c, d in rows]


def plot(rows: Sequence[tuple[float, float, float, float]], path: AnyPath) -> None:
    """Both shares as bars, logarithmically."""
    path = Path(path)
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("--plot needs matplotlib: pip install matplotlib") from None

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for i, label in ((2, "of all samples"), (3, "of the whole residual")):
        width = (rows[0][1] - rows[0][0]) * 0.45
        axes.bar([row[0] + (i - 2) * width for row in rows], [row[i] for row in rows], width, align="edge", label=label)
    axes.set(xlabel="|HR - bicubic(LR)|", ylabel="proportion", yscale="log")
    axes.legend()
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m sr_lightning.data.srraw.statistics", description=__doc__)
    parser.add_argument("folder", type=Path, help="has LR and HR")
    parser.add_argument("--bins", type=int, default=10)
    parser.add_argument("--upper", type=int, default=256, help="end of the last bin, which counts what lies above too")
    parser.add_argument("--plot", type=Path, help="picture file for a diagram")
    args = parser.parse_args(argv)
    try:
        rows = proportions(residual_counts(args.folder), args.bins, args.upper)
        print(f"{'|HR - bicubic(LR)|':<20}{'samples':>10}{'residual':>10}")
        for low, high, samples, error in rows:
            print(f"{f'{low:g} to below {high:g}':<20}{samples:>10.2%}{error:>10.2%}")
        if args.plot:
            plot(rows, args.plot)
    except SRError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
