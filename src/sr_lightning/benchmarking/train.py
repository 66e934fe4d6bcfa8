"""``benchmark train``: a step of this library's Trainer beside a plain loop of torch."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback
from lightning.pytorch.profilers import SimpleProfiler
from omegaconf import DictConfig

from sr_lightning.benchmarking.report import Row
from sr_lightning.benchmarking.timing import Clock, chosen, clock_of, ratio, spread, take_turns
from sr_lightning.config import build, compose
from sr_lightning.devices import is_gpu
from sr_lightning.errors import ConfigError
from sr_lightning.evaluation.scoring import count_macs
from sr_lightning.training.building import build_model, build_trainer, prepare_run
from sr_lightning.training.tracking import loggers_closed_after

#: Steps that do not count: the first allocates, and whatever is measured at the start is measured in it.
WARM_UP = 2
#: Settings of the Trainer, by the name of their row.
TRAINERS: dict[str, list[str]] = {
    "trainer": [],
    "trainer_float32": ["trainer.precision=float32"],
}
#: What is typed for this kind and means the same to ``train``.
_PASSED_ON = ("model.", "data=", "data.", "degradation", "data_dir=", "seed=")


class Step(NamedTuple):
    """Seconds of a training step, and the shares of it that data and the Trainer itself take."""

    seconds: float
    waiting: float = 0.0
    own: float = 0.0


def measure(cfg: DictConfig, device: torch.device) -> list[Row]:
    """A row for a plain eager loop with Adam and one for each of ``TRAINERS``, for each network."""
    if device.type == "xpu":
        raise ConfigError("device=xpu: Lightning trains on no Intel GPU; type device=cpu, or measure infer there")
    rows = []
    with TemporaryDirectory() as folder:
        for name in cfg.networks:
            rows += _rows(cfg, name, device, Path(folder))
    return rows


def _rows(cfg: DictConfig, name: str, device: torch.device, folder: Path) -> list[Row]:
    typed = [override for override in cfg.overrides if override.startswith(_PASSED_ON)]
    base = [
        f"model={name}", f"scale={cfg.scale}", f"trainer={'gpu' if is_gpu(device) else 'cpu'}",
        f"data.patch_size={48 * cfg.scale}", "data.batch_size=16", *typed,
        f"data.batches_per_epoch={cfg.steps + WARM_UP}",
        "max_minutes=null", "epochs=1", "trainer.limit_val_batches=0", "trainer.enable_progress_bar=false",
    ]  # fmt: skip
    clock = clock_of(device)
    settings = compose("train", base)
    model = build_model(settings)
    if model.inputs != ("lr",):
        raise ConfigError(f"model={name}: reads {', '.join(model.inputs)}; choose a network of ordinary pictures")
    count, patch = settings.data.batch_size, settings.data.patch_size // cfg.scale
    shape = (count, 1 if model.luma else 3, patch, patch)
    ways: dict[str, Callable[[], Step]] = {
        "plain": partial(plain_step, settings, shape, cfg.steps, device, clock),
        **{way: partial(trainer_step, [*base, *more], folder, clock) for way, more in TRAINERS.items()},
    }
    # Forward, and backward by weights and by inputs, as is usual; of the first layer, one is never computed.
    macs = 3 * count * count_macs(model, settings.data.patch_size, settings.data.patch_size)
    results = take_turns(chosen(ways, cfg.ways), cfg.repeats, warm_up=0)
    rows = []
    for way, steps in results.items():
        row: Row = {"network": f"{name} x{cfg.scale}", "way": way, **spread([step.seconds for step in steps])}
        row |= {"patches/s": count / row["seconds"], "GMAC": macs / 1e9}
        row["bits"] = 16 if way == "trainer" and "16" in str(settings.trainer.precision) else 32
        if "plain" in results:
            row["times plain"] = ratio([step.seconds for step in results["plain"]], [step.seconds for step in steps])
        if way in TRAINERS:
            row["share waiting for data"] = median(step.waiting for step in steps)
            row["share of Trainer"] = median(step.own for step in steps)
        rows.append(row)
    return rows


def plain_step(cfg: DictConfig, shape: tuple[int, ...], steps: int, device: torch.device, clock: Clock) -> Step:
    """A step of the loop that one writes without this library, in float32, on a batch that lies in memory."""
    net = build_model(cfg).net.to(device).train()
    lr = torch.rand(shape, device=device)
    hr = torch.rand_like(net(lr).detach())
    optimizer = torch.optim.Adam(net.parameters())
    begin = clock()
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            begin = clock()
        optimizer.zero_grad()
        F.l1_loss(net(lr), hr).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Step((clock() - begin) / steps)


def trainer_step(overrides: list[str], folder: Path, clock: Clock) -> Step:
    """A step of the Trainer that the config describes, with its callbacks, its logger and its data."""
    cfg = compose("train", [*overrides, f"run_dir={folder}"])
    prepare_run(cfg)
    trainer = build_trainer(cfg, folder)
    watch = _Watch(clock, cfg.data.batches_per_epoch - WARM_UP)
    trainer.callbacks.append(watch)  # type: ignore[attr-defined]  # the last: it sees what all others do
    trainer.profiler = watch.profiler  # type: ignore[attr-defined]
    with loggers_closed_after(trainer):
        trainer.fit(build_model(cfg), datamodule=build(cfg.data))
    return watch.step()


class _Watch(Callback):
    """Times steps, the waits for their batches, and what is done in them by the network and its optimizer."""

    def __init__(self, clock: Clock, steps: int) -> None:
        self.clock, self.steps, self.profiler = clock, steps, SimpleProfiler()
        self.begin = self.end = self.working = self._entered = 0.0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        for optimizer in trainer.optimizers:
            optimizer.register_step_pre_hook(self._enter)
            optimizer.register_step_post_hook(self._leave)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == WARM_UP:
            self.begin, self.working = self.clock(), 0.0
            self.profiler.recorded_durations.clear()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == WARM_UP + self.steps - 1:  # once: on a GPU, the clock waits for it
            self.end = self.clock()

    def step(self) -> Step:
        """What was measured. The first counted batch was there when the clock began, and its wait does not count."""
        seconds = self.end - self.begin
        waits = self.profiler.recorded_durations["[_TrainingEpochLoop].train_dataloader_next"]
        waiting = sum(waits[: self.steps - 1]) / seconds
        return Step(seconds / self.steps, waiting, max(0.0, 1 - waiting - self.working / seconds))

    def _enter(self, *_: Any) -> None:
        self._entered = time.perf_counter()

    def _leave(self, *_: Any) -> None:
        self.working += time.perf_counter() - self._entered
