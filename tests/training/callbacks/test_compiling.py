"""Compiled training steps, with checkpoints and validation of the network as it is."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sr_lightning.config import build, compose
from sr_lightning.errors import ConfigError
from sr_lightning.training.building import build_model, build_trainer, prepare_run
from sr_lightning.training.callbacks import Compile
from sr_lightning.training.fitting import fit

QUICK = (
    "model=espcn", "model.num_features=4", "trainer=cpu", "trainer.precision=float32", "logger=none",
    "trainer.enable_progress_bar=false", "data.batches_per_epoch=2", "data.batch_size=2", "data.num_workers=0",
    "data.patch_size=24", "epochs=1", "trainer.limit_val_batches=1",
)  # fmt: skip


def fitted(folder: Path, *typed: str) -> Any:
    cfg = compose("train", [*QUICK, f"run_dir={folder}", *typed])
    prepare_run(cfg)
    trainer, model = build_trainer(cfg, folder), build_model(cfg)
    fit(trainer, model, build(cfg.data), None, folder)
    return model


def test_steps_are_compiled_and_checkpoints_plain(tmp_path: Path, capsys: Any) -> None:
    compiled: list[Any] = []

    def counting(graph: Any, inputs: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    torch._dynamo.register_backend(counting, "counting")
    torch._dynamo.reset()
    model = fitted(tmp_path / "run", "callbacks=[default,compile]", "callbacks.compile.backend=counting")
    assert len(compiled) == 1  # not again for the pictures of validation
    assert model.net._compiled_call_impl is None
    assert capsys.readouterr().err.splitlines()[1].startswith("torch.compile: ")
    plain = fitted(tmp_path / "plain")
    ours, theirs = (torch.load(tmp_path / f"{n}/checkpoints/last.ckpt", weights_only=True) for n in ("run", "plain"))
    assert ours["state_dict"].keys() == theirs["state_dict"].keys()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value)


def test_the_step_at_which_it_has_paid() -> None:
    assert Compile.told(plain=2.0, compiled=1.0, first=6.0).endswith("the 6 s for compiling are won back at step 5")
    assert Compile.told(plain=1.0, compiled=1.0, first=6.0).endswith("it never pays; leave callbacks=compile out")


def test_a_compiler_that_fails(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^callbacks=compile: backend=nobody cannot compile it \(.*\); leave it out$"
    ):
        fitted(tmp_path, "callbacks=[default,compile]", "callbacks.compile.backend=nobody")
