"""Minutes of training on two cores until a small network reaches a PSNR on Set5 x2: the best recipe and a plain loop.

    SR_DATA=… python benchmarks/time_to_psnr.py     # on an idle machine; 45 minutes

Both train SPAN of 32 channels on the same pictures, from the same weights, with as many patches in a batch. The plain
loop is what people write first: float32, Adam at a constant rate, pictures in memory. The recipe is `experiment=small`
without its pairs of noise; it is run once for each length, as its schedule has to end. Time is that of training steps
and of what the trainer does between them; validation is left out, in both alike. It needs the pictures of
`python benchmarks/pretrained.py smaller`. What is in benchmarks/time_to_psnr.json is not run again.
"""

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, seed_everything
from pretrained import as_tensor
from scores import DATA, mendable_told, read_results, scored, this_machine

from sr_lightning.benchmarking.machine import use_threads
from sr_lightning.config import build, compose
from sr_lightning.data.files.io import find_pictures, read_picture
from sr_lightning.evaluation.scoring import write_json
from sr_lightning.functional import imresize, modcrop
from sr_lightning.training.building import build_model, build_trainer, prepare_run
from sr_lightning.training.fitting import fit

THREADS = 2
TARGETS = (36.5, 37.0, 37.5)
#: Updates of the recipe's runs; a target's time is that of the first run that reaches it.
LENGTHS = (500, 1000, 2000, 4000, 8000, 16000)
#: Learning rates of the plain loop: that of EDSR's and of BasicSR's time, and one that suits a small network.
RATES = (2e-4, 1e-3)
#: Minutes after which the plain loop gives up.
PATIENCE = 12.0
EVERY = 250
RUN = Path("runs/time_to_psnr")
RESULTS = Path(__file__).with_name("time_to_psnr.json")
RECIPE = [
    "experiment=small", "~data.sets.noise", "~data.weights.noise",
    f"data_dir={DATA}", "seed=1", "logger=none", "trainer.enable_progress_bar=false", "data.val_set=t91",
    "data.max_val_pictures=1",
]  # fmt: skip


def set5(model: Any) -> float:
    """PSNR of Set5 by `y_rgb8`."""
    training = model.training
    ((psnr, _),) = scored(model.eval(), "y_rgb8", "set5").values()
    model.train(training)
    return psnr


class Clock(Callback):
    """Time of training alone."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_train_start(self, *_: Any) -> None:
        self.begin = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seconds = time.perf_counter() - self.begin


def recipe(updates: int) -> tuple[float, float]:
    """Seconds that the recipe took for that many updates, and the PSNR in the end."""
    shutil.rmtree(RUN, ignore_errors=True)
    cfg = compose("train", [*RECIPE, "epochs=1", f"data.batches_per_epoch={updates}", f"run_dir={RUN}"])
    prepare_run(cfg)
    data, model, clock = build(cfg.data), build_model(cfg), Clock()
    trainer = build_trainer(cfg, RUN)
    trainer.callbacks.append(clock)  # type: ignore[attr-defined]
    fit(trainer, model, data, None, RUN)
    return clock.seconds, set5(model)


def pictures() -> list[tuple[Any, Any]]:
    """HR and LR in memory, as the recipe's: T91, the centres of DIV2K, BSD at full and smaller sizes.

    Where the recipe holds out the last pictures of a folder to validate, they are left out.
    """
    cfg = compose("train", RECIPE)
    weights = cfg.data.weights
    found = []
    for name, part in cfg.data.sets.items():
        if weights[name]:
            paths = find_pictures(part.get("hr_dir") or part.root)
            if "num_val" in part and not part.val_hr_dir:
                paths = paths[: -part.num_val]
            found.append((weights[name], [_pair(path) for path in paths]))
    return found


def _pair(path: Path) -> tuple[Any, Any]:
    hr = as_tensor(read_picture(path))
    hr = modcrop(hr.expand(1, 3, -1, -1), 2)
    return hr[0], (imresize(hr, 0.5)[0].clamp(0, 1) * 255).round() / 255


def plain(rate: float, sets: list[Any]) -> list[tuple[float, float, int]]:
    """Seconds, PSNR and updates at each validation of a loop as one writes it first."""
    seed_everything(1, verbose=False)
    cfg = compose("train", RECIPE)
    model = build_model(cfg)
    net = model.net
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    generator = np.random.default_rng(1)
    shares = np.array([weight for weight, _ in sets], float)
    batch, side = cfg.data.batch_size, cfg.data.patch_size // 2
    seconds, updates, seen = 0.0, 0, []
    while seconds < PATIENCE * 60 and not (seen and seen[-1][1] >= TARGETS[-1]):
        begin = time.perf_counter()
        for _ in range(EVERY):
            pairs = [_cut(sets, shares / shares.sum(), side, generator) for _ in range(batch)]
            hr, lr = (torch.stack(part) for part in zip(*pairs, strict=True))
            optimizer.zero_grad()
            F.l1_loss(net(lr), hr).backward()
            optimizer.step()
        seconds, updates = seconds + time.perf_counter() - begin, updates + EVERY
        seen.append((seconds, set5(model), updates))
        print(f"plain loop, Adam {rate:g}: {seen[-1]}", file=sys.stderr, flush=True)
    return seen


def _cut(sets: list[Any], shares: Any, side: int, generator: np.random.Generator) -> tuple[Any, Any]:
    _, pairs = sets[generator.choice(len(sets), p=shares)]
    hr, lr = pairs[generator.integers(len(pairs))]
    y, x = (int(generator.integers(length - side + 1)) for length in lr.shape[1:])
    turns, flip = int(generator.integers(4)), bool(generator.integers(2))

    def view(patch: Any) -> Any:
        patch = torch.rot90(patch, turns, (1, 2))
        return patch.flip(2) if flip else patch

    return view(hr[:, 2 * y : 2 * (y + side), 2 * x : 2 * (x + side)]), view(lr[:, y : y + side, x : x + side])


def first(target: float, seen: list[tuple[float, float, int]]) -> str:
    """Minutes and updates of the first score that reaches a target."""
    for seconds, psnr, updates in seen:
        if psnr >= target:
            return f"{seconds / 60:.1f} min ({updates:,} updates)"
    last = max(seen, key=lambda each: each[1])
    return f"not in {seen[-1][0] / 60:.0f} min ({seen[-1][2]:,} updates; best {last[1]:.2f} dB)"


def main() -> None:
    use_threads(THREADS)
    seen = read_results(RESULTS).get("seen", {})
    ours = seen.setdefault("recipe", [])
    for updates in LENGTHS[len(ours) :]:
        if ours and ours[-1][1] >= TARGETS[-1]:
            break
        ours.append((*recipe(updates), updates))
        print(f"recipe: {ours[-1]}", file=sys.stderr, flush=True)
        write_results(seen)
    sets = pictures()
    for rate in RATES:
        name = f"plain loop, Adam {rate:g}"
        seen[name] = seen.get(name) or plain(rate, sets)
        write_results(seen)


def write_results(seen: dict[str, list[tuple[float, float, int]]]) -> None:
    """What is known so far: seconds, PSNR and updates."""
    rows = [
        {"Set5 x2, y_rgb8": f"{target:.1f} dB", **{name: first(target, scores) for name, scores in seen.items()}}
        for target in TARGETS
    ]
    write_json(RESULTS, {"rows": rows, "seen": seen, "machine": this_machine()})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(f"{sys.argv[1]}: nothing can be chosen here; leave it out")
    with mendable_told():
        main()
