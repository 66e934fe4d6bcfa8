"""The LightningDataModule that all picture sets are."""

import copy
import math
from pathlib import Path
from typing import Any, TypedDict, Unpack

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from sr_lightning.data.patches import (
    MixedPatchDataset,
    MixedPatchSampler,
    PatchDataset,
    PatchLoader,
    PatchSampler,
    check_pairs,
)
from sr_lightning.data.pictures import PictureDataset, Pictures
from sr_lightning.data.store import Store, bicubic_store, default_cache, open_store
from sr_lightning.errors import ConfigError


class Loading(TypedDict, total=False):
    """How patches are read; every data set accepts these keyword arguments."""

    scales: list[int] | None
    patch_size: int
    batch_size: int
    batches_per_epoch: int
    num_workers: int
    augment: bool
    seed: int
    cache_dir: str | None


class PictureDataModule(LightningDataModule):
    """Patches for training and whole pictures for validation, from lists of files.

    Subclasses say which files: :meth:`train_pictures` and :meth:`val_pictures`.

    Args:
        scale: Whole factor between LR and HR.
        scales: Train on these, drawn for each batch, a network that serves several; each batch then has its
            ``scale``. None trains on ``scale``, at which validation is in any case.
        patch_size: Side of the HR patches in pixels, a multiple of ``scale``, or of all ``scales``.
        batch_size: Patches in a batch, on each device.
        batches_per_epoch: Length of what is called an epoch.
        num_workers: Loader processes; patches are memory copies, so that 0 or 1 keep most networks busy.
        augment: Whether patches are flipped and turned.
        seed: Decides every patch.
        cache_dir: Folder of the decoded pictures, default ``$SR_CACHE`` or the user's cache folder.
    """

    #: Shown where the data are missing: the folders expected, and how to get them.
    layout = "a folder of pictures"

    def __init__(self, scale: int = 2, **loading: Unpack[Loading]) -> None:
        super().__init__()
        unknown = set(loading) - set(Loading.__annotations__)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no argument {', '.join(sorted(unknown))}")
        self.scale = scale
        self.patch_size = loading.get("patch_size", 96)
        self.batch_size = loading.get("batch_size", 16)
        self.batches_per_epoch = loading.get("batches_per_epoch", 1000)
        self.num_workers = loading.get("num_workers", 1)
        self.augment = loading.get("augment", True)
        self.seed = loading.get("seed", 1)
        self.cache = Path(loading.get("cache_dir") or default_cache())
        for key in ("scale", "patch_size", "batch_size", "batches_per_epoch"):
            value = getattr(self, key)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"{key if key == 'scale' else f'data.{key}'}={value}: must be a whole number above 0")
        self.scales = loading.get("scales")
        if self.scales is not None:
            self._check_scales(self.scales)
        if not isinstance(self.num_workers, int) or self.num_workers < 0:
            raise ConfigError(f"data.num_workers={self.num_workers}: must be 0 or a whole number above")
        self.patches: PatchDataset | MixedPatchDataset | None = None
        self.val_sets: dict[str, PictureDataset] = {}

    def train_pictures(self) -> Pictures | None:
        """The files to train on; None for a set that only validates."""
        return None

    def val_pictures(self) -> dict[str, Pictures]:
        """The files to validate on, by the name of the set."""
        return {}

    def test_pictures(self) -> dict[str, Pictures]:
        """The files to evaluate on: those of validation, unless a set knows better."""
        return self.val_pictures()

    def download(self) -> None:
        """Fetches the data set where it has a public home."""
        raise ConfigError(f"{type(self).__name__} cannot be downloaded; it expects {self.layout}")

    @property
    def val_names(self) -> list[str]:
        """Names of the validation sets, in the order of :meth:`val_dataloader`."""
        return list(self.val_sets)

    def prepare_data(self) -> None:
        """Decodes what is not yet in the cache; Lightning calls it in one process only."""
        self._open_train()
        self._open_val(self.val_pictures())

    def setup(self, stage: str | None = None) -> None:
        if stage in (None, "fit") and self.patches is None:
            self.patches = self._open_train()
        if not self.val_sets:
            self.val_sets = self._open_val(self.test_pictures() if stage == "test" else self.val_pictures())

    def train_dataloader(self) -> PatchLoader:
        if self.patches is None:
            raise ConfigError(f"{type(self).__name__} has no training pictures; choose another data config to train on")
        trainer: Any = self.trainer
        options: dict[str, Any] = {
            "seed": self.seed,
            "augment": self.augment,
            "rank": trainer.global_rank if trainer else 0,
            "world_size": trainer.world_size if trainer else 1,
        }
        sampler: PatchSampler
        if isinstance(self.patches, MixedPatchDataset):
            sampler = MixedPatchSampler(self.patches, self.batch_size, self.batches_per_epoch, **options)
        else:
            sampler = PatchSampler(self.patches, self.batch_size, self.batches_per_epoch, **options)
        return PatchLoader(self.patches, sampler, self.num_workers)

    def val_dataloader(self) -> list[DataLoader[Any]]:
        # A generator of their own: validating draws nothing from the random state that training goes on with.
        return [DataLoader(p, batch_size=1, generator=torch.Generator()) for p in self.val_sets.values()]

    def _open_train(self) -> PatchDataset | MixedPatchDataset | None:
        if self.scales is None:
            return self._open_scale()
        parts = {}
        for scale in self.scales:
            at_scale = copy.copy(self)  # its train_pictures name the LR pictures of that scale
            at_scale.scale = scale
            part = at_scale._open_scale()
            if part is None:
                return None
            parts[scale] = part
        return MixedPatchDataset(parts)

    def _open_scale(self) -> PatchDataset | None:
        pictures = self.train_pictures()
        if pictures is None:
            return None
        hr = open_store(pictures.hr, self.cache, channels=3)
        if pictures.lr is None:
            lr = bicubic_store(hr, self.scale, self.cache)
        else:
            lr = open_store(pictures.lr, self.cache, channels=3)
        return PatchDataset(hr, lr, self.scale, self.patch_size)

    def _check_scales(self, scales: list[int]) -> None:
        whole = isinstance(scales, list | tuple) and all(isinstance(s, int) and s > 0 for s in scales)
        if not whole or not scales or len({*scales}) < len(scales):
            raise ConfigError(f"data.scales={scales}: must be different whole numbers above 0, such as [2,3,4]")
        common = math.lcm(*scales)
        if self.patch_size % common:
            fitting = max(1, self.patch_size // common) * common
            raise ConfigError(
                f"data.patch_size={self.patch_size} (in HR pixels) is not a multiple of all data.scales={scales}; "
                f"use {fitting} or {fitting + common}"
            )

    def _open_val(self, of: dict[str, Pictures]) -> dict[str, PictureDataset]:
        sets = {}
        for name, pictures in of.items():
            hr = open_store(pictures.hr, self.cache)
            lr: Store | None = None
            if pictures.lr is not None:
                lr = open_store(pictures.lr, self.cache)
                check_pairs(hr, lr, self.scale)
            sets[name] = PictureDataset(hr, lr)
        return sets
