"""What checkpoints remember."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from sr_lightning.callbacks import ChannelsLast, ModelCheckpoint
from sr_lightning.config import build, compose
from sr_lightning.models import EDSR, ESPCN


class Scored(ESPCN):
    """Has the validation scores that it is told, one for each epoch."""

    scores: tuple[float, ...] = ()

    def on_validation_epoch_end(self) -> None:
        self._val_scores.clear()
        self.log("val/psnr", self.scores[self.current_epoch])


def run(folder: Path, pictures: Path, scores: tuple[float, ...], ckpt_path: Path | None = None) -> ModelCheckpoint:
    cfg = compose("train", ["callbacks=checkpoint", f"run_dir={folder}"])
    keep: ModelCheckpoint = build(cfg.callbacks.checkpoint)
    data = build(
        compose("train", ["data=folder", f"data.hr_dir={pictures}", "data.num_val=1", "data.patch_size=24"]).data,
    )
    data.batches_per_epoch, data.batch_size, data.num_workers = 1, 1, 0
    model = Scored(scale=2, num_features=4)
    model.scores = scores
    trainer = Trainer(
        max_epochs=len(scores), accelerator="cpu", logger=False, callbacks=[keep], enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(model, data, ckpt_path=ckpt_path, weights_only=True if ckpt_path else None)
    return keep


@pytest.fixture
def first(picture_folder: Any, tmp_path: Path) -> tuple[Path, Path]:
    """A run whose best epoch is not its last, and its pictures."""
    pictures = picture_folder(count=2)
    assert run(tmp_path / "first", pictures, (20.0, 30.0, 25.0)).best_model_score == 30
    return tmp_path / "first" / "checkpoints", pictures


def test_last_is_the_last_and_best_the_best(first: tuple[Path, Path]) -> None:
    epochs = {name: torch.load(first[0] / f"{name}.ckpt", weights_only=True)["epoch"] for name in ("best", "last")}
    assert epochs == {"best": 1, "last": 2}


def test_the_best_stands_in_another_folder(first: tuple[Path, Path], tmp_path: Path) -> None:
    folder, pictures = first
    best = (folder / "best.ckpt").read_bytes()
    keep = run(tmp_path / "worse", pictures, (0.0, 0.0, 0.0, 28.0), folder / "last.ckpt")
    assert (keep.best_model_score, keep.best_model_path) == (30, str(folder / "best.ckpt"))
    assert [path.name for path in (tmp_path / "worse" / "checkpoints").iterdir()] == ["last.ckpt"]
    keep = run(tmp_path / "better", pictures, (0.0, 0.0, 0.0, 28.0, 31.0), folder / "last.ckpt")
    assert (keep.best_model_score, keep.best_model_path) == (31, str(tmp_path / "better/checkpoints/best.ckpt"))
    assert (folder / "best.ckpt").read_bytes() == best  # that of the run before is its own


@pytest.mark.parametrize("place", ["second", "first"])
def test_a_best_that_is_gone_is_forgotten(first: tuple[Path, Path], place: str, tmp_path: Path) -> None:
    folder, pictures = first
    (folder / "best.ckpt").unlink()
    keep = run(tmp_path / place, pictures, (0.0, 0.0, 0.0, 28.0), folder / "last.ckpt")
    assert (keep.best_model_score, keep.best_model_path) == (28, str(tmp_path / place / "checkpoints/best.ckpt"))
    assert torch.load(keep.best_model_path, weights_only=True)["epoch"] == 3


def test_convolutions_are_channels_last_and_buffers_are_not() -> None:
    model = EDSR(num_features=4, num_blocks=1)
    ChannelsLast().setup(Trainer(accelerator="cpu", logger=False), model, "fit")
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in model.parameters() if p.dim() == 4)
    assert model.net.shift.mean.stride() == (3, 1, 1, 1)
