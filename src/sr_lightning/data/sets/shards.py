"""Training pictures streamed from shards, for sets larger than one disk.

Shards may lie in a folder, behind ``http(s)://`` or in a store. ``shard_order.py`` says which picture is where in which
batch, ``shard_index.py`` where its files are, ``shard_sources.py`` reads them, and ``shard_patches.py`` makes batches.
"""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from sr_lightning.atomic import AnyPath
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.pictures import Pictures
from sr_lightning.data.patches.sampling import Patches, transforms_of
from sr_lightning.data.sets.shard_cache import ShardCache
from sr_lightning.data.sets.shard_files import expand
from sr_lightning.data.sets.shard_index import ShardIndex, index_shards
from sr_lightning.data.sets.shard_order import ShardOrder
from sr_lightning.data.sets.shard_patches import ShardLoader, ShardPatches, ShardSampler
from sr_lightning.data.sets.shard_sources import ShardSources
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.limits import check_value


class Shards(PictureDataModule):
    """Patches of pictures that are streamed from shards. Validation reads a folder.

    ``python -m sr_lightning.prepare data=… shards=FOLDER`` writes shards. From each picture ``patches_per_picture``
    patches are cut. An epoch begins with a new order of the shards. Batches depend on seed, epoch and number, and on
    the patches of all processes together; they do not depend on how many processes and workers share them. A run
    resumed in the middle of an epoch reads nothing of what it had before.

    Args:
        scale: Whole factor between LR and HR.
        urls: A folder of ``.tar`` files, also in a store; a pattern such as ``https://host/train-{000000..000123}.tar``
            or ``s3://bucket/train-{000000..000123}.tar``; or a list.
        val_hr_dir: Folder of validation pictures.
        val_lr_dir: Folder of their LR pictures; None lets the protocol make them.
        patches_per_picture: Patches cut from each picture that was read.
        shuffle: Patches that wait, in all processes together, so that batches are drawn from more pictures.
        readers: Parts of the set that are read side by side, at most. Processes read different parts if their number
            divides that of the parts.
        cache_gb: Gigabytes of copies of shards of a store, in ``cache_dir``; None keeps no copies.
        pool_mb: Megabytes of decoded pictures that each loader process keeps.

    Raises:
        ConfigError: If ``urls`` or ``val_hr_dir`` are not given, or ``scales`` is.
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
        readers: int = 8,
        cache_gb: float | None = 10,
        pool_mb: int = 256,
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
        check_value("data.readers", readers, PositiveInt)
        check_value("data.cache_gb", cache_gb, PositiveFloat | None)
        check_value("data.pool_mb", pool_mb, NonNegativeInt)
        self.urls = [
            url for pattern in ([urls] if isinstance(urls, str | os.PathLike) else urls) for url in expand(pattern)
        ]
        self.val_hr_dir, self.val_lr_dir = Path(val_hr_dir), Path(val_lr_dir) if val_lr_dir else None
        self.patches_per_picture, self.shuffle, self.readers = patches_per_picture, shuffle, readers
        self.cache_gb, self.pool_mb = cache_gb, pool_mb

    def val_pictures(self) -> dict[str, Pictures]:
        pictures = Pictures.in_folders(self.val_hr_dir, self.val_lr_dir, lr_suffix=f"x{self.scale}")
        return {self.val_hr_dir.name.lower(): pictures}

    def describe(self) -> str | None:
        pictures = sum(len(shard.keys) for shard in self.indexes)
        size = f"{self.patch_size}x{self.patch_size}"
        return f"{pictures} pictures in {len(self.urls)} shards, scale {self.scale}, patches of {size}"

    @cached_property
    def indexes(self) -> list[ShardIndex]:
        """Where the pictures of the shards are.

        Raises:
            DataError: If a shard cannot be read, or none has a picture.
        """
        indexes = index_shards(self.urls, self.cache)
        if not any(shard.keys for shard in indexes):
            more = f" and {len(self.urls) - 1} other shards" if len(self.urls) > 1 else ""
            raise DataError(f"{self.urls[0]}{more}: they hold no pictures; write them again with prepare shards=FOLDER")
        return indexes

    def train_dataloader(self) -> ShardLoader:
        trainer: Any = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        begin, batches = rank * self.batch_size, self.batches_per_epoch
        order = ShardOrder(
            [len(shard.keys) for shard in self.indexes],
            batch_size=self.batch_size * world_size,
            batches=batches,
            per_picture=self.patches_per_picture,
            readers=self.readers,
            shuffle=self.shuffle,
            seed=self.seed,
        )
        patches = ShardPatches(
            ShardSources(self.indexes, self._copies()),
            order,
            self,
            transforms=transforms_of(self.augment),
            share=range(begin, begin + self.batch_size),
            room=self.pool_mb * 10**6,
        )
        sampler = ShardSampler(self.batch_size, batches, seed=self.seed, rank=rank, world_size=world_size)
        return ShardLoader(patches, sampler, self.num_workers)

    def _open_train(self) -> Patches | None:
        """Reads the indexes, once for all processes of a machine: others find them in the cache."""
        _ = self.indexes
        return None

    def _copies(self) -> ShardCache | None:
        return ShardCache(self.cache / "shards", int(self.cache_gb * 1e9)) if self.cache_gb else None
