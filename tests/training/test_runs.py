"""Runs as their parts make them: several processes, loggers, averaged weights."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from torch.optim.swa_utils import AveragedModel

from sr_lightning.config import build, compose
from sr_lightning.errors import ConfigError
from sr_lightning.train import train
from sr_lightning.training.building import build_model, build_trainer
from sr_lightning.training.callbacks import MovingAverage
from sr_lightning.training.fitting import fit, has_unused_parameters
from sr_lightning.training.reporting import report

QUICK = [
    "data.batches_per_epoch=4", "data.batch_size=2", "data.num_workers=0", "data.patch_size=24", "trainer=cpu",
    "trainer.precision=32-true", "trainer.max_epochs=1", "trainer.limit_val_batches=1",
    "trainer.enable_progress_bar=false", "trainer.log_every_n_steps=1",
]  # fmt: skip

TINY_CARN = ["model=carn", "scale=2", "model.num_features=8"]

#: Networks, and whether some step gives no gradient to some of their parameters.
NETWORKS = [
    (["model=edsr_small"], False),
    (["model=vdsr"], False),
    (["model=drrn_b1u9"], False),
    (["model=carn"], True),
    (["model=carn", "model.scales=[4]", "scale=4"], False),
    (["model=mdsr", "model.num_blocks=2"], True),
    (["model=glean", "scale=8"], True),
]


@pytest.mark.parametrize(("overrides", "expected"), NETWORKS, ids=lambda v: v[0] if isinstance(v, list) else None)
def test_networks_that_leave_parameters_out(overrides: list[str], expected: bool) -> None:
    with torch.device("meta"):
        assert has_unused_parameters(build_model(compose("train", overrides))) == expected


@pytest.mark.parametrize(
    ("strategy", "model", "expected"),
    [
        ("ddp", TINY_CARN, {"find_unused_parameters": True}),
        ("auto", TINY_CARN, {"find_unused_parameters": True}),
        ("ddp_find_unused_parameters_false", TINY_CARN, {"find_unused_parameters": False}),
        ("ddp", ["model=espcn"], {}),
    ],
)
def test_ddp_looks_for_them_only_there(
    strategy: str, model: list[str], expected: dict[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = compose("train", [*model, *QUICK, "trainer.devices=2", f"trainer.strategy={strategy}", f"run_dir={tmp_path}"])
    trainer, seen = build_trainer(cfg, tmp_path), []
    monkeypatch.setattr(trainer, "fit", lambda *_, **__: seen.append(trainer.strategy._ddp_kwargs))
    fit(trainer, build_model(cfg), build(cfg.data), None, tmp_path)
    assert seen == [expected]


def test_two_processes_train_a_network_of_several_scales(tmp_path: Path) -> None:
    """Over gloo, with the same global batch as one process: the same weights up to the order of summation."""
    results = []
    for batch_size, options in ((4, []), (2, ["trainer.devices=2", "trainer.strategy=ddp_fork"])):
        folder = tmp_path / str(batch_size)
        overrides = [*TINY_CARN, *QUICK, *options, f"data.batch_size={batch_size}", f"run_dir={folder}"]
        cfg = compose("train", [*overrides, "data.scales=[2,3,4]", "optimizer=sgd", "optimizer.lr=0.01"])
        seed_everything(3, verbose=False)
        fit(build_trainer(cfg, folder), build_model(cfg), build(cfg.data), None, folder)
        state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        results.append(torch.cat([value.flatten() for value in state.values()]))
    torch.testing.assert_close(*results, atol=2e-6, rtol=1e-4)


def test_two_processes_say_once_what_is_wrong(picture_folder: Any, tmp_path: Path) -> None:
    folder = picture_folder("hr", count=3)
    whole = (folder / "01.png").read_bytes()
    (folder / "01.png").write_bytes(whole[: len(whole) // 2])
    args = ["model=espcn", "data=folder", f"data.hr_dir={folder}", "data.num_val=1", *QUICK, "trainer.strategy=ddp"]
    result = subprocess.run(
        [sys.executable, "-m", "sr_lightning.train", *args, "trainer.devices=2", "hydra.run.dir=run"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.count("error: ") == 1 and "01.png" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("logger", "pattern"),
    [("csv", "metrics.csv"), ("tensorboard", "tensorboard/events.out.*"), ("wandb", "wandb/offline-run-*/*.wandb")],
)
def test_loggers_write(logger: str, pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(logger if logger != "csv" else "csv")
    for variable, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(variable, value)
    train(compose("train", ["model=espcn", *QUICK, f"logger={logger}", f"run_dir={tmp_path}"]))
    assert any(file.stat().st_size > 0 for file in tmp_path.glob(pattern))
    assert (tmp_path / "results.json").is_file()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["experiment=rdn_div2k_x2", "callbacks=default"], r"callbacks\.skip_exploding: .*=\[default,skip_exploding\]"),
        (["+callbacks.skip_exploding=3"], r"callbacks\.skip_exploding: .*callbacks=\[default,skip_exploding\]"),
        (["+logger.wandb.project=mine"], r"logger\.wandb: has settings, but .*logger=\[csv,wandb\]"),
    ],
)
def test_settings_of_a_part_that_is_not_there_are_told(typed: list[str], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        build_trainer(compose("train", [*typed, "data=samples"]), tmp_path)


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
