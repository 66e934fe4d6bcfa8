"""What training means: resumed runs, several processes, accumulation and averages give the same weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

from sr_lightning.callbacks import RandomState
from sr_lightning.data import Folder
from sr_lightning.models import ESPCN, SuperResolutionModule


class Noisy(ESPCN):
    """Draws from torch's random state in every step, as dropout would."""

    def training_losses(self, batch: Any) -> dict[str, torch.Tensor]:
        losses = super().training_losses(batch)
        return {"loss": losses["loss"] * (1 + 0.1 * torch.rand(()))}


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
    return Noisy(scale=2, num_features=8)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [4, 6, 9], ids=["first-epoch", "epoch-end", "middle"])
def test_a_resumed_run_ends_with_the_same_bits(picture_folder: Any, tmp_path: Path, stop: int, workers: int) -> None:
    folder = picture_folder()
    straight = new_model()
    trainer(tmp_path, callbacks=[RandomState()], enable_checkpointing=False).fit(straight, data(folder))

    keep = ModelCheckpoint(
        tmp_path, filename="stop", every_n_train_steps=stop, save_top_k=-1, auto_insert_metric_name=False
    )
    first = trainer(tmp_path, callbacks=[RandomState(), keep], max_steps=stop)
    first.fit(new_model(), data(folder, num_workers=workers))
    assert first.global_step == stop

    torch.manual_seed(999)  # a new process has another random state
    resumed = Noisy(scale=2, num_features=8)
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
    from sr_lightning.schedules import cosine

    model = ESPCN(scale=2, num_features=8, scheduler=cosine)
    run = trainer(tmp_path, enable_checkpointing=False, max_epochs=2)
    run.fit(model, data(picture_folder()))
    assert run.lr_scheduler_configs[0].scheduler.T_max == 12
    assert run.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_validation_mean_is_over_pictures(picture_folder: Any, tmp_path: Path) -> None:
    from sr_lightning.scoring import score_sets

    model, module = new_model(), data(picture_folder(), num_val=3)
    run = trainer(tmp_path, enable_checkpointing=False)
    run.validate(model, module, verbose=False)
    scores = score_sets(model, module)["held_out"]
    assert len(scores["images"]) == 3
    assert run.callback_metrics["val/psnr"].item() == pytest.approx(scores["psnr"], abs=1e-4)
    assert run.callback_metrics["val/held_out/psnr_y"].item() == pytest.approx(scores["psnr"], abs=1e-4)
    assert scores["psnr"] == pytest.approx(sum(v["psnr"] for v in scores["images"].values()) / 3)
