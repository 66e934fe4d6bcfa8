"""Training pictures streamed from shards, for sets larger than one disk.

Shards may lie in a folder or behind ``http(s)://``; every reader (worker of every process) reads shards that no other
one reads.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from pydantic import PositiveInt
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.disk import check_shared_memory
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.dataset import cut
from sr_lightning.data.patches.levels import Planar, same_depth
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.data.patches.sampling import transforms_of, without_worker_traceback
from sr_lightning.data.patches.workers import ignore_signals
from sr_lightning.data.sets.shard_files import Pair, expand, read_shard
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.limits import check_value
from sr_lightning.types import Batch


class Shards(PictureDataModule):
    """Patches of pictures that are streamed from shards. Validation reads a folder.

    ``python -m sr_lightning.prepare data=… shards=FOLDER`` writes shards. From each picture ``patches_per_picture``
    patches are cut, which a buffer of ``shuffle`` patches mixes with those of other pictures. An epoch begins with a
    new order of the shards; a run resumed in the middle of one reads again, and throws away, what it had before, and
    then goes on to the same bits, with the same numbers of workers and processes.

    Args:
        scale: Whole factor between LR and HR.
        urls: A folder of ``.tar`` files; a pattern such as ``https://host/train-{000000..000123}.tar``; or a list.
        val_hr_dir: Folder of validation pictures.
        val_lr_dir: Folder of their LR pictures; None lets the protocol make them.
        patches_per_picture: Patches cut from each picture that was read.
        shuffle: Patches in the buffer they are drawn from.

    Raises:
        ConfigError: If ``urls`` or ``val_hr_dir`` are not given, ``scales`` is, or there are fewer shards than readers.
        DataError: If a shard cannot be read.
    """

    makes_lr = False
    layout = "data.urls=FOLDER with shards (.tar) and data.val_hr_dir=FOLDER with validation pictures"

    def __init__(
        self,
        scale: int = 2,
        urls: AnyPath | Sequence[AnyPath] | None = None,
        val_hr_dir: AnyPath | None = None,
        val_lr_dir: AnyPath | None = None,
        patches_per_picture: int = 8,
        shuffle: int = 1000,
        **loading: Unpack[Loading],
    ) -> None:
        super().__init__(scale, **loading)
        if not urls or not val_hr_dir:
            raise ConfigError(f"data=shards needs {self.layout}")
        if self.scales:
            raise ConfigError(f"data.scales={self.scales}: shards are read at one scale; set data.scales=null")
        if self.patch_size % scale:
            raise ConfigError(f"data.patch_size={self.patch_size} (in HR pixels) is not a multiple of scale={scale}")
        check_value("data.patches_per_picture", patches_per_picture, PositiveInt)
        check_value("data.shuffle", shuffle, PositiveInt)
        self.urls = [
            url for pattern in ([urls] if isinstance(urls, str | os.PathLike) else urls) for url in expand(pattern)
        ]
        self.val_hr_dir, self.val_lr_dir = Path(val_hr_dir), Path(val_lr_dir) if val_lr_dir else None
        self.patches_per_picture, self.shuffle = patches_per_picture, shuffle

    def val_pictures(self) -> dict[str, Pictures]:
        pictures = Pictures.in_folders(self.val_hr_dir, self.val_lr_dir, lr_suffix=f"x{self.scale}")
        return {self.val_hr_dir.name.lower(): pictures}

    def train_dataloader(self) -> "ShardLoader":  # type: ignore[override]
        trainer: Any = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        readers = world_size * max(1, self.num_workers)
        if len(self.urls) < readers:
            raise ConfigError(
                f"data.urls: {len(self.urls)} shards cannot be divided among {readers} readers (data.num_workers times "
                "processes); use fewer workers, or write more shards: prepare shard_size=…"
            )
        return ShardLoader(ShardStream(self, rank, world_size), self.num_workers)


class ShardStream(IterableDataset[Batch]):
    """The batches of one process; which they are depends on seed, epoch, processes and workers alone."""

    def __init__(self, data: Shards, rank: int, world_size: int) -> None:
        self.urls, self.scale, self.seed = data.urls, data.scale, data.seed
        self.transforms = transforms_of(data.augment)
        self.size, self.batch_size, self.batches = data.patch_size, data.batch_size, data.batches_per_epoch
        self.per_picture, self.buffer = data.patches_per_picture, data.shuffle
        self.rank, self.world_size = rank, world_size
        self.epoch, self.start = 0, 0

    @property
    def batch_bytes(self) -> int:
        """Bytes of a batch of 16 bit, in colour."""
        return int(self.batch_size * 3 * 2 * (self.size**2 + (self.size // self.scale) ** 2))

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        # Workers take turns, the first of them first: after a resumption that is whoever's turn it was.
        worker = (worker + self.start) % workers
        patches = self._shuffled(self.rank * workers + worker, self.world_size * workers)
        for index in range(worker, self.batches, workers):
            batch = [next(patches) for _ in range(self.batch_size)]
            if index >= self.start:
                names, hr, lr = zip(*batch, strict=True)
                stacks = [torch.from_numpy(np.stack(same_depth(patches))) for patches in (lr, hr)]
                yield {"lr": stacks[0], "hr": stacks[1], "name": list(names)}

    def _shuffled(self, reader: int, readers: int) -> Iterator[Pair]:
        generator = np.random.default_rng((self.seed, self.epoch, reader))
        buffer: list[Pair] = []
        for name, hr, lr in self.pictures(reader, readers):
            for _ in range(self.per_picture):
                patch = self._patch(generator, name, hr, lr)
                if len(buffer) < self.buffer:
                    buffer.append(patch)
                    continue
                index = generator.integers(len(buffer))
                yield buffer[index]
                buffer[index] = patch

    def pictures(self, reader: int, readers: int) -> Iterator[Pair]:
        """The pictures of one reader, without end. No picture repeats before the readers have read all pictures once.

        Raises:
            DataError: If a shard cannot be read, or none has a picture.
        """
        for turn in count():
            order = np.random.default_rng((self.seed, self.epoch, turn)).permutation(len(self.urls))
            empty = True
            for index in order[reader::readers]:
                for pair in read_shard(self.urls[index], self.scale):
                    empty = False
                    yield pair
            # One reader may draw the empty shards of a set that has others.
            if empty and not any(True for url in self.urls for _ in read_shard(url, self.scale)):
                more = f" and {len(self.urls) - 1} other shards" if len(self.urls) > 1 else ""
                raise DataError(
                    f"{self.urls[0]}{more}: they hold no pictures; write them again with prepare shards=FOLDER"
                )

    def _patch(self, generator: np.random.Generator, name: str, hr: Planar, lr: Planar) -> Pair:
        small = self.size // self.scale
        if min(lr.shape[1:]) < small:
            raise DataError(f"{name}: {hr.shape[1]}x{hr.shape[2]} pixels are fewer than data.patch_size={self.size}")
        y, x = (int(generator.integers(side - small + 1)) for side in lr.shape[1:])
        op = self.transforms[int(generator.integers(len(self.transforms)))]
        patches = [np.empty((len(p), size, size), p.dtype) for p, size in ((hr, self.size), (lr, small))]
        cut(hr, y * self.scale, x * self.scale, self.size, op, patches[0])
        cut(lr, y, x, small, op, patches[1])
        return name, patches[0], patches[1]


class ShardLoader(DataLoader[Batch]):
    """A loader of streamed batches that Lightning can stop and resume in the middle of an epoch."""

    def __init__(self, stream: ShardStream, num_workers: int) -> None:
        self.stream, self.delivered = stream, 0
        super().__init__(
            stream,
            batch_size=None,
            num_workers=num_workers,
            worker_init_fn=ignore_signals,
            generator=torch.Generator(),
            pin_memory=torch.cuda.is_available(),
        )
        self.sampler.set_epoch = self.set_epoch  # type: ignore[attr-defined]  # where Lightning looks for it

    def __len__(self) -> int:
        return self.stream.batches

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        check_shared_memory(self.num_workers, self.stream.batch_bytes)
        self.delivered = self.stream.start
        for batch in without_worker_traceback(super().__iter__()):
            self.delivered += 1
            yield batch

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        if epoch != self.stream.epoch:
            self.stream.epoch, self.stream.start, self.delivered = epoch, 0, 0

    def state_dict(self) -> dict[str, int]:
        """Where the run is: batches already trained on, not those that workers have prefetched."""
        return {"epoch": self.stream.epoch, "batch": self.delivered}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on after the batch that ``state_dict`` counted last."""
        self.stream.epoch = state["epoch"]
        self.stream.start = self.delivered = state["batch"]
