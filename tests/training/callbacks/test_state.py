"""What checkpoints remember."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from sr_lightning import tensor_files
from sr_lightning.config import build, compose
from sr_lightning.errors import CheckpointError
from sr_lightning.models import EDSR, ESPCN
from sr_lightning.training.building import build_model, build_trainer
from sr_lightning.training.callbacks import ModelCheckpoint, RandomState, SkipExploding
from sr_lightning.training.checkpoint_files import AtomicCheckpointIO
from sr_lightning.training.fitting import fit
from sr_lightning.weights.initialise import initialise


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


QUICK = [
    "model=espcn", "model.num_features=4", "data.batches_per_epoch=2", "data.batch_size=2", "data.num_workers=0",
    "data.patch_size=32", "trainer=cpu", "trainer.precision=32-true", "trainer.limit_val_batches=0", "logger=none",
    "trainer.enable_progress_bar=false", "callbacks=[checkpoint,random_state,skip_exploding,ema]",
]  # fmt: skip


def fitted(folder: Path, epochs: int, ckpt_path: Path | None = None) -> None:
    cfg = compose("train", [*QUICK, f"epochs={epochs}", f"run_dir={folder}"])
    trainer = build_trainer(cfg, folder)
    fit(trainer, build_model(cfg), build(cfg.data), str(ckpt_path) if ckpt_path else None, folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a state of everything."""
    folder = tmp_path_factory.mktemp("run")
    fitted(folder, 1)
    return folder / "checkpoints/last.ckpt"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        *(("callbacks.RandomState", value) for value in ("text", [1], None, {"cpu": 3}, {"cpu": torch.zeros(3)})),
        *(("callbacks.SkipExploding", value) for value in ("text", [1], None, {"previous": "?", "skipped": 0})),
        ("averaging_state", {}), ("loops.fit_loop", {}), ("optimizer_states", [{"param_groups": 3}]), ("epoch", None),
        ("pytorch-lightning_version", "?"), ("callbacks.SkipExploding", torch.zeros(3)),
        ("callbacks.MovingAverage.latest_update_step", "text"),
        ("loops.fit_loop.epoch_progress.total.ready", None), ("loops.fit_loop.epoch_progress.current.completed", -5),
        *(("loops.fit_loop.state_dict.combined_loader", state) for state in (True, [1], [{"epoch": 0, "batch": None}])),
    ],
)  # fmt: skip
def test_a_damaged_state_is_told(part: str, value: Any, trained: Path, tmp_path: Path) -> None:
    checkpoint = torch.load(trained, weights_only=True)
    *parents, last = part.split(".")
    place = checkpoint
    for parent in parents:
        place = place[parent]
    place[last] = value
    if last == "combined_loader":  # it is read where an epoch is not complete
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        progress["is_last_batch"], progress["current"] = False, dict.fromkeys(progress["current"], 1)
        checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"].update(processed=0, completed=0)
    torch.save(checkpoint, tmp_path / "bad.ckpt")
    with pytest.raises(CheckpointError) as error:
        fitted(tmp_path / "run", 2, tmp_path / "bad.ckpt")
    text = str(error.value)
    assert text.startswith(f"{tmp_path}/bad.ckpt: damaged") and "\n" not in text
    if f"start a new run from its weights: init_from={tmp_path}/bad.ckpt" in text:
        initialise(ESPCN(scale=2, num_features=4), tmp_path / "bad.ckpt")
    else:
        assert part == "epoch"


def test_errors_of_the_run_are_not_the_checkpoints(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise TypeError("of the run")

    monkeypatch.setattr(SkipExploding, "on_before_backward", fail)
    with pytest.raises(TypeError, match="of the run"):
        fitted(tmp_path, 2, trained)


def test_a_checkpoint_is_read_once(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(
        tensor_files.torch, "load", lambda path, *a, load=torch.load, **k: (read.append(path), load(path, *a, **k))[1]
    )
    fitted(tmp_path, 2, trained)
    assert read == [trained]
    assert AtomicCheckpointIO().load_checkpoint(trained)["epoch"] == 0


def test_other_files_than_the_checked_one_are_read(tmp_path: Path) -> None:
    """Processes that a strategy starts hand over their weights in a file, which the same object reads."""
    torch.save({"weight": torch.ones(1)}, tmp_path / "weights")
    io = AtomicCheckpointIO()
    io.checked = tmp_path / "last.ckpt", {"epoch": 3}
    assert io.load_checkpoint(tmp_path / "weights").keys() == {"weight"}
    assert io.load_checkpoint(str(tmp_path / "last.ckpt")) == {"epoch": 3} and io.checked is None


def test_a_checkpoint_is_not_kept_while_the_run_goes_on(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[weakref.ref[torch.Tensor]] = []

    def load(*args: Any, load: Any = torch.load, **options: Any) -> Any:
        checkpoint = load(*args, **options)
        read.extend(weakref.ref(value) for value in checkpoint["state_dict"].values())
        return checkpoint

    def look(*_: Any) -> None:
        gc.collect()
        assert read and not any(value() is not None for value in read)

    monkeypatch.setattr(tensor_files.torch, "load", load)
    monkeypatch.setattr(SkipExploding, "on_before_backward", look)
    fitted(tmp_path, 2, trained)


def test_a_random_state_comes_back() -> None:
    callback, state = RandomState(), RandomState().state_dict()
    expected = torch.rand(3)
    callback.load_state_dict(state)
    callback.on_train_start(Trainer(accelerator="cpu", logger=False), EDSR(num_features=4, num_blocks=1))
    assert torch.equal(torch.rand(3), expected)
