"""Patch pairs per second on one core: the data module's own dataset beside decoding, HDF5 and bare memory maps.

    python benchmarks/data.py [--pictures FOLDER] [--output benchmarks/data.md]

Every way cuts random aligned LR 48x48 and HR 96x96 patches at scale 2 out of the same 24 pictures, applies one of the
eight dihedral transforms and ends with uint8 (C, H, W) copies. Ways take turns; medians over the rounds. Exit code 1
where a target is missed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import torch
from PIL import Image

from sr_lightning.data.patches.dataset import PatchDataset
from sr_lightning.data.patches.sampling import PatchSampler
from sr_lightning.data.patches.store import bicubic_store, open_store

SCALE, PATCH, BATCH, SECONDS, ROUNDS = 2, 96, 16, 0.5, 9
SMALL = PATCH // SCALE

#: Name of the rival, ratio that the store must reach.
TARGETS = {
    "PNG per patch, OpenCV": 200,
    "PNG per patch, Pillow": 200,
    "np.load(mmap_mode) per item": 3,
    "hand-written loop over an open memmap": 0.8,
}


def turned(patch: np.ndarray, op: int) -> np.ndarray:
    if op & 1:
        patch = patch[:, :, ::-1]
    if op & 2:
        patch = patch[:, ::-1]
    return patch.transpose(0, 2, 1) if op & 4 else patch


class Rivals:
    """All ways over the same pictures and the same draws; each yields patches for one batch of draws."""

    def __init__(self, dataset: PatchDataset, folder: Path) -> None:
        self.dataset = dataset
        self.folder = folder
        hr, lr = dataset.hr, dataset.lr
        with h5py.File(folder / "pictures.h5", "w") as file:
            for i in range(len(hr)):
                file[f"hr/{i}"], file[f"lr/{i}"] = hr[i], lr[i]
        for kind, store in (("hr", hr), ("lr", lr)):
            for i, picture in enumerate(store):
                np.save(folder / f"{kind}{i}.npy", picture)
                Image.fromarray(picture.transpose(1, 2, 0)).save(folder / f"{kind}{i}.png")
        self.h5 = h5py.File(folder / "pictures.h5", "r")
        self.h5_sets = {kind: [self.h5[f"{kind}/{i}"] for i in range(len(hr))] for kind in ("hr", "lr")}
        self.memmaps = {
            k: [np.load(folder / f"{k}{i}.npy", mmap_mode="r") for i in range(len(hr))] for k in ("hr", "lr")
        }

    def _batch(self, draws: np.ndarray, picture: Callable[[str, int], np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        """The loop a user would write: cut, transform, copy, one patch after the other."""
        lr = np.empty((len(draws), 3, SMALL, SMALL), np.uint8)
        hr = np.empty((len(draws), 3, PATCH, PATCH), np.uint8)
        for i, (k, y, x, op) in enumerate(draws.tolist()):
            lr[i] = turned(picture("lr", k)[:, y : y + SMALL, x : x + SMALL], op)
            y, x = y * SCALE, x * SCALE
            hr[i] = turned(picture("hr", k)[:, y : y + PATCH, x : x + PATCH], op)
        return torch.from_numpy(lr), torch.from_numpy(hr)

    def store(self, draws: np.ndarray) -> object:
        return self.dataset.__getitems__(draws)

    def memmap_loop(self, draws: np.ndarray) -> object:
        maps = self.memmaps
        return self._batch(draws, lambda kind, k: maps[kind][k])

    def memmap_crop(self, draws: np.ndarray) -> object:
        """Nothing but the bytes: no transform, no names, no tensors."""
        for k, y, x, _ in draws.tolist():
            self.memmaps["lr"][k][:, y : y + SMALL, x : x + SMALL].copy()
            self.memmaps["hr"][k][:, 2 * y : 2 * y + PATCH, 2 * x : 2 * x + PATCH].copy()
        return None

    def npy_per_item(self, draws: np.ndarray) -> object:
        return self._batch(draws, lambda kind, k: np.load(self.folder / f"{kind}{k}.npy", mmap_mode="r"))

    def h5_contiguous(self, draws: np.ndarray) -> object:
        sets = self.h5_sets
        lr = np.empty((len(draws), 3, SMALL, SMALL), np.uint8)
        hr = np.empty((len(draws), 3, PATCH, PATCH), np.uint8)
        for i, (k, y, x, op) in enumerate(draws.tolist()):
            lr[i] = turned(sets["lr"][k][:, y : y + SMALL, x : x + SMALL], op)
            hr[i] = turned(sets["hr"][k][:, 2 * y : 2 * y + PATCH, 2 * x : 2 * x + PATCH], op)
        return lr, hr

    def png_opencv(self, draws: np.ndarray) -> object:
        def decode(kind: str, k: int) -> np.ndarray:
            return cv2.imread(str(self.folder / f"{kind}{k}.png"))[..., ::-1].transpose(2, 0, 1)

        return self._batch(draws, decode)

    def png_pillow(self, draws: np.ndarray) -> object:
        def decode(kind: str, k: int) -> np.ndarray:
            return np.asarray(Image.open(self.folder / f"{kind}{k}.png")).transpose(2, 0, 1)

        return self._batch(draws, decode)

    def all(self) -> dict[str, Callable[[np.ndarray], object]]:
        return {
            "store (PatchDataset)": self.store,
            "bare memmap crop, no transform": self.memmap_crop,
            "hand-written loop over an open memmap": self.memmap_loop,
            "HDF5, contiguous, opened once": self.h5_contiguous,
            "np.load(mmap_mode) per item": self.npy_per_item,
            "PNG per patch, OpenCV": self.png_opencv,
            "PNG per patch, Pillow": self.png_pillow,
        }


def photographs(folder: Path | None, target: Path, count: int = 24) -> list[Path]:
    """Pictures of 1024x768: of a folder, else enlarged cuts of the sample photographs."""
    if folder:
        return sorted(folder.iterdir())[:count]
    from sr_lightning.data.sets.samples import Samples

    files, made = Samples().train_pictures().hr, []
    for i in range(count):
        picture = Image.open(files[i % len(files)]).convert("RGB").transpose(Image.Transpose(i // len(files) % 4))
        made.append(target / f"photo{i:02d}.png")
        picture.resize((1024, 768), Image.Resampling.BICUBIC).save(made[-1])
    return made


def rate(way: Callable[[np.ndarray], object], draws: list[np.ndarray]) -> float:
    """Pairs per second over at least SECONDS, or one pass over the draws."""
    begin, pairs = time.perf_counter(), 0
    for batch in draws:
        way(batch)
        pairs += len(batch)
        if time.perf_counter() - begin > SECONDS:
            break
    return pairs / (time.perf_counter() - begin)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        hr = open_store(photographs(options.pictures, folder), folder / "cache", channels=3)
        dataset = PatchDataset(hr, bicubic_store(hr, SCALE, folder / "cache"), SCALE, PATCH)
        sampler = PatchSampler(dataset, BATCH, 10_000)
        ways = Rivals(dataset, folder).all()
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(ROUNDS + 1):
            draws = [sampler.draw(turn, i) for i in range(4000)]
            for name, way in ways.items():
                measured = rate(way, draws if "PNG" not in name else [d[:4] for d in draws])
                if turn:  # the first round warms the page cache
                    rates[name].append(measured)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ours = rates["store (PatchDataset)"]
    lines = ["| way | pairs per second and core | store is … times as fast | target |", "|---|---|---|---|"]
    missed = 0
    for name, median in medians.items():
        ratio = statistics.median(a / b for a, b in zip(ours, rates[name], strict=True))
        target = TARGETS.get(name)
        missed += target is not None and ratio < target
        lines.append(f"| {name} | {median:,.0f} | {ratio:.2f} | {'' if target is None else f'≥ {target}'} |")
    table = "\n".join(lines)
    print(table)
    if options.output:
        options.output.write_text(f"{__doc__.split(chr(10))[0]}\n\n{table}\n")
    print(f"{missed} targets missed" if missed else "all targets reached")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
