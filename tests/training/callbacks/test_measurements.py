"""What runs measure of their steps, against the gradients, the optimizers and a clock that the test moves."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.profilers import SimpleProfiler
from torch.nn.utils import get_total_norm

from sr_lightning.config import build, compose
from sr_lightning.training.building import build_model, build_trainer, fine_tuning, prepare_run
from sr_lightning.training.callbacks import Measurements, measurements
from sr_lightning.training.callbacks.measurements import _Watch
from sr_lightning.training.fitting import fit
from sr_lightning.training.opposing import oppose

SMALL = [
    "model=edsr_small", "model.num_features=4", "model.num_blocks=1", "data.batch_size=2", "data.num_workers=0",
    "data.patch_size=16", "data.batches_per_epoch=4", "epochs=1", "trainer=cpu", "trainer.precision=float32",
    "trainer.limit_val_batches=0", "trainer.enable_progress_bar=false", "trainer.log_every_n_steps=1",
    "callbacks.channels_last=null",
]  # fmt: skip


class Memory(Logger):
    """Keeps what it is given: values by step and key."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: dict[int, dict[str, float]] = {}

    name, version = "memory", "0"

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.steps.setdefault(step or 0, {}).update(metrics)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass

    def of(self, key: str) -> list[float]:
        return [values[key] for _, values in sorted(self.steps.items()) if key in values]


class Gradients(Callback):
    """The norms of all gradients before any other callback sees them."""

    def __init__(self) -> None:
        self.norms: list[list[float]] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        while len(self.norms) < len(trainer.optimizers):
            self.norms.append([])
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self.norms[trainer.optimizers.index(optimizer)].append(get_total_norm(gradients).item())


def trained(tmp_path: Path, *typed: str, change: Any = None) -> tuple[Memory, Gradients, Trainer]:
    cfg = compose("train", [*SMALL, *typed, f"run_dir={tmp_path}"])
    prepare_run(cfg)
    model = build_model(cfg)
    fine_tuning(cfg).apply(model)
    oppose(cfg, model)
    trainer, memory, gradients = build_trainer(cfg, tmp_path), Memory(), Gradients()
    trainer.loggers = [memory]
    trainer.callbacks.insert(0, gradients)
    if change:
        change(trainer)
    fit(trainer, model, build(cfg.data), None, tmp_path)
    return memory, gradients, trainer


def test_norms_are_those_of_all_gradients_before_they_are_clipped_or_dropped(tmp_path: Path) -> None:
    """Callbacks that clip and drop come first in the list; dropped gradients have had a norm, too."""
    typed = ["callbacks=[adjustable_clipping,skip_exploding,default]", "callbacks.skip_exploding.limit=1e-9"]
    memory, gradients, _ = trained(tmp_path, *typed, "trainer.gradient_clip_val=1e-3", "callbacks.stop_on_nan=null")
    assert memory.of("train/skipped") == [1, 2, 3, 4]
    assert memory.of("train/gradient_norm") == pytest.approx(gradients.norms[0]) and min(gradients.norms[0]) > 0.01


def test_accumulated_gradients_are_measured_once(tmp_path: Path) -> None:
    typed = ["trainer.accumulate_grad_batches=2", "data.batches_per_epoch=6", "trainer.log_every_n_steps=2"]
    memory, gradients, _ = trained(tmp_path, *typed)
    assert len(gradients.norms[0]) == 3 and memory.of("train/gradient_norm") == pytest.approx(gradients.norms[0][1:2])
    assert len(memory.of("speed/patches_per_second")) == 1


def test_scaled_gradients_are_measured_as_they_are(tmp_path: Path) -> None:
    """With fp16's scaler, which exists on CPUs too."""
    plain, _, _ = trained(tmp_path / "plain", "data.batches_per_epoch=1")

    def scale(trainer: Any) -> None:
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
        trainer.strategy.precision_plugin = MixedPrecision("16-mixed", "cpu", scaler)

    scaled, gradients, _ = trained(tmp_path / "scaled", "data.batches_per_epoch=1", change=scale)
    assert scaled.of("train/gradient_norm") == pytest.approx(gradients.norms[0])
    assert scaled.of("train/gradient_norm") != plain.of("train/gradient_norm")  # fp16 rounds
    assert scaled.of("train/gradient_norm") == pytest.approx(plain.of("train/gradient_norm"), rel=0.05)


def test_a_discriminator_has_a_norm_and_a_rate_of_its_own(tmp_path: Path) -> None:
    typed = ["discriminator=patch", "data.patch_size=64", "data.batches_per_epoch=2", "learning_rate=1e-3"]
    memory, gradients, _ = trained(tmp_path, *typed, "scheduler=none")
    assert memory.of("train/gradient_norm") == pytest.approx(gradients.norms[0])
    assert memory.of("train/discriminator_gradient_norm") == pytest.approx(gradients.norms[1])
    assert memory.of("train/discriminator_learning_rate") == pytest.approx([1e-3, 1e-3])


def test_rates_are_those_of_the_step_for_each_group(tmp_path: Path) -> None:
    memory, _, trainer = trained(tmp_path, "layer_rates={body: 0.5}", "learning_rate=1e-3", "scheduler=cosine")
    first, second = memory.of("train/learning_rate"), memory.of("train/learning_rate_2")
    assert sorted([first[0], second[0]]) == pytest.approx([5e-4, 1e-3])
    assert first[0] > first[1] > first[2] > first[3]
    monitored = [key for key in memory.steps[0] if key.startswith("lr-Adam")]  # the older key stays
    assert sorted(memory.steps[0][key] for key in monitored) == pytest.approx(sorted([first[0], second[0]]))
    assert len(trainer.optimizers[0].param_groups) == len(monitored) == 2


def test_readings_come_with_the_logged_steps_alone(tmp_path: Path) -> None:
    memory, _, trainer = trained(tmp_path, "trainer.log_every_n_steps=3", "data.batches_per_epoch=8")
    assert [step for step, values in sorted(memory.steps.items()) if "memory/peak_gb" in values] == [2, 5]
    assert all(0 <= share <= 1 for share in memory.of("speed/waiting_share"))
    assert 0.01 < memory.of("memory/peak_gb")[0] < 1000
    assert type(trainer.profiler).__name__ == "PassThroughProfiler"  # its own again


def test_another_profiler_still_sees_everything(tmp_path: Path) -> None:
    profiler = SimpleProfiler()
    memory, _, trainer = trained(tmp_path, change=lambda trainer: setattr(trainer, "profiler", profiler))
    assert trainer.profiler is profiler
    assert len(profiler.recorded_durations["[_TrainingEpochLoop].train_dataloader_next"]) == 4
    assert len(memory.of("speed/waiting_share")) == 3  # the first step warms up


def test_no_logger_no_measurements() -> None:
    for logger, there in (("none", False), ("csv", True)):
        trainer = build_trainer(compose("train", [*SMALL, f"logger={logger}"]), Path("run"))
        found = [isinstance(callback, Measurements) for callback in trainer.callbacks]  # type: ignore[attr-defined]
        assert sum(found) == there and found[0] == there


def test_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of 2 s and steps of 3 s; the first step and what lies between epochs do not count."""
    now = 0.0
    monkeypatch.setattr(measurements, "time", SimpleNamespace(perf_counter=lambda: now))
    watch = _Watch()
    for batch in range(5):
        if batch == 3:
            watch.pause()
            now += 100
            watch.pause()  # validation, and then the end of the epoch
            now += 100
        watch.fetch()
        now += 2 if batch else 50
        watch.fetched()
        now += 3 if batch else 500
        watch.batch_done(16)
        assert (watch.read() is None) == (batch == 0) if batch < 2 else True
    assert watch.read() == (3 * 16, 15.0, 6.0)
    assert watch.read() is None


def test_patches_of_all_processes_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    callback, logged = Measurements(), {}
    callback._due = True
    monkeypatch.setattr(_Watch, "read", lambda _: (10, 2.0, 1.0))
    strategy = SimpleNamespace(root_device=torch.device("cpu"), reduce=lambda mine, reduce_op: mine + 20)
    module: Any = SimpleNamespace(log_dict=lambda values, **_: logged.update(values))
    trainer: Any = SimpleNamespace(strategy=strategy, world_size=2)
    callback.on_train_batch_end(trainer, module, None, {"lr": torch.zeros(5, 3, 4, 4)}, 0)
    assert (logged["speed/patches_per_second"], logged["speed/waiting_share"]) == (15.0, 0.5)


def test_norms_of_parts_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """FSDP's processes hold a part of each gradient; this one holds 3, and another one 4."""
    monkeypatch.setattr(measurements, "FSDPStrategy", SimpleNamespace)
    strategy = SimpleNamespace(root_device=torch.device("cpu"), reduce=lambda squared, reduce_op: squared + 16)
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.tensor([3.0])
    trainer: Any = SimpleNamespace(strategy=strategy, world_size=2)
    assert measurements.gradient_norm(trainer, torch.optim.SGD([weight])).item() == 5
