"""Losses that are logged beside the trained one: torch's numbers of the same pictures, and the same weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sr_lightning.config import build, compose
from sr_lightning.errors import ConfigError
from sr_lightning.losses import LDL, Mix
from sr_lightning.training.building import build_model, build_trainer, prepare_run
from sr_lightning.training.callbacks import LoggedLosses
from sr_lightning.training.callbacks.channels_last import without_trace
from sr_lightning.training.fitting import fit
from tiny_networks import make

QUICK = (
    "experiment=deepresnet_div2k_x3", "data=samples", "data.batches_per_epoch=2", "data.batch_size=2",
    "data.num_workers=0", "data.patch_size=24", "epochs=1", "trainer=debug", "trainer.precision=32-true", "logger=none",
    "trainer.enable_progress_bar=false", "trainer.limit_val_batches=2",
    "callbacks.channels_last.when=never",
)  # fmt: skip


class Spy(Callback):
    """Keeps what the network compares, by its methods alone, and what is logged."""

    def __init__(self, model: Any) -> None:
        self.trained: list[tuple[Tensor, Tensor]] = []
        self.validated: list[tuple[Tensor, Tensor]] = []
        self.logged: list[dict[str, Tensor]] = []
        pictures, reconstruct = model.pictures, model.reconstruct

        def trained(batch: Any) -> Any:
            self.trained.append(pictures(batch))
            return self.trained[-1]

        def validated(batch: Any, luma: bool) -> Any:
            found = reconstruct(batch, luma)
            self.validated.append(found[1:])
            return found

        model.pictures, model.reconstruct = trained, validated

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self.logged.append(dict(trainer.callback_metrics))


def of_torch(sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
    """The four losses of DeepResNet's project, as torch has them."""
    spectra = [torch.view_as_real(torch.fft.rfft2(picture)) for picture in (sr, hr)]
    fft = sum((0.01 * F.l1_loss(spectra[0][:, c], spectra[1][:, c]) for c in range(3)), torch.zeros(()))
    return {"l1": F.l1_loss(sr, hr), "l2": F.mse_loss(sr, hr), "smooth_l1": F.smooth_l1_loss(sr, hr), "fft": fft}


class Drawn(nn.Module):
    """A loss that draws a random number."""

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        assert not sr.requires_grad
        return torch.rand(())


def trained(folder: Path, *overrides: str, draw: bool = False) -> tuple[Spy, dict[str, Any], dict[str, Tensor]]:
    cfg = compose("train", [*QUICK, *overrides, f"run_dir={folder}"])
    prepare_run(cfg)
    model, data, trainer = build_model(cfg), build(cfg.data), build_trainer(cfg, folder)
    spy = Spy(model)
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    callbacks.append(spy)
    for callback in callbacks:
        if draw and isinstance(callback, LoggedLosses):
            callback.losses["drawn"] = Drawn()
    fit(trainer, model, data, None, folder)
    return spy, dict(trainer.callback_metrics), model.state_dict()


def test_the_experiment_of_deepresnet_logs_its_four_losses(tmp_path: Path) -> None:
    spy, metrics, weights = trained(tmp_path / "with", draw=True)
    random = torch.get_rng_state()
    assert len(spy.logged) == len(spy.validated) == 2
    for (sr, hr), logged in zip(spy.trained, spy.logged, strict=True):
        for name, value in of_torch(sr.detach(), hr).items():
            torch.testing.assert_close(logged[f"train/{name}"], value)
        assert logged["train/l1"] == logged["train/loss"]
    values = [of_torch(sr, hr.to(sr)) for sr, hr in spy.validated]
    for name in values[0]:
        mean = torch.stack([value[name] for value in values]).mean()
        torch.testing.assert_close(metrics[f"val/{name}"].to(mean), mean)
        assert metrics[f"val/samples/{name}"] == metrics[f"val/{name}"]

    without, metrics, same = trained(tmp_path / "without", "callbacks.logged_losses=null")
    assert not any("l2" in key for key in metrics) and weights.keys() == same.keys()
    assert all(torch.equal(value, same[name]) for name, value in weights.items())
    assert torch.equal(torch.get_rng_state(), random)
    # Nothing was computed a second time.
    assert len(without.trained) == len(spy.trained) and len(without.validated) == len(spy.validated)


@pytest.mark.parametrize(
    ("name", "term", "weight"),
    [("lapsrn", "x4", 1.0), ("drcn", "ensemble", 0.04), ("srnet", "picture", 1.0), ("glean", "pixel", 1.0)],
)
def test_networks_that_compare_several_pictures(name: str, term: str, weight: float, tmp_path: Path) -> None:
    """It is the first of those of the full size; the network logs it, too, with a weight."""
    model = make(name, 4)
    batch = {"lr": torch.rand(2, 3, 8, 8), "hr": torch.rand(2, 3, 32, 32), "name": ["a", "b"]}
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, default_root_dir=tmp_path, callbacks=[LoggedLosses({"ours": model.loss})],
    )  # fmt: skip
    trainer.fit(model, DataLoader([batch], batch_size=None))  # type: ignore[arg-type]
    logged = trainer.callback_metrics
    torch.testing.assert_close(weight * logged["train/ours"], logged[f"train/{term}"])


def test_measured_steps_are_not_heard() -> None:
    model, heard = make("srcnn", 2), []
    model.on_comparison = lambda sr, hr: heard.append(sr)
    batch: Any = {"lr": torch.rand(1, 3, 8, 8), "hr": torch.rand(1, 3, 16, 16)}
    with without_trace(model):
        model.training_losses(batch)
    assert not heard
    model.training_losses(batch)
    assert len(heard) == 1


@pytest.mark.parametrize("name", ["loss", "psnr", "gan", "l1"])
def test_a_name_that_is_taken(name: str) -> None:
    callback, model = LoggedLosses({name: nn.L1Loss()}), make("espcn", 2)
    model.loss = Mix({"l1": nn.L1Loss()})
    with pytest.raises(ConfigError, match=rf"^callbacks\.logged_losses\.losses\.{name}: the run logs something else"):
        callback.setup(Trainer(logger=False), model, "fit")


def test_what_cannot_be_logged() -> None:
    with pytest.raises(ConfigError, match="logged_losses needs losses"):
        LoggedLosses({})
    with pytest.raises(ConfigError, match="ldl is for training alone"):
        LoggedLosses({"ldl": LDL()})
