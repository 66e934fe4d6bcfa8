"""Training steps per second of EDSR-baseline x2 through our trainer config: precision and layout side by side.

    python benchmarks/train.py [--output benchmarks/train.md]

Batches of 16 LR 48x48 patches. Each row is a Lightning run made by the library's own configs; rows take turns, medians
of the ratios over the rounds. The target, 4.5 times eager float32, belongs to processors with AMX: elsewhere the table
is for information and the exit code is 0.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback

from sr_lightning.config import build, compose
from sr_lightning.training import runs

STEPS, WARM_UP, ROUNDS, TARGET = 8, 3, 5, 4.5
WAYS = {
    "eager float32, contiguous": ["trainer.precision=32-true", "callbacks=none"],
    "float32, channels-last": ["trainer.precision=32-true", "callbacks=channels_last"],
    "bf16-mixed, contiguous": ["trainer.precision=bf16-mixed", "callbacks=none"],
    "bf16-mixed, channels-last": ["trainer.precision=bf16-mixed", "callbacks=channels_last"],
}


class Clock(Callback):
    """Wall time of the steps after the warm-up."""

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == WARM_UP:
            self.begin = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.seconds = (time.perf_counter() - getattr(self, "begin", time.perf_counter())) / max(
            1, batch_idx + 1 - WARM_UP
        )


def step_seconds(overrides: list[str], folder: Path) -> float:
    cfg = compose(
        "train",
        [
            "model=edsr_baseline", "trainer=cpu", "trainer.max_epochs=1", "trainer.enable_progress_bar=false",
            "trainer.limit_val_batches=0", "logger=[]", "data.patch_size=96", "data.num_workers=0",
            f"data.batches_per_epoch={STEPS + WARM_UP}", f"run_dir={folder}", *overrides,
        ],
    )  # fmt: skip
    runs.start(cfg)
    trainer = runs.build_trainer(cfg, folder)
    trainer.callbacks = [c for c in trainer.callbacks if "Checkpoint" not in type(c).__name__]
    clock = Clock()
    trainer.callbacks.append(clock)
    trainer.fit(runs.build_model(cfg), datamodule=build(cfg.data))
    return clock.seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    folder = Path("runs/benchmark")
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(ROUNDS):
        for name, overrides in WAYS.items():
            seconds[name].append(step_seconds(overrides, folder))
    base = seconds["eager float32, contiguous"]
    lines = ["| configuration | ms per step | patches per second | times eager float32 |", "|---|---|---|---|"]
    ratios = {}
    for name, values in seconds.items():
        ratios[name] = statistics.median(a / b for a, b in zip(base, values, strict=True))
        median = statistics.median(values)
        lines.append(f"| {name} | {median * 1e3:.0f} | {16 / median:.1f} | {ratios[name]:.2f} |")
    amx = torch.cpu._is_amx_tile_supported()
    note = f"AMX: {'yes' if amx else 'no'}; AVX512-BF16: {'yes' if torch.cpu._is_avx512_bf16_supported() else 'no'}"
    table = "\n".join([*lines, "", f"{torch.get_num_threads()} threads; {note}."])
    print(table)
    if options.output:
        options.output.write_text(f"{__doc__.split(chr(10))[0]}\n\n{table}\n")
    if not amx:
        print(f"target {TARGET} not tested: this processor has no AMX")
        return 0
    return int(ratios["bf16-mixed, channels-last"] < TARGET)


if __name__ == "__main__":
    sys.exit(main())
