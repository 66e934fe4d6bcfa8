"""A resumed run keeps its optimizer and schedule, and a plateau has something to wait for."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sr_lightning import runs
from sr_lightning.config import build, compose
from sr_lightning.errors import CheckpointError, ConfigError

QUICK = [
    "data.batches_per_epoch=2", "data.batch_size=2", "data.num_workers=0", "data.patch_size=32", "trainer=cpu",
    "trainer.precision=32-true", "trainer.limit_val_batches=0", "trainer.enable_progress_bar=false", "logger=none",
]  # fmt: skip

MODELS = {
    "espcn": ["model=espcn"],
    "glean": [
        "model=glean", "scale=4", "model.out_size=32", "model.num_features=8", "model.growth_rate=4",
        "model.num_blocks=1", "model.style_channels=16", "model.cap=16",
    ],
}  # fmt: skip


def fit(folder: Path, *args: str, ckpt_path: Path | None = None) -> Any:
    cfg = compose("train", [*QUICK, *args, f"run_dir={folder}"])
    trainer = runs.build_trainer(cfg, folder)
    runs.fit(trainer, runs.build_model(cfg), build(cfg.data), str(ckpt_path) if ckpt_path else None, folder)
    return trainer


@pytest.fixture(scope="module", params=MODELS)
def first(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """A network's overrides and the checkpoint of a run with Adam and a one-cycle schedule."""
    folder, model = tmp_path_factory.mktemp("first"), MODELS[request.param]
    fit(folder, *model, "scheduler=onecycle", "trainer.max_epochs=1")
    return model, folder / "checkpoints" / "last.ckpt"


def without_note(path: Path, folder: Path) -> Path:
    """The checkpoint as earlier releases wrote it."""
    checkpoint = torch.load(path, weights_only=True)
    for part in ("optimizer", "scheduler"):
        assert len(checkpoint["sr_lightning"].pop(part)) == len(checkpoint["optimizer_states"])
    torch.save(checkpoint, folder / "old.ckpt")
    return folder / "old.ckpt"


@pytest.mark.parametrize("old", [False, True], ids=["noted", "old"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["scheduler=cosine"], "scheduler is {OneCycle}, but LambdaLR is configured"),
        (["scheduler=multistep"], "scheduler is {OneCycle}, but MultiStepLR is configured"),
        (["scheduler=plateau", "trainer.limit_val_batches=1"], "scheduler is {OneCycle}, but ReduceLROnPlateau is"),
        (["scheduler=onecycle", "optimizer=sgd"], "optimizer is {Adam}, but SGD is configured"),
    ],
)
def test_another_one_is_refused(
    first: tuple[list[str], Path], options: list[str], message: str, old: bool, tmp_path: Path
) -> None:
    model, path = first
    path = without_note(path, tmp_path) if old else path
    named = message.replace("{OneCycle}", "another one").replace("{Adam}", "another one") if old else message
    with pytest.raises(CheckpointError) as error:
        fit(tmp_path / "run", *model, *options, "trainer.max_epochs=2", ckpt_path=path)
    assert f"{path}: its {named.replace('{', '').replace('}', '')}" in str(error.value)
    assert str(error.value).endswith(f"or begin anew with its weights: init_from={path} without ckpt_path")


@pytest.mark.parametrize("old", [False, True], ids=["noted", "old"])
def test_the_same_goes_on(first: tuple[list[str], Path], old: bool, tmp_path: Path) -> None:
    model, path = first
    path = without_note(path, tmp_path) if old else path
    trainer = fit(tmp_path / "run", *model, "scheduler=onecycle", "trainer.max_epochs=2", ckpt_path=path)
    assert trainer.global_step == 4 * len(trainer.optimizers)


def test_an_optimizer_of_a_subclass_is_another_one(first: tuple[list[str], Path], tmp_path: Path) -> None:
    """AdamW has the state of Adam, and would take it."""
    model, path = first
    options = ["scheduler=onecycle", "optimizer=adamw", "trainer.max_epochs=2"]
    with pytest.raises(CheckpointError, match="its optimizer is Adam, but AdamW is configured"):
        fit(tmp_path, *model, *options, ckpt_path=path)


def test_other_groups_of_parameters(tmp_path: Path) -> None:
    fit(tmp_path / "first", "model=espcn", "trainer.max_epochs=1")
    path = tmp_path / "first/checkpoints/last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    groups = checkpoint["optimizer_states"][0]["param_groups"]
    groups[0]["params"] += groups.pop()["params"]
    torch.save(checkpoint, path)
    with pytest.raises(CheckpointError, match=r"its optimizer has other groups of parameters .*init_from="):
        fit(tmp_path / "run", "model=espcn", "trainer.max_epochs=2", ckpt_path=path)


def test_weights_alone_cannot_be_resumed(first: tuple[list[str], Path], tmp_path: Path) -> None:
    model, path = first
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["optimizer_states"], checkpoint["lr_schedulers"], checkpoint["callbacks"]
    torch.save(checkpoint, tmp_path / "weights.ckpt")
    with pytest.raises(CheckpointError, match=r"weights\.ckpt: holds weights alone; begin with them by init_from="):
        fit(tmp_path / "run", *model, "trainer.max_epochs=2", ckpt_path=tmp_path / "weights.ckpt")


@pytest.mark.parametrize("model", MODELS)
def test_a_plateau_needs_validation(model: str, tmp_path: Path) -> None:
    options = [*MODELS[model], "scheduler=plateau", "trainer.max_epochs=1"]
    with pytest.raises(ConfigError, match=r"^scheduler=plateau waits for val/psnr, but this run has no validation; "):
        fit(tmp_path, *options)
    fit(tmp_path, *options, "trainer.limit_val_batches=1")
