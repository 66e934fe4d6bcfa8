"""What every network takes from the class that all of them are, pinned without training anything."""

import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sr_lightning import __version__
from sr_lightning.errors import CheckpointError, ConfigError, DataError, PictureError
from sr_lightning.metrics.protocol import Protocol
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.bicubic import Bicubic
from sr_lightning.models.edsr import EDSR
from sr_lightning.models.espcn import ESPCN
from sr_lightning.models.mdsr import MDSR
from sr_lightning.models.schedule import total_steps
from sr_lightning.models.vdsr import VDSR
from sr_lightning.training.schedules import cosine, decay_to_floor


def in_trainer(**state: Any) -> SuperResolutionModule:
    model = ESPCN(scale=2)
    model._trainer = SimpleNamespace(**state)
    return model


def test_a_recipe_brings_its_loss() -> None:
    loss = torch.nn.MSELoss()
    assert ESPCN(scale=2, loss=loss).loss is loss and isinstance(ESPCN(scale=2).loss, torch.nn.L1Loss)


def test_whole_numbers_become_values_in_0_to_1() -> None:
    batch: Any = {"hr": torch.tensor([0, 51, 255], dtype=torch.uint8), "lr": torch.tensor([0.5]), "name": ["a"]}
    as_float: Any = in_trainer(training=True).on_after_batch_transfer(batch, 0)
    assert torch.equal(as_float["hr"], torch.tensor([0, 0.2, 1])) and as_float["lr"] is batch["lr"]
    assert in_trainer(training=False).on_after_batch_transfer(batch, 0) is batch


@pytest.mark.parametrize(
    ("psnr", "mean"),
    [([30.0, 32.0], 31.0), ([30.0, math.inf], 30.0), ([math.inf], math.inf), ([30.0, math.nan, math.inf], math.nan)],
)
def test_mean_of_validation(psnr: list[float], mean: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A perfect picture is left out, a diverged one is not."""
    trainer = {"datamodule": SimpleNamespace(val_names=["set5"]), "state": SimpleNamespace(fn="validate")}
    model, logged = in_trainer(**trainer), {}
    monkeypatch.setattr(model, "log", lambda key, value, **_: logged.update({key: value}))
    scores = iter(psnr)
    monkeypatch.setattr(model, "score", lambda batch: (None, {"psnr": torch.tensor([next(scores)]).double()}))
    for i in range(len(psnr)):
        model.validation_step({}, i)
    model.on_validation_epoch_end()
    assert logged == {key: pytest.approx(mean, nan_ok=True) for key in ("val/set5/psnr_y", "val/psnr")}
    logged.clear()
    model.on_validation_epoch_end()
    assert not logged


@pytest.mark.parametrize(
    ("settings", "optimizers", "steps"),
    [
        ({}, 1, 15),
        ({"accumulate_grad_batches": 2}, 1, 9),  # the last update of an epoch has one batch alone
        ({"limit_train_batches": 0.5}, 1, 6),
        ({"limit_train_batches": 3, "accumulate_grad_batches": 2}, 1, 6),
        ({"max_steps": 7}, 1, 7),
        ({"max_steps": 7}, 2, 4),
        ({"max_steps": 70}, 1, 15),
        ({"max_steps": 0}, 1, 0),
        ({"max_steps": 7, "max_epochs": -1}, 1, 7),
    ],
)
def test_length_of_a_run(settings: dict[str, Any], optimizers: int, steps: int) -> None:
    usual = {"max_steps": -1, "max_epochs": 3, "limit_train_batches": 1.0, "accumulate_grad_batches": 1}
    trainer = SimpleNamespace(**{**usual, **settings}, datamodule=SimpleNamespace(batches_per_epoch=5))
    assert total_steps(trainer, optimizers) == steps


def test_an_open_length_is_refused() -> None:
    trainer = SimpleNamespace(
        max_steps=-1, max_epochs=-1, limit_train_batches=1.0, accumulate_grad_batches=1,
        datamodule=SimpleNamespace(batches_per_epoch=5),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="its length is open"):
        total_steps(trainer)


def rgb() -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=2, num_features=4, num_blocks=1)


def test_scales_that_a_network_has_not() -> None:
    assert rgb().checked_scale(None) == rgb().checked_scale(2) == 2
    with pytest.raises(ConfigError, match="EDSR enlarges the picture itself, but LR already has the size of HR"):
        rgb().checked_scale(1)
    with pytest.raises(ConfigError, match="EDSR has weights for scale 2 alone, not for 3"):
        rgb().checked_scale(3)
    with pytest.raises(ConfigError, match="MDSR enlarges the picture itself"):
        MDSR(scale=2, num_features=4, num_blocks=1).checked_scale(1)
    assert VDSR(scale=2).checked_scale(1) == 1 and MDSR(scale=2, num_features=4, num_blocks=1).checked_scale(3) == 3


def test_arguments_that_cannot_be() -> None:
    with pytest.raises(TypeError, match="ESPCN has no argument colour, kind"):
        ESPCN(scale=2, kind=1, colour=2)  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="scale=0: must be a whole number, 1 or more"):
        SuperResolutionModule(torch.nn.Identity(), scale=0)
    with pytest.raises(ConfigError, match=r"scale=1\.5: ESPCN needs a whole number; model=liif takes any"):
        ESPCN(scale=1.5)  # type: ignore[arg-type]
    assert SuperResolutionModule(torch.nn.Identity(), scale=1).scale == 1


def test_defaults_of_a_recipe() -> None:
    model = rgb()
    assert isinstance(model.loss, torch.nn.L1Loss) and model.scheduler is None and model.protocol.name == "y_rgb8"
    (group,) = model.optimizer_of(model.parameter_groups()).param_groups
    assert group["lr"] == group["initial_lr"] == 1e-4 and group["params"] == list(model.parameters())


def test_what_the_data_do_not_give() -> None:
    with pytest.raises(DataError, match=r"ESPCN reads lr, but the data give hr, name; choose a data config that has"):
        ESPCN(scale=2).super_resolve({"name": ["a"], "hr": torch.zeros(1)})  # type: ignore[typeddict-item]
    grey: Any = {"lr": torch.zeros(1, 1, 4, 4)}
    with pytest.raises(ConfigError, match="the patches have one channel, and EDSR takes RGB"):
        rgb().super_resolve(grey)
    assert ESPCN(scale=2).super_resolve(grey).shape == (1, 1, 8, 8)


def test_losses_are_of_float32_and_of_luma() -> None:
    batch = {"lr": torch.rand(1, 3, 4, 4), "hr": torch.rand(1, 3, 8, 8)}
    for model in (ESPCN(scale=2), rgb()):
        model.double()
        doubled: Any = {key: value.double() for key, value in batch.items()}
        kinds: list[Any] = []
        model.loss.register_forward_hook(
            lambda _, pair, __, kinds=kinds: kinds.extend((p.dtype, p.shape[1]) for p in pair)
        )
        assert set(model.training_losses(doubled)) == {"loss"}
        assert kinds == [(torch.float32, 1 if model.luma else 3)] * 2


def test_a_sum_of_losses_is_minimised_and_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    model, logged, sizes = ESPCN(scale=2), {}, set()
    log = lambda values, batch_size: (logged.update(values), sizes.add(batch_size))  # noqa: E731
    monkeypatch.setattr(model, "log_dict", log)
    monkeypatch.setattr(model, "log", lambda key, value, batch_size: log({key: value}, batch_size))
    terms = {"pixel": torch.tensor(1.5, requires_grad=True), "edge": torch.tensor(2.0)}
    monkeypatch.setattr(model, "training_losses", lambda batch: terms)
    batch: Any = {"lr": torch.zeros(5, 1, 4, 4)}
    total = model.training_step(batch, 0)
    assert total == 3.5 and total.requires_grad and sizes == {5}
    assert logged == {"train/pixel": 1.5, "train/edge": 2.0, "train/loss": 3.5}
    assert not any(value.requires_grad for value in logged.values())
    logged.clear()
    terms = {"loss": torch.tensor(4.0)}
    assert model.training_step(batch, 0) == 4 and logged == {"train/loss": 4.0}


def test_slower_layers() -> None:
    model = rgb()
    rest, slow = model.slower("head", 0.1)
    names = [name for name, _ in model.named_parameters() if "head" in name.split(".")]
    assert slow["lr_scale"] == 0.1 and len(slow["params"]) == len(names) > 0
    assert len(rest["params"]) + len(slow["params"]) == len(list(model.parameters()))
    optimizer = model.optimizer_of([rest, slow])
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([1e-4, 1e-5])
    with pytest.raises(ValueError, match="EDSR has no layer 'nose'"):
        model.slower("nose", 0.1)


def test_a_refused_setting_of_the_optimizer() -> None:
    model = ESPCN(scale=2, optimizer=partial(torch.optim.Adam, lr=-1.0))
    with pytest.raises(ConfigError, match="optimizer: Invalid learning rate"):
        model.configure_optimizers()


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        (partial(torch.optim.lr_scheduler.ReduceLROnPlateau, factor=2.0), r"scheduler: Factor should be < 1\.0"),
        (partial(torch.optim.lr_scheduler.StepLR, step_size=0), "scheduler: a setting must not be 0"),
        (partial(decay_to_floor, every=0, gamma=0.5, floor=0.1, until=9), "scheduler: every=0 must be at least 1"),
    ],
)
def test_a_refused_setting_of_the_scheduler(scheduler: Any, said: str) -> None:
    model = in_trainer()
    model.scheduler = scheduler
    with pytest.raises(ConfigError, match=f"^{said}"):
        made = model.configure_optimizers()["lr_scheduler"]["scheduler"]
        made.optimizer.step()
        model.lr_scheduler_step(made, None)


def test_optimizer_and_schedule() -> None:
    assert isinstance(in_trainer().configure_optimizers(), torch.optim.Adam)
    length = {"max_steps": 8, "max_epochs": -1, "limit_train_batches": 1.0, "accumulate_grad_batches": 1}
    model = in_trainer(**length, datamodule=SimpleNamespace(batches_per_epoch=5), check_val_every_n_epoch=3)
    model.scheduler = cosine
    made = model.configure_optimizers()["lr_scheduler"]
    assert made["interval"] == "step" and set(made) == {"scheduler", "interval"}
    made["scheduler"].optimizer.step()
    for _ in range(4):
        made["scheduler"].step()
    assert made["scheduler"].get_last_lr()[0] == pytest.approx(0.5e-4)
    model.scheduler = partial(torch.optim.lr_scheduler.ReduceLROnPlateau, mode="max")
    made = model.configure_optimizers()["lr_scheduler"]
    assert (made["interval"], made["frequency"], made["monitor"]) == ("epoch", 3, "val/psnr")
    assert partial(cosine, total_steps=3) and model.with_total_steps(given := partial(cosine, total_steps=3)) is given


def test_names_of_published_weights() -> None:
    ours = next(iter(rgb().state_dict()))
    assert set(rgb().published_state({ours: torch.zeros(1), "x": torch.zeros(1)})) == {ours, "net.x"}
    assert set(ESPCN(scale=2).published_state({"x": torch.zeros(1)})) == {"net.net.x"}


def test_pictures_that_cannot_be_scored() -> None:
    small: Any = {"hr": torch.zeros(1, 3, 1, 1, dtype=torch.uint8), "name": ["a.png"]}
    with pytest.raises(PictureError, match=r"a\.png: "):
        rgb().score(small)
    narrow: Any = {"hr": torch.zeros(1, 3, 6, 6, dtype=torch.uint8), "name": ["b.png"]}
    with pytest.raises(PictureError, match=r"b\.png: cannot be scored by y_rgb8: "):
        Bicubic(scale=2).score(narrow)


def test_grey_pictures_are_three_equal_channels_to_rgb() -> None:
    hr = torch.randint(0, 256, (1, 1, 16, 20), dtype=torch.uint8)
    model = rgb()
    model.protocol = Protocol("direct", grey="direct")
    lr, sr, truth = model.reconstruct({"hr": hr, "name": ["a"]}, False)  # type: ignore[typeddict-item]
    assert lr.shape == (1, 1, 8, 10) and sr.shape == truth.shape == (1, 1, 16, 20)
    expected = model(lr.float().expand(-1, 3, -1, -1)).mean(1, keepdim=True)
    torch.testing.assert_close(sr, expected)


def test_a_checkpoint_says_who_wrote_it() -> None:
    checkpoint: dict[str, Any] = {}
    ESPCN(scale=2).on_save_checkpoint(checkpoint)
    assert checkpoint["sr_lightning"] == {"model": "sr_lightning.models.espcn.ESPCN", "version": __version__}


def test_weights_that_are_no_numbers_are_refused() -> None:
    model = ESPCN(scale=2)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.on_load_checkpoint({"state_dict": {**state, "other": torch.tensor(1.0)}})
    next(iter(state.values())).view(-1)[0] = math.nan
    with pytest.raises(CheckpointError, match="NaN"):
        model.on_load_checkpoint({"state_dict": state})


def test_the_scale_of_a_batch_reaches_the_network() -> None:
    batch: Any = {"lr": torch.rand(1, 3, 4, 4), "scale": 3}
    assert MDSR(scale=2, num_features=4, num_blocks=1).super_resolve(batch).shape == (1, 3, 12, 12)


def test_a_loss_of_several_terms() -> None:
    model, terms = ESPCN(scale=2), {"pixel": torch.tensor(1.0)}
    model.loss.terms = lambda sr, hr: terms  # type: ignore[assignment]
    assert model.loss_terms(torch.zeros(1), torch.zeros(1)) is terms


def test_metrics_of_networks_compare_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a luma protocol, too, which scores the rest as if they were not there."""

    class Distance(torch.nn.Module):
        def forward(self, sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
            return (sr - hr).abs().mean((1, 2, 3)) + sr.shape[1]

    monkeypatch.setattr(Protocol, "_distance", lambda self, metric: Distance())
    batch: Any = {"hr": torch.randint(0, 256, (1, 3, 24, 20), dtype=torch.uint8), "name": ["a"]}
    model = ESPCN(scale=2)
    model.protocol = Protocol("y", metrics=("psnr",), lr="y")
    sr, plain = model.score(batch)
    model.protocol = Protocol("y", metrics=("psnr", "lpips"), lr="y")
    again, both = model.score(batch)
    assert torch.equal(sr, again) and sr.shape[1] == 1 and both["psnr"] == plain["psnr"] and 3 < both["lpips"] < 4
    model.protocol = Protocol("y", metrics=("lpips",), lr="y")
    assert model.score(batch)[1] == {"lpips": both["lpips"]}


def test_a_picture_of_one_pixel_is_enlarged() -> None:
    hr = torch.randint(0, 256, (1, 3, 2, 2), dtype=torch.uint8)
    assert rgb().reconstruct({"hr": hr, "name": ["a"]}, False)[0].shape == (1, 3, 1, 1)  # type: ignore[typeddict-item]


@pytest.mark.parametrize(("fn", "sanity", "seen"), [("fit", False, [31.0]), ("fit", True, []), ("validate", False, [])])
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_schedules_that_wait_are_told_the_mean(fn: str, sanity: bool, seen: list[float]) -> None:
    model = in_trainer(state=SimpleNamespace(fn=fn), sanity_checking=sanity)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    plateau, told = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer), []
    plateau.step = told.append  # type: ignore[method-assign]
    other = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    model.lr_schedulers = lambda: [other, plateau]  # type: ignore[method-assign]
    model.log = lambda *_, **__: None  # type: ignore[method-assign]
    model._val_scores = {"val/psnr": [30.0, 32.0]}
    model.on_validation_epoch_end()
    assert told == seen and other.last_epoch == 0 and not model._val_scores
    model.lr_scheduler_step(plateau, 1.0)
    assert told == seen
    model.lr_scheduler_step(other, None)
    assert other.last_epoch == 1


def test_checkpoints_of_another_class(tmp_path: Path) -> None:
    model, file = ESPCN(scale=2), tmp_path / "a.ckpt"
    checkpoint = {
        "state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams), "pytorch-lightning_version": "2.6.0",
    }  # fmt: skip
    torch.save(checkpoint, file)
    with pytest.raises(TypeError, match="EDSR has no argument"):
        EDSR.load_from_checkpoint(file)
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, file)
    assert isinstance(ESPCN.load_from_checkpoint(str(file)), ESPCN)
    with pytest.raises(CheckpointError, match=r"a\.ckpt: written by sr_lightning.*ESPCN, does not fit EDSR"):
        EDSR.load_from_checkpoint(file)
    with pytest.raises(TypeError, match="EDSR has no argument"), file.open("rb") as stream:
        EDSR.load_from_checkpoint(stream)
