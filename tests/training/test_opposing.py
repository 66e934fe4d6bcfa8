"""Any network against a discriminator: what is logged, saved and resumed, and that it does not collapse."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from omegaconf import DictConfig
from torch import nn
from torch.utils.data import DataLoader

from sr_lightning.config import build, compose
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.evaluation.scoring import count_parameters
from sr_lightning.functional import psnr
from sr_lightning.losses import LDL, Mix
from sr_lightning.models import EDSR, SuperResolutionModule
from sr_lightning.models.adversary import Adversary
from sr_lightning.train import train
from sr_lightning.training.building import build_model, build_trainer, prepare_run
from sr_lightning.training.fitting import fit
from sr_lightning.training.opposing import oppose
from sr_lightning.weights.load import load_model

TINY = ["model=edsr", "model.num_features=4", "model.num_blocks=1", "discriminator.num_features=4"]
QUICK = [
    "data=samples", "data.batch_size=2", "data.batches_per_epoch=3", "data.num_workers=0", "data.patch_size=32",
    "trainer=cpu", "trainer.precision=32-true", "trainer.enable_progress_bar=false", "trainer.limit_val_batches=0",
    "logger=none", "max_minutes=null", "learning_rate=1e-3",
]  # fmt: skip


def config(folder: Path, *overrides: str, discriminator: str = "unet_sn") -> DictConfig:
    return compose("train", [f"discriminator={discriminator}", *TINY, *QUICK, f"run_dir={folder}", *overrides])


def trained(cfg: DictConfig, *callbacks: Callback) -> tuple[SuperResolutionModule, Trainer]:
    """The network after the run that the config describes, as ``train`` makes it."""
    folder = Path(cfg.run_dir)
    folder.mkdir(exist_ok=True)
    prepare_run(cfg)
    data, model = build(cfg.data), build_model(cfg)
    oppose(cfg, model)
    trainer = build_trainer(cfg, folder)
    trainer.callbacks.extend(callbacks)  # type: ignore[attr-defined]
    fit(trainer, model, data, cfg.ckpt_path, folder)
    return model, trainer


def last(cfg: DictConfig) -> Path:
    return Path(cfg.run_dir) / "checkpoints" / "last.ckpt"


class KilledError(Exception):
    """Stands for SIGKILL."""


class Kill(Callback):
    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.current_epoch == 1:
            raise KilledError


@pytest.mark.parametrize(
    ("discriminator", "more"),
    [
        ("unet_sn", ["callbacks=[default,ema]", "callbacks.ema.decay=0.8"]),
        ("patch", ["adversarial.gan=hinge", "discriminator.num_layers=1"]),
        ("vgg", ["adversarial.gan=relativistic", "scheduler=onecycle"]),
    ],
)
def test_a_killed_run_goes_on_to_the_same_bits(discriminator: str, more: list[str], tmp_path: Path) -> None:
    more = ["epochs=2", *more]
    whole, trainer = trained(config(tmp_path / "whole", *more, discriminator=discriminator))
    halves = config(tmp_path / "halves", *more, discriminator=discriminator)
    with pytest.raises(KilledError):
        trained(halves, Kill())
    resumed, _ = trained(config(tmp_path / "halves", *more, f"ckpt_path={last(halves)}", discriminator=discriminator))
    ours, theirs = resumed.state_dict(), whole.state_dict()
    assert any(name.startswith("discriminator.") for name in ours) and ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    logged = trainer.callback_metrics
    assert {f"train/{name}" for name in ("loss", "pixel", "gan", "discriminator", "real", "fake")} <= logged.keys()
    torch.testing.assert_close(logged["train/loss"], logged["train/pixel"] + logged["train/gan"])


def test_its_checkpoint_is_that_of_the_plain_network(tmp_path: Path) -> None:
    cfg = config(tmp_path / "run", "epochs=1")
    model, _ = trained(cfg)
    plain = EDSR(scale=2, num_features=4, num_blocks=1)
    assert count_parameters(model) == count_parameters(plain)
    checkpoint = torch.load(last(cfg), weights_only=True)
    assert checkpoint["state_dict"].keys() == plain.state_dict().keys() and checkpoint["discriminator"]
    lr = torch.rand(1, 3, 8, 8)
    for again in (load_model(last(cfg)), EDSR.load_from_checkpoint(last(cfg))):
        assert type(again) is EDSR and again.adversary is None
        torch.testing.assert_close(again.eval()(lr), model.eval()(lr))  # layouts in memory differ
    without = compose("train", [*TINY[:-1], *QUICK, "epochs=2", f"ckpt_path={last(cfg)}", f"run_dir={tmp_path / 'b'}"])
    with pytest.raises(CheckpointError, match=r"had a discriminator; choose the same .*init_from="):
        trained(without)


def test_a_run_without_one_is_not_resumed_with_one(tmp_path: Path) -> None:
    cfg = compose("train", [*TINY[:-1], *QUICK, "epochs=1", f"run_dir={tmp_path / 'run'}"])
    trained(cfg)
    with pytest.raises(CheckpointError, match=r"last\.ckpt: its run had no discriminator; leave discriminator= out"):
        trained(config(tmp_path / "with", "epochs=2", f"ckpt_path={last(cfg)}"))


def test_what_cannot_be_opposed_is_told() -> None:
    def refused(*overrides: str) -> Any:
        cfg = compose("train", ["discriminator=patch", *overrides])
        return oppose(cfg, build_model(cfg))

    with pytest.raises(ConfigError, match=r"^discriminator: LapSRN trains in a way of its own, without one; leave"):
        refused("model=lapsrn")
    own = pytest.raises(ConfigError, match=r"^discriminator: GLEAN has one of its own; type discriminator=none")
    with torch.device("meta"), own:
        refused("model=glean", "scale=4", "model.out_size=32")
    with pytest.raises(ConfigError, match=r"adversarial\.weight=-1: must be"):
        refused("model=espcn", "adversarial.weight=-1")


@pytest.mark.parametrize(
    ("discriminator", "side", "count", "cure"),
    [
        ("unet_sn", 4, 2, "type data.patch_size=8 or more"),
        ("patch", 20, 2, "type data.patch_size=24 or more"),
        ("patch", 16, 1, "type data.patch_size=24 or more"),
        ("vgg", 24, 2, "type data.patch_size=32 or more"),
        ("vgg", 32, 1, "type data.patch_size=64 or more, or data.batch_size=2 and data.patch_size=32 or more"),
    ],
)
def test_patches_too_small_to_judge_are_told(discriminator: str, side: int, count: int, cure: str) -> None:
    """The least that is named is right: one pixel less ends in torch's own error."""

    def opposed(side: int, count: int) -> Any:
        sizes = (f"data.patch_size={side}", f"data.batch_size={count}")
        cfg = config(Path("run"), *sizes, "scale=1", discriminator=discriminator)
        model = EDSR(scale=1, num_features=4, num_blocks=1)
        oppose(cfg, model)
        return model.discriminator

    with pytest.raises(ConfigError, match=rf"^discriminator: \w+ cannot judge .* {side}x{side} pixels; {cure}$"):
        opposed(side, count)
    least = int(cure.split("=")[1].split()[0])
    judge = opposed(least, count)
    assert judge(torch.rand(count, 3, least, least)).isfinite().all()
    with pytest.raises((RuntimeError, ValueError)):
        judge(torch.rand(count, 3, least - 1, least - 1))


def test_parts_of_patches_too_small_to_judge_are_told(tmp_path: Path) -> None:
    parts = ["callbacks=[default,progressive_patches]", "callbacks.progressive_patches.parts=[[0,2],[0.5,1]]"]
    with pytest.raises(ConfigError, match=r"8 pictures of 16x16 pixels; type data\.patch_size=48 or more$"):
        trained(config(tmp_path / "run", "epochs=1", *parts, discriminator="patch"))


@pytest.mark.parametrize("typed", ["adversarial.weight=1", "adversarial.gan=foo"])
def test_settings_of_no_discriminator_are_refused(typed: str) -> None:
    cfg = compose("train", ["model=espcn", typed])
    with pytest.raises(ConfigError, match=rf"^{typed}: there is no discriminator=, .*add discriminator=unet_sn, patch"):
        oppose(cfg, build_model(cfg))
    own = pytest.raises(ConfigError, match=rf"^{typed}: .*GLEAN has a discriminator of its own: type model\.gan= and")
    with torch.device("meta"), own:
        oppose(cfg := compose("train", ["model=glean", "scale=4", "model.out_size=32", typed]), build_model(cfg))


def test_an_unknown_kind_is_told_by_its_key() -> None:
    cfg = compose("train", ["model=espcn", "discriminator=patch", "adversarial.gan=foo"])
    with pytest.raises(ConfigError, match=r"^adversarial\.gan=foo: must be vanilla"):
        oppose(cfg, build_model(cfg))
    cfg = compose("train", ["model=glean", "scale=4", "model.out_size=32", "model.gan=foo"])
    with torch.device("meta"), pytest.raises(ConfigError, match=r"^model\.gan=foo: must be vanilla"):
        build_model(cfg)


# --- on tiny pictures -------------------------------------------------------------------------------------------------


class Judge(nn.Sequential):
    """Outputs for patches."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 8, 4, 2), nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 4, 2))


def smooth_pictures(count: int, side: int = 24) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(count, 3, 4, 4, generator=generator)
    hr = nn.functional.interpolate(small, (side, side), mode="bicubic").clamp(0, 1)
    hr = (hr + 0.05 * torch.randn(hr.shape, generator=generator)).clamp(0, 1)
    return [{"lr": lr, "hr": hr, "name": "a"} for lr, hr in zip(nn.functional.avg_pool2d(hr, 2), hr, strict=True)]


def short_run(model: SuperResolutionModule, folder: Path, steps: int, **options: Any) -> Trainer:
    trainer = Trainer(
        max_steps=2 * steps, accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, default_root_dir=folder, **options,
    )  # fmt: skip
    trainer.fit(model, DataLoader(smooth_pictures(32), batch_size=8))  # type: ignore[arg-type]
    return trainer


@pytest.mark.parametrize("gan", ["vanilla", "lsgan", "hinge", "relativistic"])
def test_a_small_training_does_not_collapse(gan: Any, tmp_path: Path) -> None:
    """The mean colour stays, PSNR stays above a floor, and the discriminator's outputs stay near each other."""
    seed_everything(0, verbose=False)
    model = EDSR(scale=2, num_features=8, num_blocks=1, optimizer=lambda groups: torch.optim.Adam(groups, lr=2e-3))
    Adversary(gan, weight=0.02).oppose(model, Judge())
    logged = short_run(model, tmp_path, 50).callback_metrics
    lr, hr = (torch.stack([pair[key] for pair in smooth_pictures(32)]) for key in ("lr", "hr"))
    with torch.inference_mode():
        sr = model.eval()(lr)
    assert (sr.mean((0, 2, 3)) - hr.mean((0, 2, 3))).abs().max() < 0.02
    assert psnr(sr.clamp(0, 1), hr).mean() > 17
    assert (logged["train/real"] - logged["train/fake"]).abs() < 2
    assert 0.2 < logged["train/discriminator"] < 4


def test_half_precision_gives_neither_black_nor_grey(tmp_path: Path) -> None:
    outputs = {}
    for precision in ("32-true", "bf16-mixed"):
        seed_everything(0, verbose=False)
        model = EDSR(scale=2, num_features=8, num_blocks=1, optimizer=lambda groups: torch.optim.Adam(groups, lr=1e-3))
        Adversary(weight=0.02).oppose(model, build(compose("train", ["discriminator=unet_sn", TINY[-1]]).discriminator))
        short_run(model, tmp_path, 15, precision=precision)
        lr = torch.stack([pair["lr"] for pair in smooth_pictures(4)])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision != "32-true"):
            outputs[precision] = model.eval()(lr).float()
    full, half = outputs.values()
    assert full.std() > 0.1 and (half.std() / full.std() - 1).abs() < 0.1
    assert (half.mean((0, 2, 3)) - full.mean((0, 2, 3))).abs().max() < 0.02


def test_ldl_compares_with_the_moving_average(tmp_path: Path) -> None:
    seen = []

    class Watch(LDL):
        def forward(self, sr: Any, hr: Any) -> Any:
            assert self.average is not None
            seen.append((sr.detach(), self.average()))
            return super().forward(sr, hr)

    cfg = config(
        tmp_path / "run",
        "epochs=1",
        "callbacks=[default,ema]",
        "callbacks.ema.decay=0.5",
        "callbacks.channels_last.when=never",
    )
    prepare_run(cfg)
    data, model = build(cfg.data), build_model(cfg)
    model.loss = Mix({"pixel": nn.L1Loss(), "ldl": Watch()})
    oppose(cfg, model)
    trainer = build_trainer(cfg, tmp_path)
    fit(trainer, model, data, None, tmp_path)
    assert len(seen) == 3 and torch.allclose(*seen[0], atol=1e-5)
    assert not torch.allclose(*seen[2], atol=1e-5)  # the first update copies the weights
    assert all(not average.requires_grad for _, average in seen)
    assert not any("average" in name for name in model.state_dict())
    without = compose("train", [*TINY[:-1], *QUICK, "loss=ldl", "epochs=1", f"run_dir={tmp_path / 'without'}"])
    with pytest.raises(ConfigError, match=r"ldl compares with the moving average"):
        trained(without)


def test_a_whole_run_ends_with_its_scores(tmp_path: Path) -> None:
    """The best checkpoint, which has the discriminator apart, is loaded into the network that has it."""
    overrides = ["trainer.limit_val_batches=1.0", "epochs=1", "data.batches_per_epoch=1", "name=tiny"]
    train(config(tmp_path / "run", *overrides, discriminator="patch"))
    assert json.loads((tmp_path / "run" / "results.json").read_text())["sets"]["samples"]["psnr"] > 0
