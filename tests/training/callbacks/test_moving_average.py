"""The moving average of the weights is its definition, and what is validated and saved."""

import math
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch.optim.swa_utils import AveragedModel

from sr_lightning.config import build, compose
from sr_lightning.training.building import build_model, build_trainer
from sr_lightning.training.callbacks import MovingAverage
from sr_lightning.training.fitting import fit
from sr_lightning.training.reporting import report

QUICK = [
    "data.batches_per_epoch=4", "data.batch_size=2", "data.num_workers=0", "data.patch_size=24", "trainer=cpu",
    "trainer.precision=32-true", "epochs=1", "trainer.limit_val_batches=1", "trainer.enable_progress_bar=false",
]  # fmt: skip


class Average(Callback):
    """The moving average of the weights, by its definition."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        now = {name: value.clone() for name, value in pl_module.state_dict().items()}
        before, updates = getattr(self, "weights", now), getattr(self, "updates", 0)
        kept = min(0.75, (1 + updates) / (10 + updates))
        self.weights, self.updates = {name: kept * before[name] + (1 - kept) * now[name] for name in now}, updates + 1


def test_average_of_a_short_run_forgets_where_it_began() -> None:
    net = torch.nn.BatchNorm1d(1, affine=False)  # with an average of floats and a count of batches
    net.running_mean.fill_(1.0)  # type: ignore[union-attr]
    average = AveragedModel(net, use_buffers=True, multi_avg_fn=MovingAverage(decay=0.999)._kwargs["multi_avg_fn"])
    average.update_parameters(net)
    net.running_mean.zero_()  # type: ignore[union-attr]
    net.num_batches_tracked.fill_(7)  # type: ignore[union-attr]
    for _ in range(1, 300):
        average.update_parameters(net)
    mean, count = average.module.running_mean, average.module.num_batches_tracked
    left = math.prod((1 + n) / (10 + n) for n in range(1, 300))  # with 0.999 from the start, 0.74
    torch.testing.assert_close(mean, torch.tensor([left]), rtol=1e-4, atol=0.0)
    assert count == 7


def test_ema_validates_and_saves_the_average(tmp_path: Path) -> None:
    overrides = ["model=espcn", *QUICK, "optimizer.lr=0.01", "callbacks=[default,ema]", "callbacks.ema.decay=0.75"]
    cfg = compose("train", [*overrides, f"run_dir={tmp_path}"])
    model, trainer, average = build_model(cfg), build_trainer(cfg, tmp_path), Average()
    trainer.callbacks.append(average)  # type: ignore[attr-defined]
    fit(trainer, model, build(cfg.data), None, tmp_path)
    checkpoint = torch.load(tmp_path / "checkpoints/best.ckpt", weights_only=True)
    torch.testing.assert_close(checkpoint["state_dict"], average.weights)
    assert any(not value.equal(average.weights[name]) for name, value in checkpoint["current_model_state"].items())
    assert report(cfg, trainer, model, build(cfg.data), 0.0, tmp_path)["psnr"] > 0
