"""``benchmark infer``: seconds, memory and difference of each way in which a network enlarges a picture."""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from sr_lightning.benchmarking.machine import use_threads
from sr_lightning.benchmarking.memory import in_a_fresh_process, peak_mib
from sr_lightning.benchmarking.picture import height_and_width, write_photograph
from sr_lightning.benchmarking.report import Row
from sr_lightning.benchmarking.timing import chosen, clock_of, spread, take_turns, timed
from sr_lightning.benchmarking.ways import FOREIGN, REFERENCE, WAYS, Case
from sr_lightning.config import compose
from sr_lightning.errors import SRError
from sr_lightning.evaluation.scoring import count_macs
from sr_lightning.inference.engines.half_precision import half_precision
from sr_lightning.inference.settings import Precision
from sr_lightning.weights.shipped import pretrained_networks, weights_file


def measure(cfg: DictConfig, device: torch.device) -> list[Row]:
    """A row for each network, way and precision; ways that cannot run here are named on stderr and left out."""
    rows = []
    with TemporaryDirectory() as folder:
        picture = write_photograph(Path(folder) / "lr.png", cfg.size)
        networks = {name: network(cfg, name) for name in cfg.networks}  # a misspelt one is told before the work
        for name, (settings, weights) in networks.items():
            cases = {
                (way, precision): Case(name, settings, weights, picture, precision, device)
                for way, precision in ways_and_precisions(list(chosen(WAYS, cfg.ways)), cfg.precision, device)
            }
            rows += _rows(cfg, cases, device)
    return rows


def network(cfg: DictConfig, name: str) -> tuple[dict[str, Any], Path | None]:
    """The settings of the network of that name, with what was typed of them, and its file if it is shipped so."""
    typed = [override for override in cfg.overrides if override.startswith("model.")]
    settings: Any = compose("benchmark", [f"model={name}", f"scale={cfg.scale}", *typed]).model
    is_shipped = not typed and cfg.scale in pretrained_networks().get(name, [])
    return OmegaConf.to_object(settings), weights_file(name, cfg.scale) if is_shipped else None  # type: ignore[return-value]


def ways_and_precisions(
    ways: Sequence[str], precisions: Sequence[Precision], device: torch.device
) -> list[tuple[str, Precision]]:
    """Each pair once: the reference is in float32 alone, and so is ``auto`` where the device is fast in nothing else.

    Example:
        >>> ways_and_precisions(["whole", "tiles"], ["bf16", "float32"], torch.device("cpu"))
        [('whole', 'float32'), ('tiles', 'bf16'), ('tiles', 'float32')]
    """
    if "auto" in precisions and half_precision("auto", device) is None:
        precisions = [precision for precision in precisions if precision != "float32"]
    pairs: list[tuple[str, Precision]] = [
        (way, "float32" if way == REFERENCE else precision) for way in ways for precision in precisions
    ]
    return list(dict.fromkeys(pairs))


def peak(way: str, case: Case, threads: int) -> float:
    """Peak memory of one run, from the network's name to its pixels, in MiB over the imports of ``Upscaler``."""
    use_threads(threads)
    return peak_mib(lambda: WAYS[way](case)(), case.device)


def _rows(cfg: DictConfig, cases: dict[tuple[str, Precision], Case], device: torch.device) -> list[Row]:
    works, pictures, peaks = {}, {}, {}
    for key, case in cases.items():
        name = ", ".join([f"{case.network} x{cfg.scale}", *key])
        print(name, file=sys.stderr)
        try:
            work = WAYS[key[0]](case)
            pictures[key] = work()  # warms up
            if cfg.memory:
                peaks[key] = in_a_fresh_process(peak, key[0], case, torch.get_num_threads())
        except (SRError, RuntimeError, MemoryError) as error:  # of torch, its compiler and other engines
            reason, *_ = str(error).strip().splitlines() or [type(error).__name__]
            print(f"{name}: left out: {reason}", file=sys.stderr)
        else:
            works[key] = work
    clock = clock_of(device)
    times = take_turns({key: timed(work, clock) for key, work in works.items()}, cfg.repeats, warm_up=0)
    whole, rows = pictures.get((REFERENCE, "float32")), []
    height, width = (cfg.scale * side for side in height_and_width(cfg.size))
    for (way, precision), seconds in times.items():
        case = cases[way, precision]
        row: Row = {"network": f"{case.network} x{cfg.scale}", "way": way, "precision": precision, **spread(seconds)}
        row["MP/s"] = height * width / row["seconds"] / 1e6
        row["GMAC"] = count_macs(case.model(), height, width) / 1e9
        if way not in FOREIGN:
            row["bits"] = case.bits()
        if whole is not None:
            row["levels"] = int(np.abs(pictures[way, precision].astype(int) - whole).max())
        if cfg.memory:
            row["peak MiB"] = peaks[way, precision]
        rows.append(row)
    return rows
