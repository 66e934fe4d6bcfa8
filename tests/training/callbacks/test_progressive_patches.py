"""Small patches at first: every pixel stays in the batch, and pairs stay pairs."""

from typing import Any

import pytest
import torch

from sr_lightning.config import build, compose
from sr_lightning.errors import ConfigError
from sr_lightning.training.callbacks import ProgressivePatches
from sr_lightning.training.callbacks.progressive_patches import parted


def test_parts_are_pairs_that_make_up_the_patches() -> None:
    torch.manual_seed(0)
    lr = torch.rand(3, 3, 8, 12)
    batch: dict[str, Any] = {"lr": lr, "hr": lr.repeat_interleave(2, 2).repeat_interleave(2, 3), "name": [*"abc"]}
    batch |= {"scale": 2, "white_balance": torch.rand(3, 3)}
    parts = parted(batch, 4)
    assert parts["lr"].shape == (48, 3, 2, 3) and parts["hr"].shape == (48, 3, 4, 6)
    assert torch.equal(parts["hr"][..., ::2, ::2], parts["lr"])
    assert torch.equal(parts["lr"][16 + 4 + 2], lr[1, :, 2:4, 6:9])  # of the second patch, row 1, column 2
    assert parts["name"][15:17] == ["a", "b"] and parts["scale"] == 2
    assert torch.equal(parts["white_balance"][16], batch["white_balance"][1])


def test_the_run_decides_how_many() -> None:
    callback = build(compose("train", ["callbacks=[default,progressive_patches]"]).callbacks.progressive_patches)
    assert [callback.at(done) for done in (0.0, 0.29, 0.3, 0.59, 0.6, 1.0)] == [4, 4, 2, 2, 1, 1]

    class Run:
        """What the callback asks a trainer."""

        global_step, max_steps, max_epochs, limit_train_batches, accumulate_grad_batches = 0, 10, None, 1.0, 1
        datamodule = type("Data", (), {"batches_per_epoch": 10})
        optimizers = (None,)

    sides = []
    for Run.global_step in range(10):
        batch = {"lr": torch.zeros(1, 3, 8, 8), "hr": torch.zeros(1, 3, 16, 16)}
        callback.on_train_batch_start(Run, None, batch, 0)
        sides.append(batch["lr"].shape[-1])
    assert sides == [2, 2, 2, 4, 4, 4, 8, 8, 8, 8]


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([[0.5, 2]], "says nothing of the beginning"),
        ([[0, 0]], r"\[0,0\] cannot be"),
        ([[2, 1]], r"\[2,1\] cannot be"),
        ([["early", 2]], "must be pairs"),
        (4, "must be pairs"),
    ],
)
def test_what_cannot_be(parts: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ProgressivePatches(parts)


def test_patches_that_do_not_divide() -> None:
    with pytest.raises(ConfigError, match=r"patches of 9x9 in lr do not divide into 2x2; make data.patch_size"):
        parted({"lr": torch.zeros(1, 3, 9, 9)}, 2)
    with pytest.raises(ConfigError, match=r"patches of 6x6 in raw do not divide into 2x2"):
        parted({"lr": torch.zeros(1, 3, 6, 6), "raw": torch.zeros(1, 1, 6, 6)}, 2)
