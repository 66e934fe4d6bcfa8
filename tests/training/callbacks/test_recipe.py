"""A resumed run keeps its optimizer and schedule, and a plateau has something to wait for."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sr_lightning.config import build, compose
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.training.building import build_model, build_trainer
from sr_lightning.training.fitting import fit

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


def fitted(folder: Path, *args: str, ckpt_path: Path | None = None) -> Any:
    cfg = compose("train", [*QUICK, *args, f"run_dir={folder}"])
    trainer = build_trainer(cfg, folder)
    fit(trainer, build_model(cfg), build(cfg.data), str(ckpt_path) if ckpt_path else None, folder)
    return trainer


@pytest.fixture(scope="module", params=MODELS)
def first(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """A network's overrides and the checkpoint of a run with Adam and a one-cycle schedule."""
    folder, model = tmp_path_factory.mktemp("first"), MODELS[request.param]
    fitted(folder, *model, "scheduler=onecycle", "trainer.max_epochs=1")
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
        fitted(tmp_path / "run", *model, *options, "trainer.max_epochs=2", ckpt_path=path)
    assert f"{path}: its {named.replace('{', '').replace('}', '')}" in str(error.value)
    assert str(error.value).endswith(f"or start a new run from its weights: init_from={path} without ckpt_path")


@pytest.mark.parametrize("old", [False, True], ids=["noted", "old"])
def test_the_same_goes_on(first: tuple[list[str], Path], old: bool, tmp_path: Path) -> None:
    model, path = first
    path = without_note(path, tmp_path) if old else path
    trainer = fitted(tmp_path / "run", *model, "scheduler=onecycle", "trainer.max_epochs=2", ckpt_path=path)
    assert trainer.global_step == 4 * len(trainer.optimizers)


def test_an_optimizer_of_a_subclass_is_another_one(first: tuple[list[str], Path], tmp_path: Path) -> None:
    """AdamW has the state of Adam, and would take it."""
    model, path = first
    options = ["scheduler=onecycle", "optimizer=adamw", "trainer.max_epochs=2"]
    with pytest.raises(CheckpointError, match="its optimizer is Adam, but AdamW is configured"):
        fitted(tmp_path, *model, *options, ckpt_path=path)


def test_other_groups_of_parameters(tmp_path: Path) -> None:
    fitted(tmp_path / "first", "model=espcn", "trainer.max_epochs=1")
    path = tmp_path / "first/checkpoints/last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    groups = checkpoint["optimizer_states"][0]["param_groups"]
    groups[0]["params"] += groups.pop()["params"]
    torch.save(checkpoint, path)
    with pytest.raises(CheckpointError, match=r"its optimizer has other groups of parameters .*init_from="):
        fitted(tmp_path / "run", "model=espcn", "trainer.max_epochs=2", ckpt_path=path)


def test_weights_alone_cannot_be_resumed(first: tuple[list[str], Path], tmp_path: Path) -> None:
    model, path = first
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["optimizer_states"], checkpoint["lr_schedulers"], checkpoint["callbacks"]
    torch.save(checkpoint, tmp_path / "weights.ckpt")
    with pytest.raises(CheckpointError, match=r"weights\.ckpt: holds only weights; start from them with init_from="):
        fitted(tmp_path / "run", *model, "trainer.max_epochs=2", ckpt_path=tmp_path / "weights.ckpt")


@pytest.mark.parametrize("model", MODELS)
def test_a_plateau_needs_validation(model: str, tmp_path: Path) -> None:
    options = [*MODELS[model], "scheduler=plateau", "trainer.max_epochs=1"]
    with pytest.raises(ConfigError, match=r"^scheduler=plateau waits for val/psnr, but this run has no validation; "):
        fitted(tmp_path, *options)
    fitted(tmp_path, *options, "trainer.limit_val_batches=1")


def rates(trainer: Any) -> list[float]:
    return [group["lr"] for optimizer in trainer.optimizers for group in optimizer.param_groups]


@pytest.mark.parametrize(
    ("before", "typed", "expected"),
    [
        # An ESPCN has two groups, the second at a tenth of the rate. Eight updates in all, four of them resumed.
        (["scheduler=none"], ["optimizer.lr=0.02"], 0.02),
        (["scheduler=multistep", "scheduler.milestones=[2,6]"], ["optimizer.lr=0.02"], 0.02 / 4),
        (["scheduler=multistep", "scheduler.milestones=[2,6]"], ["scheduler.milestones=[1,2,3]"], 0.01 / 8),
        (["scheduler=multistep", "scheduler.milestones=[2,6]"], ["scheduler.gamma=0.1"], 0.01 / 100),
        (["scheduler=multistep", "scheduler.milestones=[2,6]"], [], 0.01 / 4),
        (["scheduler=halve", "scheduler.step_size=3"], ["scheduler.step_size=1"], 0.01 / 256),
        (["scheduler=decay_to_floor", "scheduler.every=1"], ["scheduler.gamma=0.5", "scheduler.floor=0.0"], 0.01 / 256),
        (["scheduler=cosine"], ["scheduler.final=0.5"], 0.005),
        (["scheduler=plateau", "trainer.limit_val_batches=1"], ["optimizer.lr=0.02"], 0.02),
    ],
)
def test_what_is_typed_for_the_schedule_holds(
    before: list[str], typed: list[str], expected: float, tmp_path: Path
) -> None:
    """As if the schedule had begun with it."""
    common = ["model=espcn", "optimizer.lr=0.01", *before]
    fitted(tmp_path / "first", *common, "trainer.max_epochs=2")
    path = tmp_path / "first/checkpoints/last.ckpt"
    trainer = fitted(tmp_path / "run", *common, *typed, "trainer.max_epochs=4", ckpt_path=path)
    assert rates(trainer) == pytest.approx([expected, expected / 10])


@pytest.mark.parametrize(
    ("optimizer", "typed", "name", "expected"),
    [
        ("adam", "optimizer.betas=[0.5,0.9]", "betas", (0.5, 0.9)),
        ("adamw", "optimizer.weight_decay=0.1", "weight_decay", 0.1),
        ("adam", "optimizer.eps=1e-4", "eps", 1e-4),
        ("sgd", "optimizer.momentum=0.5", "momentum", 0.5),
    ],
)
def test_what_is_typed_for_the_optimizer_holds(
    optimizer: str, typed: str, name: str, expected: Any, tmp_path: Path
) -> None:
    common = ["model=espcn", f"optimizer={optimizer}", "optimizer.lr=1e-4"]
    fitted(tmp_path / "first", *common, "trainer.max_epochs=1")
    path = tmp_path / "first/checkpoints/last.ckpt"
    trainer = fitted(tmp_path / "run", *common, typed, "trainer.max_epochs=2", ckpt_path=path)
    assert [tuple(g[name]) if name == "betas" else g[name] for g in trainer.optimizers[0].param_groups] == [
        expected
    ] * 2


def test_what_is_typed_for_a_plateau_holds(tmp_path: Path) -> None:
    common = ["model=espcn", "scheduler=plateau", "trainer.limit_val_batches=1"]
    fitted(tmp_path / "first", *common, "trainer.max_epochs=2")
    path = tmp_path / "first/checkpoints/last.ckpt"
    before = torch.load(path, weights_only=True)["lr_schedulers"][0]
    typed = ["scheduler.patience=3", "scheduler.factor=0.1", "scheduler.threshold=5", "scheduler.min_lr=1e-7"]
    trainer = fitted(tmp_path / "run", *common, *typed, "trainer.max_epochs=3", ckpt_path=path)
    after = trainer.lr_scheduler_configs[0].scheduler.state_dict()
    assert (after["patience"], after["factor"], after["threshold"], after["min_lrs"]) == (3, 0.1, 5, [1e-7, 1e-7])
    assert after["last_epoch"] == before["last_epoch"] + 1 == 3


def test_a_typed_decay_of_the_moving_average_and_a_clipping_hold(tmp_path: Path) -> None:
    common = ["model=espcn", "callbacks=[default,ema,adjustable_clipping]"]
    fitted(tmp_path / "first", *common, "trainer.max_epochs=1")
    path = tmp_path / "first/checkpoints/last.ckpt"
    typed = ["callbacks.ema.decay=0.5", "callbacks.adjustable_clipping.theta=0.5", "trainer.max_epochs=2"]
    trainer = fitted(tmp_path / "run", *common, *typed, ckpt_path=path)
    assert next(c for c in trainer.callbacks if type(c).__name__ == "MovingAverage").decay == 0.5
    assert next(c for c in trainer.callbacks if type(c).__name__ == "AdjustableClipping").theta == 0.5


@pytest.mark.parametrize("scheduler", ["cosine", "onecycle", "multistep", "halve", "decay_to_floor", "plateau", "none"])
@pytest.mark.parametrize("model", MODELS)
def test_settings_that_nobody_changed_leave_every_bit(model: str, scheduler: str, tmp_path: Path) -> None:
    """The schedule and the weights of a resumed run are those of an unbroken one, a plateau's last step among them."""
    common = [*MODELS[model], f"scheduler={scheduler}", "trainer.limit_val_batches=1", "trainer.max_epochs=3"]
    if scheduler == "plateau":
        common += ["scheduler.patience=0", "scheduler.threshold=1e9"]
    fitted(tmp_path, *common, "callbacks.checkpoint.save_top_k=-1", "callbacks.checkpoint.filename='{epoch}'")
    whole = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    fitted(tmp_path / "again", *common, ckpt_path=tmp_path / "checkpoints/0.ckpt")
    again = torch.load(tmp_path / "again/checkpoints/last.ckpt", weights_only=True)
    assert whole["lr_schedulers"] == again["lr_schedulers"]
    assert [o["param_groups"] for o in whole["optimizer_states"]] == [
        o["param_groups"] for o in again["optimizer_states"]
    ]
    assert all(torch.equal(whole["state_dict"][name], again["state_dict"][name]) for name in whole["state_dict"])


def test_what_an_optimizer_counts_is_no_setting(tmp_path: Path) -> None:
    """Prodigy's groups hold its estimate of the distance and its step among the settings."""
    recipe = ["model=espcn", "scheduler=none", "optimizer._target_=pytorch_optimizer.Prodigy"]
    first = fitted(tmp_path / "a", *recipe, "trainer.max_epochs=1")
    again = fitted(tmp_path / "b", *recipe, "trainer.max_epochs=2", ckpt_path=tmp_path / "a/checkpoints/last.ckpt")
    steps = [trainer.optimizers[0].param_groups[0]["step"] for trainer in (first, again)]
    assert steps == [3, 5]


@pytest.mark.parametrize(
    ("entry", "value"),
    [("loops", {}), ("loops", {"fit_loop": 5}), ("optimizer_states", [{}]), ("lr_schedulers", []),
     ("lr_schedulers", [{}])],
)  # fmt: skip
def test_a_checkpoint_without_its_states_is_refused(entry: str, value: Any, tmp_path: Path) -> None:
    """Without the state of its schedule, a run would begin it anew and say nothing."""
    fitted(tmp_path, "model=espcn", "trainer.max_epochs=1")
    path = tmp_path / "checkpoints/last.ckpt"
    torch.save(torch.load(path, weights_only=True) | {entry: value}, path)
    with pytest.raises(CheckpointError, match=r"damaged: .* init_from="):
        fitted(tmp_path, "model=espcn", "trainer.max_epochs=2", ckpt_path=path)
