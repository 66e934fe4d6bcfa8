"""A queue of pairs: nothing is lost or drawn twice, batches are mixed, and any batch can be drawn first."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.data import Folder
from sr_lightning.data.patches.queue import QueuedSampler
from sr_lightning.data.patches.sampling import Draws, ResumableSampler
from sr_lightning.degradations import Bicubic, Compose, Noise
from sr_lightning.errors import ConfigError


class Numbered(ResumableSampler):
    """Draws that say which batch and row they are."""

    def draw(self, epoch: int, index: int) -> Draws:
        rows = np.arange(self.batch_size)
        return np.column_stack([np.full(self.batch_size, epoch), np.full(self.batch_size, index), rows, rows])


def queued(length: int = 12, batches: int = 8, **options: int) -> QueuedSampler:
    return QueuedSampler(Numbered(4, batches, **options), length)


def test_every_pair_is_used_once_and_batches_are_mixed() -> None:
    drawn = np.stack([queued().draw(1, index) for index in range(8)])
    assert {tuple(row) for row in drawn.reshape(-1, 4)} == {(1, i, j, j) for i in range(8) for j in range(4)}
    for number, batch in enumerate(drawn):
        assert {*(batch[:, 1] // 3)} == {number // 3}  # of the same queue
    assert np.mean([len({*batch[:, 1]}) for batch in drawn]) > 1.8


def test_any_batch_can_be_drawn_first() -> None:
    in_turn = queued()
    expected = [in_turn.draw(0, index) for index in range(8)]
    for index in (7, 2, 5, 0):
        assert np.array_equal(queued().draw(0, index), expected[index])
    assert not np.array_equal(queued(seed=2).draw(0, 0), expected[0])
    assert not np.array_equal(in_turn.draw(1, 0)[:, 1:], expected[0][:, 1:])


def test_a_length_that_fits_no_batches() -> None:
    with pytest.raises(ConfigError, match=r"pair_queue=10: must be a multiple of data.batch_size=4; use 8 or 12"):
        queued(10)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (32, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return tmp_path


def folder(pictures: Path, cache: Path, **options: Any) -> Folder:
    degradation = Compose([Bicubic(), Noise()])
    sizes = {"patch_size": 16, "batch_size": 2, "batches_per_epoch": 6, "num_val": 1, "num_workers": 0}
    made = Folder(2, str(pictures), degradation=degradation, cache_dir=str(cache), **{**sizes, **options})
    made.setup("fit")
    return made


def test_a_resumed_run_goes_on_with_the_same_bits(pictures: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    whole = list(folder(pictures, cache, pair_queue=8).train_dataloader())
    loader = folder(pictures, cache, pair_queue=8).train_dataloader()
    loader.load_state_dict({"epoch": 0, "batch": 3})
    rest = list(loader)
    assert len(rest) == 3
    for made, expected in zip(rest, whole[3:], strict=True):
        assert torch.equal(made["lr"], expected["lr"]) and torch.equal(made["hr"], expected["hr"])
    plain = torch.cat([batch["lr"] for batch in folder(pictures, cache).train_dataloader()])
    mixed = torch.cat([batch["lr"] for batch in whole])
    assert not torch.equal(plain, mixed)
    assert sorted(p.double().sum().item() for p in plain) == sorted(p.double().sum().item() for p in mixed)


def test_a_length_is_refused_before_any_picture_is_read() -> None:
    with pytest.raises(ConfigError, match=r"pair_queue=100: must be a multiple of data.batch_size=16; use 96 or 112"):
        Folder(2, "nowhere", pair_queue=100)


def test_scales_and_a_queue_exclude_each_other(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave out one of the two"):
        folder(pictures, tmp_path / "cache", pair_queue=8, scales=[2, 4], patch_size=16)
