"""What docs/guarantees.md promises, where no other test holds it; and that every test it names exists."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from PIL import Image
from torch.utils.data import DataLoader

from sr_lightning.config import build, compose
from sr_lightning.data import Folder
from sr_lightning.data.prepare.shard_writing import write_shards
from sr_lightning.errors import Interrupted
from sr_lightning.models import ESPCN
from sr_lightning.training.building import build_model, build_trainer, prepare_run
from sr_lightning.training.callbacks import StopAtSignal
from sr_lightning.training.fitting import fit

ROOT = Path(__file__).resolve().parents[1]
QUICK = [
    "trainer=cpu", "trainer.precision=32-true", "trainer.max_epochs=3", "trainer.enable_progress_bar=false",
    "trainer.limit_val_batches=1", "trainer.num_sanity_val_steps=0", "logger=none", "learning_rate=0.01",
    "data.batches_per_epoch=4", "data.batch_size=2", "data.num_workers=0", "data.patch_size=24",
]  # fmt: skip
ESPCN_4 = ["model=espcn", "model.num_features=4"]
VDSR = ["model=vdsr", "model.num_features=4", "model.num_layers=3"]
MOSAIC = ["model=rawsr_tiny", "model.num_features=8", "model.growth_rate=4", "model.num_layers=1", "protocol=rawsr"]
LIIF = [
    "model=liif", "model.trunk_args={num_features: 4, num_blocks: 1}", "model.hidden_features=8",
    "model.num_queries=50",
]  # fmt: skip
GLEAN = [
    "model=glean", "scale=4", "model.out_size=32", "model.num_features=4", "model.growth_rate=4", "model.num_blocks=1",
    "model.style_channels=8", "model.cap=8", "data.patch_size=32",
]  # fmt: skip
EMA = ["callbacks=[default,ema]", "callbacks.ema.decay=0.8"]
#: What is trained on, and how.
COMBINATIONS: dict[str, list[str]] = {
    "samples, Adam, cosine": ["data=samples", *ESPCN_4, "scheduler=cosine"],
    "folder, AdamW, multistep, a worker": [
        "data=folder", *ESPCN_4, "optimizer=adamw", "scheduler=multistep", "scheduler.milestones=[3,7]",
        "data.num_workers=1",
    ],
    "HDF5, SGD, halve, two workers": [
        "data=hdf5", *ESPCN_4, "optimizer=sgd", "scheduler=halve", "scheduler.step_size=3", "data.num_workers=2",
    ],
    "mixture, SOAP, one cycle": ["data=mixture", *ESPCN_4, "optimizer=soap", "scheduler=onecycle"],
    "shards, Adam, cosine, a worker": ["data=shards", *ESPCN_4, "scheduler=cosine", "data.num_workers=1"],
    "shards, SGD, EMA, two workers": ["data=shards", *ESPCN_4, "optimizer=sgd", *EMA, "data.num_workers=2"],
    "T91 and BSD200, Adam, plateau": ["data=t291", *ESPCN_4, "scheduler=plateau", "scheduler.patience=0"],
    "photographs, AdamW, cosine": ["data=raw_synthesis", *MOSAIC, "optimizer=adamw", "scheduler=cosine"],
    "photographs without end, accumulated, a worker": [
        "data=raw_synthesis", *MOSAIC, "data.versions=null", "scheduler=onecycle", "trainer.accumulate_grad_batches=2",
        "data.num_workers=1",
    ],
    "pair list, SGD, decay to a floor": [
        "data=pair_list", *ESPCN_4, "optimizer=sgd", "scheduler=decay_to_floor", "scheduler.every=2",
    ],
    "folder, Adam, cosine, EMA, accumulated": [
        "data=folder", *ESPCN_4, "scheduler=cosine", *EMA, "trainer.accumulate_grad_batches=2",
    ],
    "mixed scales, SGD, adjustable clipping": [
        "data=folder", *VDSR, "data.scales=[2,3]", "optimizer=sgd", "scheduler=multistep", "scheduler.milestones=[5]",
        "callbacks=[default,adjustable_clipping]",
    ],
    "any scale, Adam, multistep, a worker": [
        "data=folder", *LIIF, "data.scales=1-2", "scheduler=multistep", "scheduler.milestones=[5]",
        "data.num_workers=1",
    ],
    "GAN, Adam, one cycle": ["data=folder", *GLEAN, "scheduler=onecycle"],
    "relativistic GAN, plateau": [
        "data=folder", *GLEAN, "model.gan=relativistic", "scheduler=plateau", "scheduler.patience=0",
    ],
    "HDF5, SOAP, EMA, accumulated, a worker": [
        "data=hdf5", *ESPCN_4, "optimizer=soap", *EMA, "trainer.accumulate_grad_batches=2", "data.num_workers=1",
    ],
    "random degradation, AdamW, two workers": [
        "data=folder", *ESPCN_4, "degradation=gaussian", "optimizer=adamw", "scheduler=cosine", "data.num_workers=2",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Where each kind of data lies."""
    root = tmp_path_factory.mktemp("sets")
    generator = np.random.default_rng(1)
    for name, count in {"T91": 3, "BSD200": 3, "Set5": 1}.items():
        (root / name).mkdir()
        for index in range(count):
            coarse = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((64, 54), Image.Resampling.BICUBIC).save(root / name / f"{name}{index}.png")
    folder, val = root / "T91", f"data.val_hr_dir={root / 'Set5'}"
    hr = generator.integers(0, 256, (12, 24, 24), dtype=np.uint8)
    with h5py.File(root / "patches.h5", "w") as file:
        file["hr"], file["lr"] = hr, hr[:, ::2, ::2]
    (root / "train.json").write_text(json.dumps([{"HR": f"T91/{path.name}"} for path in sorted(folder.iterdir())]))
    write_shards(Folder(2, hr_dir=folder, val_hr_dir=root / "Set5"), root / "shards", 1)
    sets = ["+data@data.sets.a=folder", f"data.sets.a.hr_dir={folder}", f"data.sets.a.val_hr_dir={root / 'Set5'}"]
    sets += ["+data@data.sets.b=folder", f"data.sets.b.hr_dir={root / 'BSD200'}", "data.sets.b.num_val=1"]
    return {
        "samples": [],
        "folder": [f"data.hr_dir={folder}", val],
        "hdf5": [f"data.file={root / 'patches.h5'}", val, "data.patch_size=null"],
        "mixture": [*sets, "data.val_set=a"],
        "shards": [f"data.urls={root / 'shards'}", val, "data.shuffle=2"],
        "t291": [f"data_dir={root}"],
        "raw_synthesis": [f"data.hr_dir={folder}", val],
        "pair_list": [f"data.train_list={root / 'train.json'}", f"data.val_list={root / 'train.json'}"],
    }


class KilledError(Exception):
    """Stands for SIGKILL."""


class Stop(Callback):
    """Tells the run to stop in a step, or kills it at the beginning of an epoch."""

    def __init__(self, step: int | None = None, epoch: int | None = None) -> None:
        self.step, self.epoch = step, epoch

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 1 and batch_idx == self.step:
            (listener,) = (c for c in trainer.callbacks if isinstance(c, StopAtSignal))  # type: ignore[attr-defined]
            listener.signum = 2

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise KilledError


def fitted(folder: Path, options: list[str], ckpt_path: Path | None = None, stop: Stop | None = None) -> Path:
    """A run of three epochs; its last checkpoint."""
    cfg = compose("train", [*QUICK, *options, f"run_dir={folder}"])
    prepare_run(cfg)
    trainer, model = build_trainer(cfg, folder), build_model(cfg)
    if stop:
        trainer.callbacks.append(stop)  # type: ignore[attr-defined]
    if ckpt_path:
        torch.manual_seed(999)  # a new process has another random state
    fit(trainer, model, build(cfg.data), str(ckpt_path) if ckpt_path else None, folder)
    return folder / "checkpoints/last.ckpt"


def alike(a: Any, b: Any) -> bool:
    """To the bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    return all(map(alike, a, b)) and len(a) == len(b) if isinstance(a, list | tuple) else bool(a == b)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_run_stopped_twice_ends_with_the_same_bits(name: str, places: dict[str, list[str]], tmp_path: Path) -> None:
    """Told to stop in the middle of the second epoch, gone on with, killed at its end, and gone on with again."""
    if "soap" in " ".join(COMBINATIONS[name]):
        pytest.importorskip("pytorch_optimizer")
    data = COMBINATIONS[name][0].removeprefix("data=")
    options = [*COMBINATIONS[name], *places[data]]
    unbroken = torch.load(fitted(tmp_path / "unbroken", options), weights_only=True)
    with pytest.raises(Interrupted):
        fitted(tmp_path / "first", options, stop=Stop(step=1))
    with pytest.raises(KilledError):
        fitted(tmp_path / "second", options, tmp_path / "first/checkpoints/last.ckpt", Stop(epoch=2))
    broken = torch.load(
        fitted(tmp_path / "third", options, tmp_path / "second/checkpoints/last.ckpt"), weights_only=True
    )
    assert unbroken["global_step"] == broken["global_step"] > 0
    kept = {"state_dict", "optimizer_states", "lr_schedulers", "current_model_state", "averaging_state"}
    assert kept & unbroken.keys() == kept & broken.keys()
    for part in kept & unbroken.keys():
        assert alike(unbroken[part], broken[part]), part


def test_accumulation_is_a_larger_batch(tmp_path: Path) -> None:
    """Up to the order of summation."""
    generator = torch.Generator().manual_seed(0)
    hr = torch.rand(12, 3, 16, 16, generator=generator)
    pairs = {"hr": hr, "lr": hr[..., ::2, ::2].contiguous()}
    weights = []
    for size, accumulated in ((6, 1), (2, 3), (3, 2)):
        torch.manual_seed(0)
        model = ESPCN(scale=2, num_features=4, optimizer=lambda groups: torch.optim.SGD(groups, lr=0.5))
        trainer = Trainer(
            accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False, max_epochs=2,
            enable_model_summary=False, default_root_dir=tmp_path, accumulate_grad_batches=accumulated,
        )  # fmt: skip
        batches: Any = [{key: value[i : i + size] for key, value in pairs.items()} for i in range(0, 12, size)]
        trainer.fit(model, train_dataloaders=DataLoader(batches, batch_size=None))
        assert trainer.global_step == 4
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    for other in weights[1:]:
        torch.testing.assert_close(other, weights[0], atol=1e-6, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker")
def test_any_number_of_workers_gives_the_same_batches(places: dict[str, list[str]]) -> None:
    def batches(name: str, workers: int) -> list[Any]:
        data = build(compose("train", [f"data={name}", *QUICK, *places[name], f"data.num_workers={workers}"]).data)
        data.prepare_data()
        data.setup("fit")
        return list(data.train_dataloader())

    for name in ("folder", "mixture", "hdf5", "shards"):
        alone = batches(name, 0)
        assert all(alike(alone, batches(name, workers)) for workers in (1, 2, 3)), name


def test_checkpoints_set_aside_keep_their_settings(places: dict[str, list[str]], tmp_path: Path) -> None:
    """A run that begins anew in a used folder: what is resumed from the old checkpoints is the old run."""
    from sr_lightning.training.resume import with_settings_of_run

    options = ["data=samples", "trainer.max_epochs=1", "trainer.limit_val_batches=0"]
    fitted(tmp_path, [*options, "model=espcn"])
    fitted(tmp_path, [*options, "model=fsrcnn"])
    for place, model in {"checkpoints.1": "ESPCN", "checkpoints": "FSRCNN"}.items():
        typed = with_settings_of_run([f"ckpt_path={tmp_path / place / 'last.ckpt'}"])
        assert compose("train", typed).model._target_.endswith(model)


def test_every_promise_names_a_test_that_exists() -> None:
    text = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert len(named) >= len(rows) > 20
    sources: Callable[[str], str] = lambda path: (ROOT / path).read_text(encoding="utf-8")  # noqa: E731
    missing = [f"{path}::{name}" for path, name in named if f"\ndef {name}(" not in sources(path)]
    assert not missing
    assert all("::" in row or "benchmarks/" in row for row in rows)
