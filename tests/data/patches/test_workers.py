"""Loaders' processes answer no signal of the run, also where they do not inherit its handlers."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sr_lightning.data import Folder
from sr_lightning.data.patches.dataset import PatchDataset
from sr_lightning.data.prepare.shard_writing import write_shards
from sr_lightning.data.sets.shard_patches import ShardPatches
from sr_lightning.data.sets.shards import Shards
from sr_lightning.types import Batch

OPTIONS: dict[str, Any] = {"patch_size": 24, "batch_size": 2, "num_workers": 1}


def told(self: Any, *_: Any) -> Any:
    ignored = [signal.getsignal(s) is signal.SIG_IGN for s in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)]
    return {"lr": torch.tensor(ignored), "hr": torch.tensor(ignored), "name": []}


@pytest.mark.parametrize("shards", [False, True])
def test_workers_answer_no_signals(
    shards: bool, picture_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = picture_folder()
    data: Any = Folder(2, folder, num_val=1, **OPTIONS)
    if shards:
        write_shards(data, str(tmp_path / "out"), 10)
        data = Shards(2, str(tmp_path / "out"), folder, **OPTIONS)
    data.setup("fit")
    loader = data.train_dataloader()
    monkeypatch.setattr(PatchDataset, "__getitems__", told)
    monkeypatch.setattr(ShardPatches, "__getitems__", told)
    batch: Batch = next(iter(loader))
    assert batch["lr"].all()
