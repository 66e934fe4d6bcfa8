"""Training by several processes, and of networks that leave parameters out."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import seed_everything

from sr_lightning.config import build, compose
from sr_lightning.training.building import build_model, build_trainer
from sr_lightning.training.fitting import fit, has_unused_parameters

QUICK = [
    "data.batches_per_epoch=4", "data.batch_size=2", "data.num_workers=0", "data.patch_size=24", "trainer=cpu",
    "trainer.precision=32-true", "trainer.max_epochs=1", "trainer.limit_val_batches=1",
    "trainer.enable_progress_bar=false", "trainer.log_every_n_steps=1",
]  # fmt: skip

TINY_CARN = ["model=carn", "scale=2", "model.num_features=8"]

#: Networks, and whether some step gives no gradient to some of their parameters.
NETWORKS = [
    (["model=edsr_small"], False),
    (["model=vdsr"], False),
    (["model=drrn_b1u9"], False),
    (["model=carn"], True),
    (["model=carn", "model.scales=[4]", "scale=4"], False),
    (["model=mdsr", "model.num_blocks=2"], True),
    (["model=glean", "scale=8"], True),
]


@pytest.mark.parametrize(("overrides", "expected"), NETWORKS, ids=lambda v: v[0] if isinstance(v, list) else None)
def test_networks_that_leave_parameters_out(overrides: list[str], expected: bool) -> None:
    with torch.device("meta"):
        assert has_unused_parameters(build_model(compose("train", overrides))) == expected


@pytest.mark.parametrize(
    ("strategy", "model", "expected"),
    [
        ("ddp", TINY_CARN, {"find_unused_parameters": True}),
        ("auto", TINY_CARN, {"find_unused_parameters": True}),
        ("ddp_find_unused_parameters_false", TINY_CARN, {"find_unused_parameters": False}),
        ("ddp", ["model=espcn"], {}),
    ],
)
def test_ddp_looks_for_them_only_there(
    strategy: str, model: list[str], expected: dict[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = compose("train", [*model, *QUICK, "trainer.devices=2", f"trainer.strategy={strategy}", f"run_dir={tmp_path}"])
    trainer, seen = build_trainer(cfg, tmp_path), []
    monkeypatch.setattr(trainer, "fit", lambda *_, **__: seen.append(trainer.strategy._ddp_kwargs))
    fit(trainer, build_model(cfg), build(cfg.data), None, tmp_path)
    assert seen == [expected]


def test_two_processes_train_a_network_of_several_scales(tmp_path: Path) -> None:
    """Over gloo, with the same global batch as one process: the same weights up to the order of summation."""
    results = []
    for batch_size, options in ((4, []), (2, ["trainer.devices=2", "trainer.strategy=ddp_fork"])):
        folder = tmp_path / str(batch_size)
        overrides = [*TINY_CARN, *QUICK, *options, f"data.batch_size={batch_size}", f"run_dir={folder}"]
        cfg = compose("train", [*overrides, "data.scales=[2,3,4]", "optimizer=sgd", "optimizer.lr=0.01"])
        seed_everything(3, verbose=False)
        fit(build_trainer(cfg, folder), build_model(cfg), build(cfg.data), None, folder)
        state = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        results.append(torch.cat([value.flatten() for value in state.values()]))
    torch.testing.assert_close(*results, atol=2e-6, rtol=1e-4)


def test_two_processes_say_once_what_is_wrong(picture_folder: Any, tmp_path: Path) -> None:
    folder = picture_folder("hr", count=3)
    whole = (folder / "01.png").read_bytes()
    (folder / "01.png").write_bytes(whole[: len(whole) // 2])
    args = ["model=espcn", "data=folder", f"data.hr_dir={folder}", "data.num_val=1", *QUICK, "trainer.strategy=ddp"]
    result = subprocess.run(
        [sys.executable, "-m", "sr_lightning.train", *args, "trainer.devices=2", "hydra.run.dir=run"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.count("error: ") == 1 and "01.png" in result.stderr
    assert "Traceback" not in result.stderr
