"""What makes the training of a small network better: one change at a time, all for the same time.

    SR_DATA=… python benchmarks/ablations.py measure   # seconds of a step of each setting, on an idle machine
    SR_DATA=… python benchmarks/ablations.py train     # all settings and seeds that have no results yet
    python benchmarks/ablations.py collect            # adds them to benchmarks/ablations.json, which results.py reads

Every run has as many updates as fit into SECONDS by what `measure` found, so that other work on the machine changes
nothing. All runs of a seed begin with the same weights (but for those of branches) and see the same patches (but for
patches of another size): differences are paired. Names behind `measure` or `train` leave the other settings out.
Results of settings or numbers of updates that are no longer these are trained anew.
"""

import csv
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from typing import Any

from scores import DATA, act, read_results, scored, this_machine

from sr_lightning.config import compose
from sr_lightning.evaluation.scoring import write_json
from sr_lightning.train import train as train_run
from sr_lightning.weights.load import load_model

RUNS = Path("runs/ablations")
COSTS = Path(__file__).with_name("ablations_costs.json")
RESULTS = Path(__file__).with_name("ablations.json")
SECONDS = 30.0
SEEDS = (1, 2, 3)
ROUNDS = 5
BASE = "soap 3e-3 (base)"

RLFN = f"teacher={DATA}/weights_2/RLFN_x2.pth"
MUON = ["optimizer=named", "optimizer.name=muon", "+optimizer.adamw_lr=3e-3"]
ADAN = ["optimizer=named", "optimizer.name=adan"]

#: What each setting adds to `experiment=ablation`, by group.
SETTINGS: dict[str, dict[str, list[str]]] = {
    "optimizer and learning rate": {
        BASE: [],
        "soap 1e-2": ["optimizer.lr=1e-2"],
        "soap 2e-2": ["optimizer.lr=2e-2"],
        "muon 2e-3": [*MUON, "optimizer.lr=2e-3"],
        "muon 5e-3": [*MUON, "optimizer.lr=5e-3"],
        "muon 2e-2": [*MUON, "optimizer.lr=2e-2"],
        "adan 2e-3": [*ADAN, "optimizer.lr=2e-3"],
        "adan 5e-3": [*ADAN, "optimizer.lr=5e-3"],
        "adan 2e-2": [*ADAN, "optimizer.lr=2e-2"],
        "adamw 1e-3": ["optimizer=adamw", "optimizer.lr=1e-3"],
        "adamw 3e-3": ["optimizer=adamw", "optimizer.lr=3e-3"],
        "adamw 1e-2": ["optimizer=adamw", "optimizer.lr=1e-2"],
        "adam 3e-3": ["optimizer=adam", "optimizer.lr=3e-3"],
        "adam 1e-2": ["optimizer=adam", "optimizer.lr=1e-2"],
        "adam 2e-2": ["optimizer=adam", "optimizer.lr=2e-2"],
    },
    "average of the weights": {
        "no average": ["callbacks=[default]"],
        "decay 0.95": ["callbacks.ema.decay=0.95"],
    },
    "loss": {
        "l2": ["loss=l2"],
        "charbonnier": ["loss=charbonnier"],
        "l1 + 0.05 fft": ["loss=mix", "loss.weights={l1: 1, fft: 0.05}"],
        "l1 + 0.1 dct": [
            "loss=mix",
            "~loss.losses.fft",
            "+loss@loss.losses.dct=dct",
            "~loss.weights.fft",
            "+loss.weights.dct=0.1",
        ],
    },
    "patches": {
        "32 pixels, batch 18": ["data.patch_size=32", "data.batch_size=18"],
        "72 pixels, batch 4": ["data.patch_size=72", "data.batch_size=4"],
        "48 pixels, batch 16": ["data.batch_size=16"],
        "progressive": ["callbacks=[default,ema,progressive_patches]"],
    },
    "augmentation": {
        "no augmentation": ["data.augment=false"],
        "hflip": ["data.augment=hflip"],
        "lapsrn (smaller pictures)": ["data.augment=lapsrn"],
    },
    "teacher": {"teacher RLFN": [RLFN]},
    "re-parameterisation": {"trained as branches": ["model.branches=true"]},
    "precision": {"bf16": ["trainer.precision=bf16-mixed"]},
    "schedule": {"rises for 30 %": ["scheduler.pct_start=0.3"]},
}
ALL = {name: overrides for group in SETTINGS.values() for name, overrides in group.items()}


def run(name: str, seed: int, updates: int, folder: Path, *more: str) -> None:
    """Trains one setting in this process."""
    argv = ["experiment=ablation", *ALL[name], f"seed={seed}", f"data.batches_per_epoch={updates}"]
    quiet = ["trainer.enable_progress_bar=false", f"data_dir={DATA}", f"run_dir={folder}"]
    with redirect_stdout(sys.stderr):
        train_run(compose("train", [*argv, *quiet, *more]))


def without_folder(setting: str) -> str:
    """A setting as it is on every machine."""
    return setting.replace(f"{DATA}/weights", "$SR_DATA/weights")


def typed(name: str) -> str:
    """What a setting adds to the command."""
    return " ".join(map(without_folder, ALL[name]))


def cost_key(name: str) -> str:
    """Settings of one key take the same time for a step."""
    # Progressive patches have as many pixels in every batch, but other numbers of patches, by which speed is logged.
    free = (
        "optimizer.lr",
        "scheduler",
        "data.augment=false",
        "data.augment=hflip",
        "callbacks.ema",
        "callbacks=[default,ema",
    )
    parts = map(without_folder, ALL[name])
    return " ".join(part for part in parts if not part.startswith(free))


def measure(*names: str) -> None:
    """Seconds of 100 steps of each setting: the median of rounds in which all take turns."""
    costs = read_results(COSTS)
    settings: dict[str, str] = {}
    for name in ALL:  # the first of a key: at a rate that is too high, dead units slow a processor down
        if not names or name in names:
            settings.setdefault(cost_key(name), name)
    found: dict[str, list[float]] = {key: [] for key in settings}
    for _ in range(ROUNDS):
        for key, name in settings.items():
            run(name, 1, 120, RUNS / "measured", "data.max_val_pictures=1", "trainer.log_every_n_steps=100")
            rows = csv.DictReader((RUNS / "measured/metrics.csv").open())
            speed = next(float(row["speed/patches_per_second"]) for row in rows if row.get("speed/patches_per_second"))
            batch = compose("train", ["experiment=ablation", *ALL[name]]).data.batch_size
            found[key].append(100 * batch / speed)
            print(name, found[key], file=sys.stderr, flush=True)
            shutil.rmtree(RUNS / "measured")
    write_json(COSTS, costs | {key: median(values) for key, values in found.items()})


def as_today(name: str) -> dict[str, Any]:
    """What a result has to say of a setting: what is typed, and the updates that fit into the time."""
    costs = read_results(COSTS)
    if cost_key(name) not in costs:
        raise SystemExit(f"{name}: its steps were not measured; type `measure '{name}'` first")
    return {"setting": name, "typed": typed(name), "updates": round(SECONDS * 100 / costs[cost_key(name)])}


def known() -> dict[tuple[str, int], Any]:
    """The results of benchmarks/ablations.json and of runs/ablations that are of today's settings, by name and seed."""
    runs = read_results(RESULTS).get("runs", [])
    runs += map(read_results, sorted(RUNS.glob("*/tests.json")))
    today = {name: as_today(name) for name in ALL}
    same = (run for run in runs if run.get("setting") in today and today[run["setting"]].items() <= run.items())
    return {(run["setting"], run["seed"]): run for run in same}


def train(*names: str) -> None:
    """Trains what has no results yet, seed by seed."""
    done = known()
    for seed in SEEDS:
        for name in ALL:
            if (name, seed) in done or (names and name not in names):
                continue
            folder, today = RUNS / f"{name.replace(' ', '_')}_{seed}", as_today(name)
            shutil.rmtree(folder, ignore_errors=True)
            run(name, seed, today["updates"], folder)
            model = load_model(folder / "checkpoints/best.ckpt")
            psnr = {name: value for name, (value, _) in scored(model, "y_rgb8").items()}
            write_json(folder / "tests.json", {**today, "seed": seed, "sets": psnr})


def collect() -> None:
    """What all runs that are done have found."""
    found = known()
    results = {
        "base": BASE,
        "groups": {group: list(settings) for group, settings in SETTINGS.items()},
        "seconds": SECONDS,
        "machine": this_machine(),
        "runs": [found[key] for key in sorted(found)],
    }
    write_json(RESULTS, results)


if __name__ == "__main__":
    act({"measure": measure, "train": train, "collect": collect}, ALL)
