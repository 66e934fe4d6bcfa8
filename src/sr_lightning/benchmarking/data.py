"""``benchmark data``: patches from the pictures on the disk to the batches that training receives."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import cv2
import torch
from omegaconf import DictConfig, OmegaConf

from sr_lightning.benchmarking.report import Row
from sr_lightning.benchmarking.timing import chosen, spread, take_turns, timed
from sr_lightning.config import build
from sr_lightning.errors import ConfigError

#: Batches before those that count, for each loader process and one more: what they have made meanwhile.
WARM_UP = 3


def measure(cfg: DictConfig, device: torch.device) -> list[Row]:
    """A row for each number of loader processes, for the first use of the pictures, and for decoding alone.

    ``seconds`` are those of a batch, and of all pictures.
    """
    with TemporaryDirectory() as folder:
        data = _module(cfg, Path(folder) / "cache")
        data.prepare_data()
        data.setup("fit")
        if not hasattr(data, "train_dataloader") or getattr(data, "patches", None) is None:
            raise ConfigError(f"data: {type(data).__name__} has no training pictures; choose another data config")
        ways: dict[str, Callable[[], float]] = {
            f"{count}_workers": partial(seconds_per_batch, cfg, Path(folder) / "cache", count) for count in cfg.workers
        }
        files = _files(data)
        if files:
            ways["first_use"] = timed(partial(_first_use, cfg))
            ways["decoding"] = timed(partial(decode, files))
        times = take_turns(chosen(ways, cfg.ways), cfg.repeats)
        megapixels = decode(files)
    rows = []
    for way, seconds in times.items():
        row: Row = {"data": type(data).__name__, "way": way, **spread(seconds)}
        if way.endswith("workers"):
            row["pairs/s"] = data.batch_size / row["seconds"]
        else:
            row["MP/s"] = megapixels / row["seconds"]
        rows.append(row)
    return rows


def seconds_per_batch(cfg: DictConfig, cache: Path, workers: int) -> float:
    """Seconds of a batch from processes that have started, without what they made before."""
    data = _module(cfg, cache, num_workers=workers, batches_per_epoch=1_000_000)
    data.setup("fit")
    batches = iter(data.train_dataloader())
    for _ in range(WARM_UP * (workers + 1)):
        next(batches)
    begin = perf_counter()
    for _ in range(cfg.batches):
        next(batches)
    return (perf_counter() - begin) / int(cfg.batches)


def decode(files: Sequence[Path]) -> float:
    """Decodes pictures with OpenCV, in as many threads as there are cores; returns their megapixels."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return float(sum(pool.map(_megapixels, files)))


def _megapixels(file: Path) -> float:
    picture: Any = cv2.imread(str(file), cv2.IMREAD_COLOR)
    return 0.0 if picture is None else float(picture.shape[0] * picture.shape[1]) / 1e6


def _first_use(cfg: DictConfig) -> None:
    """Decodes the pictures into an empty cache, and makes LR of them."""
    with TemporaryDirectory() as cache:
        _module(cfg, Path(cache)).prepare_data()


def _module(cfg: DictConfig, cache: Path, **settings: Any) -> Any:
    known = {key: value for key, value in {"cache_dir": str(cache), **settings}.items() if key in cfg.data}
    return build(OmegaConf.merge(cfg.data, known))


def _files(data: Any) -> list[Path]:
    """The HR pictures that ``prepare_data`` decodes; none of sets that hold patches."""
    train = data.train_pictures() if hasattr(data, "train_pictures") else None
    if train is None:
        return []
    return [*train.hr, *(file for pictures in data.val_pictures().values() for file in pictures.hr)]
