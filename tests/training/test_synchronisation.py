"""A training step asks no device for a number: each question would make it wait."""

import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch.utils._python_dispatch import TorchDispatchMode

from sr_lightning.config import build, compose
from sr_lightning.training.building import build_model, build_trainer, prepare_run
from sr_lightning.training.fitting import fit

STEPS = 6


class Questions(TorchDispatchMode):
    """Notes who turns a tensor into a number: ``item``, ``float``, ``bool``."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            files = [(Path(frame.filename).stem, frame.name) for frame in traceback.extract_stack()[:-1]]
            frames = [f"{file}.{name}" for file, name in files if file not in ("_compile", "eval_frame")]
            # Optimizers count their steps on the CPU. StopOnNaN looks at once there, and one batch later on a GPU.
            if frames[-1] != "stability._check" and not frames[-1].startswith(("adam.", "optimizer.")):
                self.asked.append(" < ".join(frames[-3:][::-1]))
        return func(*args, **(kwargs or {}))


class Asking(Callback):
    """Watches from the first callback of a step to the last."""

    def __init__(self) -> None:
        self.asked: dict[int, list[str]] = {}

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.mode = Questions()
        self.mode.__enter__()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.mode.__exit__(None, None, None)
        self.asked[batch_idx] = self.mode.asked


@pytest.mark.parametrize("every", [1, 50])
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_step_asks_nothing(precision: str, every: int, tmp_path: Path) -> None:
    typed = [
        "model=edsr_small", "model.num_features=4", "model.num_blocks=1", "trainer=cpu", f"run_dir={tmp_path}",
        f"trainer.precision={precision}", "trainer.limit_val_batches=0", "trainer.enable_progress_bar=false",
        f"trainer.log_every_n_steps={every}",
        f"data.batches_per_epoch={STEPS}", "data.batch_size=1", "data.num_workers=0", "data.patch_size=16", "epochs=1",
    ]  # fmt: skip
    cfg = compose("train", typed)
    prepare_run(cfg)
    trainer, watch = build_trainer(cfg, tmp_path), Asking()
    trainer.callbacks.append(watch)
    fit(trainer, build_model(cfg), build(cfg.data), None, tmp_path)
    assert len(watch.asked) == STEPS
    # The first step is looked at by NoticeStandstill, which does so every 50 steps.
    assert not [line for step in range(1, STEPS) for line in watch.asked[step]]
