"""Pairs of patches per second out of shards: this library, webdataset's loader, and the same pictures as a folder.

    python benchmarks/streams.py [--pictures T91] [--before CHECKOUT] [--workers 0 1 2] [--output benchmarks/streams.md]

All ways cut 8 random aligned patches of each picture, LR 24x24 and HR 48x48, apply one of the eight dihedral
transforms, and make batches of 16 as tensors of (C, H, W) uint8. Ways take turns; medians over the rounds.
``--before`` names a checkout of this repository at another commit, which is measured in the same rounds.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

SCALE, PATCH, BATCH, PER_PICTURE, SHUFFLE = 2, 48, 16, 8, 1000
SKIPPED, BATCHES, ROUNDS = 200, 300, 5
VARIANTS: dict[str, dict[str, int]] = {
    "shards": {},
    "shards, no picture stays decoded (data.pool_mb=0)": {"pool_mb": 0},
}


def rate(batches: Iterable[Any]) -> float:
    """Pairs per second, once the first batches have come."""
    begin = 0.0
    for number, batch in enumerate(batches):
        assert len(batch["name"]) == BATCH
        if number == SKIPPED:
            begin = time.perf_counter()
        if number == SKIPPED + BATCHES:
            break
    return BATCHES * BATCH / (time.perf_counter() - begin)


def cut(samples: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Patches of what webdataset has decoded, as a user would cut them."""
    import numpy as np
    import torch

    from sr_lightning.data.patches.dataset import cut as one

    generator = np.random.default_rng(torch.initial_seed())
    for sample in samples:
        hr, lr = (sample[f"{kind}.png"].transpose(2, 0, 1) for kind in ("hr", f"lr_x{SCALE}"))
        for _ in range(PER_PICTURE):
            small = PATCH // SCALE
            y, x = (int(generator.integers(side - small + 1)) for side in lr.shape[1:])
            op = int(generator.integers(8))
            patches = {"hr": np.empty((3, PATCH, PATCH), np.uint8), "lr": np.empty((3, small, small), np.uint8)}
            one(hr, y * SCALE, x * SCALE, PATCH, op, patches["hr"])
            one(lr, y, x, small, op, patches["lr"])
            yield {"name": sample["__key__"], **patches}


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    import numpy as np
    import torch

    stacks = {kind: torch.from_numpy(np.stack([sample[kind] for sample in samples])) for kind in ("hr", "lr")}
    return {"name": [sample["name"] for sample in samples], **stacks}


def webdataset_loader(shards: Path, workers: int) -> Iterable[Any]:
    import webdataset as wds

    urls = sorted(map(str, shards.glob("*.tar")))
    split: Callable[[Any], Any] = wds.split_by_worker
    stream = wds.WebDataset(urls, resampled=True, shardshuffle=False, workersplitter=split).decode("rgb8")
    stream = stream.compose(cut).shuffle(SHUFFLE).batched(BATCH, collation_fn=collate)
    loader: Iterable[Any] = wds.WebLoader(stream, batch_size=None, num_workers=workers)
    return loader


def measure(pictures: Path, folder: Path, workers_of: list[int], ours_alone: bool) -> dict[str, float]:
    """One round with the library that is on the path."""
    import cv2
    import torch

    from sr_lightning.data.sets.folder import Folder
    from sr_lightning.data.sets.shards import Shards

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    options: dict[str, Any] = {
        "patch_size": PATCH,
        "batch_size": BATCH,
        "batches_per_epoch": SKIPPED + BATCHES + 1,
        "cache_dir": folder / "cache",
    }
    own = {"patches_per_picture": PER_PICTURE, "shuffle": SHUFFLE}
    rates = {}
    for workers in workers_of:
        options["num_workers"] = workers
        for name, extra in (VARIANTS if not ours_alone else {"shards": {}}).items():
            data = Shards(SCALE, folder / "shards", pictures, **own, **extra, **options)
            rates[f"{name}/{workers}"] = rate(data.train_dataloader())
        if not ours_alone:
            rates[f"webdataset, its own loader/{workers}"] = rate(webdataset_loader(folder / "shards", workers))
            plain = Folder(SCALE, pictures, num_val=5, **options)
            plain.setup("fit")
            rates[f"folder, decoded once into the store/{workers}"] = rate(plain.train_dataloader())
    return rates


def round_of(source: Path, pictures: Path, folder: Path, workers: list[int], before: bool) -> dict[str, float]:
    """One round in a process of its own."""
    command = [sys.executable, __file__, "--pictures", str(pictures), "--round", str(folder)]
    command += ["--workers", *map(str, workers)]
    environment = {**os.environ, "PYTHONPATH": str(source / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *(["--alone"] if before else [])], env=environment, stdout=subprocess.PIPE, check=True
    )
    rates: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {f"before: {name}" if before else name: value for name, value in rates.items()}


def table(rates: dict[str, list[float]]) -> str:
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ways = list(dict.fromkeys(name.rpartition("/")[0] for name in medians))
    numbers = list(dict.fromkeys(int(name.rpartition("/")[2]) for name in medians))
    heads = [f"{n} worker{'s' * (n != 1)}" for n in numbers]
    lines = [f"| way | {' | '.join(heads)} |", "|---" * (len(numbers) + 1) + "|"]
    lines += [f"| {way} | " + " | ".join(f"{medians[f'{way}/{n}']:,.0f}" for n in numbers) + " |" for way in ways]
    return "\n".join(lines)


def ratios(rates: dict[str, list[float]]) -> str:
    """How many times as fast the shards of today are as the other ways, with most workers, in the median round."""
    words, most = [], max(int(name.rpartition("/")[2]) for name in rates)
    for name, values in rates.items():
        way, _, workers = name.rpartition("/")
        if int(workers) != most:
            continue
        found = [
            f"{statistics.median(a / b for a, b in zip(rates[f'{variant}/{workers}'], values, strict=True)):.2f}"
            for variant in VARIANTS
        ]
        words.append(f"| {way} | " + " | ".join(found) + " |")
    head = [f"| with {most} workers, as many times as fast as | shards | shards, data.pool_mb=0 |", "|---|---|---|"]
    return "\n".join([*head, *words])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=Path, default=Path(os.environ.get("SR_DATA", "data")) / "T91")
    parser.add_argument("--before", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--round", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.round:
        print(json.dumps(measure(options.pictures, options.round, options.workers, options.alone)))
        return
    from sr_lightning.data.prepare.shard_writing import write_shards
    from sr_lightning.data.sets.folder import Folder

    here, rates = Path(__file__).parents[1], dict[str, list[float]]()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_shards(Folder(SCALE, options.pictures, num_val=5, cache_dir=folder / "cache"), folder / "shards", 10)
        for number in range(options.rounds):
            found = round_of(here, options.pictures, folder, options.workers, before=False)
            if options.before:
                found |= round_of(options.before, options.pictures, folder, options.workers, before=True)
            for name, value in found.items():
                rates.setdefault(name, []).append(value)
            print(f"round {number + 1}: {found}", file=sys.stderr, flush=True)
    text = (
        f"Pairs of patches a second, LR 24x24 and HR 48x48, of {options.pictures.name} at scale 2 in shards of 10 "
        f"pictures: medians of {options.rounds} rounds in turn, {os.cpu_count()} CPU cores ({platform.machine()}).\n\n"
        f"{table(rates)}\n\n{ratios(rates)}\n"
    )
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
