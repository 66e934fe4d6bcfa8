"""Patch pairs per second of every data mode, with 0, 1 and 2 loader processes.

    SR_DATA=FOLDER python benchmarks/loaders.py [--output benchmarks/loaders.md]

All modes read T91 at scale 2: 16 pairs of HR 48x48 in a batch, flips and turns, up to the batch that training receives.
Modes and numbers of workers take turns; medians over the rounds, without the start of the processes.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from sr_lightning.config import build, compose
from sr_lightning.prepare import prepare

WORKERS, ROUNDS, BATCHES, WARMUP = (0, 1, 2), 5, 60, 10


def modes(data: Path, folder: Path) -> dict[str, list[str]]:
    """Overrides of each mode; makes the files that it reads."""
    t91, set5 = data / "T91", data / "Set5"
    window = ["use_h5py=true", "width=48", "height=48", "stride=24", "upscale_factor=2"]
    prepare(compose("prepare", [f"input={t91}", f"output={folder / 't91.h5'}", *window]))
    shards = [f"shards={folder / 'shards'}", "shard_size=20"]
    prepare(compose("prepare", ["data=folder", f"data.hr_dir={t91}", f"data.val_hr_dir={set5}", *shards]))
    pairs = [{"HR": str(path)} for path in sorted(t91.glob("*.png"))]
    (folder / "t91.json").write_text(json.dumps(pairs))
    whole = ["data=folder", f"data.hr_dir={t91}", f"data.val_hr_dir={set5}"]
    return {
        "folder: pictures in the store": whole,
        "pair_list: the same": ["data=pair_list", f"data.train_list={folder / 't91.json'}"],
        "mixture: T91 and BSD200": ["data=t291", f"data_dir={data}"],
        "hdf5: patches cut before": ["data=hdf5", f"data.file={folder / 't91.h5'}"],
        "shards: pictures streamed from tar files": [
            "data=shards",
            f"data.urls={folder / 'shards'}",
            f"data.val_hr_dir={set5}",
        ],
        "folder, degradation=bd: LR made beforehand": [*whole, "degradation=bd"],
        "folder, degradation=realesrgan: LR made of each patch": [*whole, "degradation=realesrgan"],
    }


def loader(overrides: list[str], workers: int) -> Any:
    sizes = ["data.patch_size=48", "data.batch_size=16", "data.batches_per_epoch=100000"]
    data = build(compose("train", [*overrides, *sizes, f"data.num_workers={workers}"]).data)
    data.prepare_data()
    data.setup("fit")
    return data.train_dataloader()


def rate(batches: Iterator[Any], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        next(batches)
    return 16 * count / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SR_CACHE"] = str(folder / "cache")
        rates: dict[tuple[str, int], list[float]] = {}
        every = modes(Path(os.environ["SR_DATA"]), folder)
        for _ in range(ROUNDS):
            for mode, overrides in every.items():
                for workers in WORKERS:
                    count = BATCHES // 10 if "realesrgan" in mode else BATCHES
                    batches = iter(loader(overrides, workers))
                    rate(batches, WARMUP // 5 if "realesrgan" in mode else WARMUP)
                    rates.setdefault((mode, workers), []).append(rate(batches, count))
                    del batches
    lines = ["| mode | 0 workers | 1 worker | 2 workers |", "|---|---|---|---|"]
    for mode in every:
        cells = [f"{statistics.median(rates[mode, workers]):,.0f}" for workers in WORKERS]
        lines.append(f"| {mode} | {' | '.join(cells)} |")
    head = "Pairs of patches a second, LR 24x24 and HR 48x48, of T91 at scale 2: medians of "
    machine = f"{ROUNDS} rounds in turn, {os.cpu_count()} CPU cores ({platform.machine()}), torch {torch.__version__}."
    table = "\n".join([head + machine, "Made by `python benchmarks/loaders.py`.", "", *lines, ""])
    print(table)
    if arguments.output:
        arguments.output.write_text(table)


if __name__ == "__main__":
    main()
