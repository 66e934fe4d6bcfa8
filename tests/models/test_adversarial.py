"""Training against a discriminator: losses, logs, schedules, and what Lightning cannot do there."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader

from sr_lightning.errors import ConfigError
from sr_lightning.losses import FFTLoss, Mix, discriminator_loss, generator_loss
from sr_lightning.losses.gan import Kind
from sr_lightning.models.adversarial import AdversarialModule
from sr_lightning.models.espcn import ESPCN
from sr_lightning.training.callbacks import AdjustableClipping
from sr_lightning.training.schedules import cosine

KINDS = get_args(Kind)


class Judge(nn.Sequential):
    """Logits of pictures."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 7 * 7, 1))


class Small(AdversarialModule):
    """ESPCN against a few layers."""

    def __init__(self, adversarial: bool = True, **options: Any) -> None:
        seed_everything(3, verbose=False)
        net = ESPCN(scale=2, channels=3, num_features=8).net
        super().__init__(net, Judge() if adversarial else None, scale=2, **options)


class Pairs(LightningDataModule):
    """Six batches, of which the trainer is told or not."""

    def __init__(self, told: bool = True) -> None:
        super().__init__()
        if told:
            self.batches_per_epoch = 6

    def pairs(self, count: int) -> list[dict[str, Any]]:
        generator = torch.Generator().manual_seed(0)
        return [
            {"lr": torch.rand(3, 8, 8, generator=generator), "hr": torch.rand(3, 16, 16, generator=generator)}
            for _ in range(count)
        ]

    def train_dataloader(self) -> Any:
        return DataLoader([{**pair, "name": "a"} for pair in self.pairs(12)], batch_size=2)

    def val_dataloader(self) -> Any:
        whole = [{key: (255 * value).byte() for key, value in pair.items()} for pair in self.pairs(2)]
        return DataLoader([{**pair, "name": "a"} for pair in whole])


def fit(model: AdversarialModule, tmp_path: Path, told: bool = True, **options: Any) -> Trainer:
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False, num_sanity_val_steps=0,
        enable_model_summary=False, default_root_dir=tmp_path, **options,
    )  # fmt: skip
    trainer.fit(model, datamodule=Pairs(told))
    return trainer


@pytest.mark.parametrize("kind", KINDS)
def test_both_steps_minimise_the_loss_asked_for(kind: Any, tmp_path: Path) -> None:
    model = Small(gan=kind, gan_weight=0.5, optimizer=lambda groups: torch.optim.SGD(groups, lr=0.0))
    trainer = fit(model, tmp_path, max_steps=2)
    batch: Any = next(iter(Pairs().train_dataloader()))
    fake, real = (model.discriminator(2 * picture - 1) for picture in (model(batch["lr"]), batch["hr"]))  # type: ignore[misc]
    logged = trainer.callback_metrics
    torch.testing.assert_close(logged["train/gan"], 0.5 * generator_loss(fake, real, kind).detach())
    torch.testing.assert_close(logged["train/discriminator"], discriminator_loss(fake, real, kind).detach())


@pytest.mark.parametrize("kind", KINDS)
def test_both_learn_from_it(kind: Any, tmp_path: Path) -> None:
    model = Small(gan=kind, gan_weight=1.0, loss=Mix({"nothing": nn.L1Loss()}, {"nothing": 0.0}))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fit(model, tmp_path, max_steps=2)
    changed = {key.split(".")[0] for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"net", "discriminator"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_generators_step_leaves_the_discriminator_alone(kind: Any) -> None:
    model, judge = Small(gan=kind), Judge()
    batch: Any = next(iter(Pairs().train_dataloader()))
    model.adversary.of_generator(
        judge, model.discriminator_input(model(batch["lr"])), model.discriminator_input(batch["hr"])
    ).backward()
    assert all(p.grad is None and p.requires_grad for p in judge.parameters())
    assert all(p.grad is not None for p in model.net.parameters())


def test_another_loss_is_refused() -> None:
    with pytest.raises(ConfigError, match="gan=wgan: must be vanilla, lsgan, hinge or relativistic"):
        Small(gan="wgan")


@pytest.mark.parametrize("name", ["gan", "discriminator", "real", "fake"])
def test_a_term_does_not_take_the_name_of_the_adversarial_loss(name: str) -> None:
    mix = Mix({name: nn.L1Loss()})
    with pytest.raises(ConfigError, match=rf"loss\.losses\.{name}: choose another name, because train/{name} logs"):
        Small(loss=mix)
    Small(adversarial=False, loss=mix)


@pytest.mark.parametrize("adversarial", [True, False])
def test_every_term_is_logged_and_the_total(adversarial: bool, tmp_path: Path) -> None:
    mix = Mix({"l1": nn.L1Loss(), "fft": FFTLoss()}, {"fft": 0.25})
    logged = fit(Small(adversarial, loss=mix), tmp_path, max_steps=1).callback_metrics
    terms = ["train/l1", "train/fft", *(["train/gan"] if adversarial else [])]
    assert all(logged[name] > 0 for name in terms) and "train/pixel" not in logged
    torch.testing.assert_close(logged["train/loss"], sum((logged[name] for name in terms), torch.zeros(())))


def test_a_loss_of_one_term_is_told_from_the_total(tmp_path: Path) -> None:
    logged = fit(Small(), tmp_path, max_steps=2).callback_metrics
    torch.testing.assert_close(logged["train/loss"], logged["train/pixel"] + logged["train/gan"])


def test_a_learning_rate_that_cannot_be(tmp_path: Path) -> None:
    model = Small(optimizer=lambda groups: torch.optim.Adam(groups, lr=-1.0))
    with pytest.raises(ConfigError, match=r"^optimizer: Invalid learning rate: -1\.0$"):
        fit(model, tmp_path, max_steps=2)


def test_layers_of_the_generator_have_their_own_learning_rate(tmp_path: Path) -> None:
    class Slow(Small):
        def parameter_groups(self) -> Any:
            return self.slower("net", 0.1)  # every layer of the generator, none of the discriminator

    generator, discriminator = Slow().configure_optimizers()
    rates = [group["lr"] for group in generator.param_groups if group["params"]]
    assert rates == [pytest.approx(1e-5)] and discriminator.param_groups[0]["lr"] == 1e-4
    for optimizer, network in ((generator, Slow().net), (discriminator, Judge())):
        found = sum(p.numel() for group in optimizer.param_groups for p in group["params"])
        assert found == sum(p.numel() for p in network.parameters())


# --- schedules --------------------------------------------------------------------------------------------------------


def rates(trainer: Trainer) -> list[float]:
    return [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]


def test_plateau_waits_for_psnr(tmp_path: Path) -> None:
    def plateau(optimizer: Any) -> ReduceLROnPlateau:
        return ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=0, threshold=99, threshold_mode="abs")

    trainer = fit(Small(scheduler=plateau), tmp_path, max_epochs=2)
    # The first epoch is the best there was, the second is not 99 dB better.
    assert rates(trainer) == pytest.approx([0.5e-4, 0.5e-4])
    trainer.validate(trainer.lightning_module, datamodule=Pairs(), verbose=False)
    assert rates(trainer) == pytest.approx([0.5e-4, 0.5e-4])


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(
    ("options", "adversarial", "batches"),
    [
        ({"max_epochs": 2}, True, 12),
        ({"max_steps": 8}, True, 4),
        ({"max_steps": 7}, True, 4),
        ({"max_steps": 16, "max_epochs": 1}, True, 6),
        ({"max_steps": 10, "max_epochs": 1}, True, 5),
        ({"max_steps": 4}, False, 4),
    ],
)
def test_a_schedule_ends_with_the_run(
    options: dict[str, int], adversarial: bool, batches: int, told: bool, tmp_path: Path
) -> None:
    seen: list[list[float]] = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            seen.append(rates(trainer))

    fit(Small(adversarial, scheduler=cosine), tmp_path, told, callbacks=[Watch()], **options)
    assert len(seen) == batches
    assert seen[-1] == pytest.approx([0.0] * (1 + adversarial), abs=1e-12) and min(seen[-2]) > 1e-6


# --- what a trainer's settings mean -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gradient_clip_val": 0.1}, r"^trainer\.gradient_clip_val=0\.1: Small makes .*; set .*=null$"),
        ({"accumulate_grad_batches": 2}, r"^trainer\.accumulate_grad_batches=2: Small makes .*; set .*=1$"),
    ],
)
def test_what_manual_steps_leave_out(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        fit(Small(), tmp_path, max_steps=2, **options)
    fit(Small(), tmp_path, max_steps=2, gradient_clip_val=0, accumulate_grad_batches=1)


def test_adjustable_clipping_holds_for_both(tmp_path: Path) -> None:
    norms: list[float] = []

    class Watch(Callback):
        def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
            gradients: list[Tensor] = [p.grad for group in optimizer.param_groups for p in group["params"]]
            norms.append(float(torch.nn.utils.get_total_norm(gradients)))

    model = Small(gan_weight=1.0, optimizer=lambda groups: torch.optim.SGD(groups, lr=1.0))
    fit(model, tmp_path, max_steps=2, callbacks=[AdjustableClipping(1e-4), Watch()])
    assert norms == pytest.approx([1e-4, 1e-4], rel=1e-3)
