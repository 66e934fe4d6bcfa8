"""What training means: resumed runs, several processes, accumulation and averages give the same weights."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from sr_lightning.data import Folder
from sr_lightning.errors import CheckpointError, ConfigError, SRError
from sr_lightning.models import ESPCN, SuperResolutionModule
from sr_lightning.training.callbacks import AdjustableClipping, RandomState, SkipExploding, StopOnNaN
from sr_lightning.training.schedules import cosine
from sr_lightning.weights.initialise import initialise


class Noisy(ESPCN):
    """Draws from torch's random state in every step, as dropout would."""

    def training_losses(self, batch: Any) -> dict[str, torch.Tensor]:
        losses = super().training_losses(batch)
        return {"loss": losses["loss"] * (1 + 0.1 * torch.rand(()))}


class KilledError(Exception):
    """Stands for SIGKILL."""


class Kill(Callback):
    """Ends the process, as it were, after some steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            raise KilledError


def data(folder: Path, **options: Any) -> Folder:
    options = {"batch_size": 4, "batches_per_epoch": 6, "num_workers": 0, "patch_size": 24, "num_val": 1} | options
    return Folder(scale=2, hr_dir=str(folder), **options)


def trainer(tmp_path: Path, **options: Any) -> Trainer:
    options = {"max_epochs": 3, "accelerator": "cpu", "logger": False} | options
    return Trainer(
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path, num_sanity_val_steps=0,
        use_distributed_sampler=False, **options,
    )  # fmt: skip


def weights(model: SuperResolutionModule) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def new_model() -> Noisy:
    seed_everything(7, verbose=False)
    return Noisy(scale=2, num_features=8, scheduler=cosine)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [4, 6, 9], ids=["first-epoch", "epoch-end", "middle"])
def test_a_resumed_run_ends_with_the_same_bits(picture_folder: Any, tmp_path: Path, stop: int, workers: int) -> None:
    folder = picture_folder()
    straight = new_model()
    trainer(tmp_path, callbacks=[RandomState()], enable_checkpointing=False).fit(straight, data(folder))

    keep = ModelCheckpoint(
        tmp_path, filename="stop", every_n_train_steps=stop, save_top_k=-1, auto_insert_metric_name=False
    )
    # A run of the full length that is killed when it has written its checkpoint.
    first = trainer(tmp_path, callbacks=[RandomState(), keep, Kill(stop)])
    with pytest.raises(KilledError):
        first.fit(new_model(), data(folder, num_workers=workers))

    torch.manual_seed(999)  # a new process has another random state
    resumed = Noisy(scale=2, num_features=8, scheduler=cosine)
    second = trainer(tmp_path, callbacks=[RandomState()], enable_checkpointing=False)
    second.fit(resumed, data(folder, num_workers=workers), ckpt_path=tmp_path / "stop.ckpt", weights_only=True)
    assert second.global_step == 18
    assert torch.equal(weights(resumed), weights(straight))


def test_another_seed_is_another_run(picture_folder: Any, tmp_path: Path) -> None:
    folder, results = picture_folder(), []
    for seed in (1, 1, 2):
        seed_everything(7, verbose=False)
        model = ESPCN(scale=2, num_features=8)
        trainer(tmp_path, enable_checkpointing=False, max_epochs=1).fit(model, data(folder, seed=seed))
        results.append(weights(model))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_two_processes_are_one_with_the_double_batch(picture_folder: Any, tmp_path: Path) -> None:
    """DDP over gloo: the same global batch, so the same weights up to the order of summation."""
    folder, results = picture_folder(), []
    for batch_size, options in ((8, {}), (4, {"devices": 2, "strategy": "ddp_fork"})):
        seed_everything(7, verbose=False)
        model = ESPCN(scale=2, num_features=8)
        keep = ModelCheckpoint(tmp_path / str(batch_size), filename="end", save_last=True)
        run = trainer(tmp_path, callbacks=[keep], max_epochs=2, **options)
        run.fit(model, data(folder, batch_size=batch_size))
        state = torch.load(tmp_path / str(batch_size) / "last.ckpt", weights_only=True)["state_dict"]
        results.append(torch.cat([value.flatten() for value in state.values()]))
    torch.testing.assert_close(results[0], results[1], atol=2e-6, rtol=1e-4)


def test_layers_have_their_own_learning_rate() -> None:
    model = ESPCN(scale=2, last_layer_lr=0.1, optimizer=lambda groups: torch.optim.SGD(groups, lr=0.5))
    optimizer = model.configure_optimizers()
    by_size = {sum(p.numel() for p in g["params"]): g["lr"] for g in optimizer.param_groups}
    last = sum(p.numel() for p in model.net.net.upsampler.parameters())
    assert by_size[last] == pytest.approx(0.05)
    assert sorted(by_size.values()) == pytest.approx([0.05, 0.5])
    assert sum(by_size) == sum(p.numel() for p in model.parameters())


def test_schedule_knows_the_length_of_the_run(picture_folder: Any, tmp_path: Path) -> None:
    model = ESPCN(scale=2, num_features=8, scheduler=cosine)
    run = trainer(tmp_path, enable_checkpointing=False, max_epochs=2)
    run.fit(model, data(picture_folder()))
    assert run.global_step == 12
    assert run.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_validation_mean_is_over_pictures(picture_folder: Any, tmp_path: Path) -> None:
    from sr_lightning.evaluation.scoring import score_sets

    model, module = new_model(), data(picture_folder(), num_val=3)
    run = trainer(tmp_path, enable_checkpointing=False)
    run.validate(model, module, verbose=False)
    scores = score_sets(model, module)["held_out"]
    assert len(scores["images"]) == 3
    assert run.callback_metrics["val/psnr"].item() == pytest.approx(scores["psnr"], abs=1e-4)
    assert run.callback_metrics["val/held_out/psnr_y"].item() == pytest.approx(scores["psnr"], abs=1e-4)
    assert scores["psnr"] == pytest.approx(sum(v["psnr"] for v in scores["images"].values()) / 3)


# --- losses with several terms ----------------------------------------------------------------------------------------


def test_every_term_of_a_sum_is_logged(picture_folder: Any, tmp_path: Path) -> None:
    from sr_lightning.losses import FFTLoss, Mix

    seed_everything(7, verbose=False)
    mix = Mix({"l1": torch.nn.L1Loss(), "fft": FFTLoss()}, {"fft": 0.25})
    model = ESPCN(scale=2, num_features=8, loss=mix)
    run = trainer(tmp_path, enable_checkpointing=False, max_steps=1)
    run.fit(model, data(picture_folder()))
    logged = run.callback_metrics
    assert logged["train/l1"] > 0 and logged["train/fft"] > 0
    torch.testing.assert_close(logged["train/loss"], logged["train/l1"] + logged["train/fft"])


# --- schedules --------------------------------------------------------------------------------------------------------


def test_plateau_waits_for_psnr(picture_folder: Any, tmp_path: Path) -> None:
    from sr_lightning.config import build, compose

    plateau = build(compose("train", ["scheduler=plateau", "scheduler.patience=0", "scheduler.threshold=99"]).scheduler)
    model = ESPCN(scale=2, num_features=8, scheduler=plateau)
    run = trainer(tmp_path, enable_checkpointing=False, max_epochs=7, check_val_every_n_epoch=2)
    run.fit(model, data(picture_folder(), batches_per_epoch=1))
    # Validated after epochs 2, 4 and 6: the first is the best there was, no later one is 99 dB better.
    assert run.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-4 / 4)


def test_onecycle_keeps_the_ratio_of_the_layers(picture_folder: Any, tmp_path: Path) -> None:
    from sr_lightning.config import build, compose

    onecycle = build(compose("train", ["scheduler=onecycle"]).scheduler)
    model = ESPCN(scale=2, num_features=8, last_layer_lr=0.1, scheduler=onecycle)
    seen: list[tuple[float, float]] = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
            seen.append(tuple(g["lr"] for g in trainer.optimizers[0].param_groups))  # type: ignore[arg-type]

    trainer(tmp_path, enable_checkpointing=False, max_epochs=2, callbacks=[Watch()]).fit(model, data(picture_folder()))
    assert len(seen) == 12 and all(last == pytest.approx(0.1 * first) for first, last in seen)
    rates = [first for first, _ in seen]
    assert rates[0] == pytest.approx(1e-4 / 25) and max(rates) == pytest.approx(1e-4, rel=0.1) and rates[-1] < 1e-5


# --- clipping, skipping, stopping -------------------------------------------------------------------------------------


class Watched(ESPCN):
    """Its loss is multiplied in some steps."""

    factors: dict[int, float] = {}  # noqa: RUF012

    def training_losses(self, batch: Any) -> dict[str, torch.Tensor]:
        losses = super().training_losses(batch)
        return {"loss": losses["loss"] * self.factors.get(self.global_step, 1.0)}


def watched(factors: dict[int, float] | None = None, **recipe: Any) -> Watched:
    seed_everything(7, verbose=False)
    model = Watched(scale=2, num_features=8, **recipe)
    model.factors = factors or {}
    return model


class Gradients(Callback):
    """The gradients after all callbacks before this one."""

    def __init__(self) -> None:
        self.seen: list[list[torch.Tensor | None]] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        groups = [p for group in optimizer.param_groups for p in group["params"]]
        self.seen.append([None if p.grad is None else p.grad.clone() for p in groups])


@pytest.mark.parametrize("kind", ["norm", "value"])
def test_adjustable_clipping(kind: Any, picture_folder: Any, tmp_path: Path) -> None:
    folder, theta, rate = picture_folder(), 1e-3, 0.1
    before, after = Gradients(), Gradients()
    model = watched(optimizer=lambda groups: torch.optim.SGD(groups, lr=rate))
    callbacks = [before, AdjustableClipping(theta, kind), after]
    trainer(tmp_path, enable_checkpointing=False, max_steps=2, callbacks=callbacks).fit(model, data(folder))
    for raw, clipped in zip(before.seen, after.seen, strict=True):
        parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in raw if g is not None]
        for parameter, gradient in zip(parameters, raw, strict=True):
            parameter.grad = gradient
        total = torch.nn.utils.get_total_norm([g for g in raw if g is not None])
        assert total > theta / rate  # there is something to clip
        if kind == "norm":
            torch.nn.utils.clip_grad_norm_(parameters, theta / rate)
        else:
            # ESPCN's last layer learns at a tenth of the rate.
            for parameter, group_rate in zip(parameters, [rate] * 4 + [rate / 10] * 2, strict=True):
                torch.nn.utils.clip_grad_value_([parameter], theta / group_rate)
        for parameter, gradient in zip(parameters, clipped, strict=True):
            assert gradient is not None and parameter.grad is not None
            torch.testing.assert_close(gradient, parameter.grad)


def test_clipping_without_a_learning_rate_or_bound() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    optimizer = torch.optim.SGD([parameter], lr=0.0)  # the first step of a warm-up
    for kind in ("norm", "value"):
        AdjustableClipping(0.01, kind).on_before_optimizer_step(None, None, optimizer)  # type: ignore[arg-type]
    assert torch.equal(parameter.grad, torch.ones(2))
    with pytest.raises(ConfigError, match="theta=0"):
        AdjustableClipping(0)


@pytest.mark.parametrize(("factor", "options"), [(3.0, {}), (None, {"limit": 100.0}), (3.0, {"limit": None})])
def test_an_exploding_batch_makes_no_step(
    factor: float | None, options: dict[str, Any], picture_folder: Any, tmp_path: Path
) -> None:
    skip, after = SkipExploding(factor, **options), Gradients()
    model = watched({3: 1e5})
    seen: list[torch.Tensor] = []

    class Watch(Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            seen.append(weights(model).clone())

    run = trainer(tmp_path, enable_checkpointing=False, max_epochs=1, callbacks=[skip, after, Watch()])
    run.fit(model, data(picture_folder()))
    moved = [not torch.equal(a, b) for a, b in pairwise(seen)]
    assert moved == [True, True, False, True, True]  # momentum does not move them, either
    assert skip.skipped == 1 and all(g is None for g in after.seen[3])
    assert run.callback_metrics["train/skipped"] == 1


def test_skipping_is_remembered() -> None:
    skip, again = SkipExploding(), SkipExploding()
    skip.previous, skip.skipped = 0.25, 4
    again.load_state_dict(skip.state_dict())
    assert (again.previous, again.skipped) == (0.25, 4)


def test_all_ranks_skip_together(picture_folder: Any, tmp_path: Path) -> None:
    """One process explodes; both must leave the step out, or their weights part."""
    folder = picture_folder()

    class OneExplodes(Watched):
        def training_losses(self, batch: Any) -> dict[str, torch.Tensor]:
            losses = super().training_losses(batch)
            return {"loss": losses["loss"] * (1e5 if self.global_rank == 1 and self.global_step == 2 else 1)}

    seed_everything(7, verbose=False)
    model = OneExplodes(scale=2, num_features=8)
    keep = ModelCheckpoint(tmp_path / "ranks", every_n_train_steps=1, save_top_k=-1, filename="{step}")
    run = trainer(tmp_path, callbacks=[SkipExploding(), keep], max_steps=4, devices=2, strategy="ddp_fork")
    run.fit(model, data(folder))
    states = [torch.load(tmp_path / "ranks" / f"step={i}.ckpt", weights_only=True) for i in (1, 2, 3, 4)]
    flat = [torch.cat([v.flatten() for v in s["state_dict"].values()]) for s in states]
    assert [torch.equal(a, b) for a, b in pairwise(flat)] == [False, True, False]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run(bad: float, picture_folder: Any, tmp_path: Path) -> None:
    model, folder = watched({4: bad}), picture_folder()
    keep = ModelCheckpoint(tmp_path / "kept", save_last=True, every_n_train_steps=1)
    run = trainer(tmp_path, callbacks=[StopOnNaN(tmp_path / "run"), keep])
    with pytest.raises(SRError, match=rf"train/loss is {bad} in epoch 0, batch 4; .*nan_batch\.json"):
        run.fit(model, data(folder))
    noted = json.loads((tmp_path / "run" / "nan_batch.json").read_text())
    module = data(folder)
    module.setup("fit")
    names = list(module.train_dataloader())[4]["name"]
    assert noted == {"loss": str(bad), "epoch": 0, "batch": 4, "step": 4, "names": names}
    assert weights(model).isfinite().all() and run.global_step == 4  # not one ruined step


def test_nan_ends_the_command_with_one_sentence(tmp_path: Path) -> None:
    from sr_lightning.config import compose
    from sr_lightning.train import train

    overrides = ["model=fsrcnn", "data.batches_per_epoch=3", "optimizer.lr=1e30", "trainer=cpu", "logger=csv"]
    overrides += ["data.num_workers=0", "trainer.max_epochs=2", "trainer.enable_progress_bar=false"]
    with pytest.raises(SRError, match=r"train/loss is (nan|inf) .*nan_batch\.json"):
        train(compose("train", [*overrides, f"run_dir={tmp_path}"]))
    assert json.loads((tmp_path / "nan_batch.json").read_text())["names"]


# --- beginning with another run's weights -----------------------------------------------------------------------------


def saved(model: SuperResolutionModule, tmp_path: Path) -> Path:
    run = trainer(tmp_path, enable_checkpointing=False)
    run.strategy.connect(model)
    run.save_checkpoint(tmp_path / "first.ckpt")
    return tmp_path / "first.ckpt"


def taken(model: SuperResolutionModule, first: SuperResolutionModule) -> set[str]:
    """Names of the weights that both have alike; every weight was random before."""
    other = first.state_dict()
    return {k for k, v in model.state_dict().items() if k in other and torch.equal(v, other[k])}


def random_weights(model: SuperResolutionModule) -> SuperResolutionModule:
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return model


def test_fsrcnn_takes_all_but_the_deconvolution(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sr_lightning.models import FSRCNN

    first, model = random_weights(FSRCNN(scale=2)), random_weights(FSRCNN(scale=3))
    initialise(model, path := saved(first, tmp_path))
    assert set(model.state_dict()) - taken(model, first) == {"net.net.deconv.weight", "net.net.deconv.bias"}
    said = capsys.readouterr().out.splitlines()
    assert said == [f"init_from: 21 of 23 tensors from {path} (scale 2); new: net.net.deconv"]
    same_scale = random_weights(FSRCNN(scale=2))
    initialise(same_scale, path)
    assert taken(same_scale, first) == set(first.state_dict())


def test_edsr_takes_all_but_the_tail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sr_lightning.models import EDSR

    first, model = (random_weights(EDSR(scale=s, num_features=8, num_blocks=2)) for s in (2, 4))
    initialise(model, saved(first, tmp_path))
    new = set(model.state_dict()) - taken(model, first)
    assert new == {key for key in model.state_dict() if key.startswith("net.tail.")} and len(new) == 6
    assert "new: net.tail.0.0, net.tail.0.2, net.tail.1" in capsys.readouterr().out


def test_nothing_to_begin_with(tmp_path: Path) -> None:
    from sr_lightning.models import EDSR, FSRCNN

    path = saved(FSRCNN(scale=2), tmp_path)
    with pytest.raises(CheckpointError, match=r"init_from=.*first\.ckpt: it is of FSRCNN, which is not EDSR"):
        initialise(EDSR(scale=2, num_features=8, num_blocks=1), path)
    with pytest.raises(CheckpointError, match=r"none\.ckpt: no such file of weights"):
        initialise(FSRCNN(scale=2), tmp_path / "none.ckpt")


def test_init_from_is_a_key_of_the_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sr_lightning.config import compose
    from sr_lightning.models import FSRCNN
    from sr_lightning.train import train

    path = saved(FSRCNN(scale=2), tmp_path)
    overrides = ["model=fsrcnn", "scale=4", "trainer=debug", "trainer.limit_train_batches=1", "callbacks=none"]
    overrides += ["data.num_workers=0", "data.batch_size=2", "trainer.enable_progress_bar=false", "~logger"]
    train(compose("train", [*overrides, f"init_from={path}", f"run_dir={tmp_path / 'run'}"]))
    assert f"init_from: 21 of 23 tensors from {path}" in capsys.readouterr().out


# --- mixed scales -----------------------------------------------------------------------------------------------------


class AnyScaleNet(torch.nn.Module):
    """Bicubic enlargement to the scale asked for, and one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, lr: torch.Tensor, scale: int = 2) -> torch.Tensor:
        return self.conv(torch.nn.functional.interpolate(lr, scale_factor=scale, mode="bicubic"))  # type: ignore[no-any-return]


class AnyScale(SuperResolutionModule):
    multi_scale = True

    def __init__(self, scale: int = 2, **recipe: Any) -> None:
        super().__init__(AnyScaleNet(), scale=scale, **recipe)
        self.scales: list[int] = []

    def training_losses(self, batch: Any) -> dict[str, torch.Tensor]:
        assert batch["hr"].shape[-1] == batch["scale"] * batch["lr"].shape[-1] == 24
        self.scales.append(batch["scale"])
        return super().training_losses(batch)


def test_mixed_scales_train_one_network_and_resume(picture_folder: Any, tmp_path: Path) -> None:
    folder, results, scales = picture_folder(), [], []
    for stop in (None, 8):
        seed_everything(7, verbose=False)
        model, mixed = AnyScale(scale=2), data(folder, scales=[2, 3, 4], batches_per_epoch=6)
        if stop is None:
            trainer(tmp_path, enable_checkpointing=False, max_epochs=2).fit(model, mixed)
        else:
            keep = ModelCheckpoint(tmp_path, filename="mixed", every_n_train_steps=stop)
            trainer(tmp_path, callbacks=[keep], max_steps=stop).fit(model, mixed)
            first, model = model.scales, AnyScale(scale=2)
            again = data(folder, scales=[2, 3, 4], batches_per_epoch=6)
            run = trainer(tmp_path, enable_checkpointing=False, max_epochs=2)
            run.fit(model, again, ckpt_path=tmp_path / "mixed.ckpt", weights_only=True)
            model.scales = first + model.scales
        results.append(weights(model))
        scales.append(model.scales)
    assert scales[0] == scales[1] and len(scales[0]) == 12 and set(scales[0]) == {2, 3, 4}
    assert torch.equal(*results)


def test_networks_of_one_scale_refuse_mixed_scales(picture_folder: Any, tmp_path: Path) -> None:
    from sr_lightning.training.fitting import fit

    with pytest.raises(ConfigError, match=r"data\.scales=\[2, 3\]: Noisy has weights for one scale; .*scales=null"):
        fit(trainer(tmp_path), new_model(), data(picture_folder(), scales=[2, 3]), None, tmp_path)


def test_a_gpu_is_asked_before_anything_is_kept(tmp_path: Path) -> None:
    """There the answer is on its way while the next batch begins; no checkpoint is written before it is here."""

    class Event:
        waited = False

        def synchronize(self) -> None:
            self.waited = True

    for hook in ("on_save_checkpoint", "on_validation_start", "on_train_epoch_end"):
        stop, event = StopOnNaN(tmp_path / hook), Event()
        where = {"epoch": 3, "batch": 5, "step": 9, "names": ["a"]}
        stop._asked = (torch.tensor(0.5), torch.tensor(1.0), event.synchronize, where)  # type: ignore[assignment]
        with pytest.raises(SRError, match="train/loss is nan in epoch 3, batch 5"):  # that of another rank
            getattr(stop, hook)(*[None] * (3 if hook == "on_save_checkpoint" else 2))
        assert event.waited and not (tmp_path / hook).exists()  # the other rank writes its names
        getattr(stop, hook)(*[None] * (3 if hook == "on_save_checkpoint" else 2))  # said once
