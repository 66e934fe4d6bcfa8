"""The base of all data sets of pictures."""

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypedDict, Unpack

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from pydantic import NonNegativeInt, PositiveInt
from torch.utils.data import DataLoader

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.disk import errors_with_file
from sr_lightning.data.patches.any_scale import AnyScalePatchDataset, scale_range
from sr_lightning.data.patches.dataset import MixedPatchDataset, check_pairs, cut_patches
from sr_lightning.data.patches.degraded import make_patches, with_transform
from sr_lightning.data.patches.pictures import PictureDataset, Pictures
from sr_lightning.data.patches.queue import QueuedSampler, check_queue
from sr_lightning.data.patches.sampling import Augment, Patches, PatchLoader, transforms_of
from sr_lightning.data.patches.store import Store, bicubic_store, degraded_store, open_store
from sr_lightning.data.patches.transform import JointTransform
from sr_lightning.degradations import Degradation
from sr_lightning.errors import ConfigError
from sr_lightning.limits import check_value
from sr_lightning.measured import default_cache


class Loading(TypedDict, total=False):
    """How patches are read; every data set accepts these keyword arguments."""

    scales: list[int] | str | None
    patch_size: int | None
    batch_size: int
    batches_per_epoch: int
    num_workers: int
    augment: Augment
    seed: int
    cache_dir: AnyPath | None
    degradation: Degradation | None
    transform: Sequence[Any] | None
    pair_queue: int
    max_val_pictures: int | None


class PictureDataModule(LightningDataModule):
    """Patches for training and whole pictures for validation, from lists of files.

    Subclasses define ``train_pictures`` and ``val_pictures``, which list the files.

    Args:
        scale: Whole factor between LR and HR; for evaluation, any number above 1.
        scales: Scales to train on, one drawn for each batch, for a network that serves several. Each batch then has its
            ``scale``. None trains on ``scale`` alone. A range such as ``"1-4"`` draws any number between, for a
            network of any scale. Validation is always at ``scale``.
        patch_size: Side of the HR patches in pixels, a multiple of ``scale``, or of all ``scales``. With a range, LR
            patches have the side that they have at ``scale``. Sets that hold
            patches already take None for the whole of them, or the largest square that all hold.
        batch_size: Patches in a batch, on each device.
        batches_per_epoch: Length of an epoch.
        num_workers: Loader processes. Patches are memory copies, so 0 or 1 is enough for most networks.
        augment: How patches are flipped and turned, see ``TRANSFORMS``; ``"lapsrn"`` also
            trains on each picture in six sizes, from half to full.
        seed: Decides every patch.
        cache_dir: Folder of the decoded pictures, default ``$SR_CACHE`` or the user's cache folder.
        degradation: What LR pictures are made by, also those of validation; None is bicubic, or as the protocol says.
        transform: Albumentations done to HR and LR patches alike.
        pair_queue: Pairs that wait while batches are mixed of them, see ``QueuedSampler``; 0 mixes none.
        max_val_pictures: Most pictures of a set that training validates on, spread over all of it; None is all.
    """

    #: Shown where the data are missing: the folders expected, and how to get them.
    layout = "a folder of pictures"
    #: Whether the pictures may be patches already, which ``patch_size=None`` takes whole.
    whole_patches: ClassVar[bool] = False
    #: Whether LR can be made of HR here; sets that bring their own patches take no ``degradation``.
    makes_lr: ClassVar[bool] = True
    #: Whether LR pictures, where the set has some, are the official bicubic ones, which another degradation replaces.
    official_lr: ClassVar[bool] = False
    #: Whether LR pictures are as large as HR, and are made smaller for networks that enlarge.
    same_size: bool = False
    #: Channels of training pictures: 3 turns grey ones into RGB, None does so only beside pictures in colour.
    channels: int | None = 3

    def __init__(self, scale: int = 2, **loading: Unpack[Loading]) -> None:
        super().__init__()
        unknown = set(loading) - set(Loading.__annotations__)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no argument {', '.join(sorted(unknown))}")
        self.scale = scale
        self.patch_size: Any = loading.get("patch_size", 96)  # int, or None where whole_patches says so
        self.batch_size = loading.get("batch_size", 16)
        self.batches_per_epoch = loading.get("batches_per_epoch", 1000)
        self.num_workers = loading.get("num_workers", 1)
        self.augment = loading.get("augment", True)
        self.seed = loading.get("seed", 1)
        self.pair_queue = loading.get("pair_queue", 0)
        self.max_val_pictures = loading.get("max_val_pictures")
        self.cache = Path(loading.get("cache_dir") or default_cache())
        if not isinstance(scale, float):  # which is for evaluation alone
            check_value("scale", scale, PositiveInt)
            check_value("data.patch_size", self.patch_size, PositiveInt | None if self.whole_patches else PositiveInt)
        check_value("data.batch_size", self.batch_size, PositiveInt)
        check_value("data.batches_per_epoch", self.batches_per_epoch, PositiveInt)
        check_value("data.num_workers", self.num_workers, NonNegativeInt)
        check_value("data.pair_queue", self.pair_queue, NonNegativeInt)
        check_value("data.max_val_pictures", self.max_val_pictures, PositiveInt | None)
        scales = loading.get("scales")
        self.scale_range = scale_range(scales) if isinstance(scales, str) else None
        self.scales = None if isinstance(scales, str) else scales
        if self.scales is not None:
            self._check_scales(self.scales)
        check_queue(self.pair_queue, self.batch_size)
        if self.pair_queue and scales is not None:
            raise ConfigError(
                f"data.pair_queue={self.pair_queue}: mixes batches, and data.scales={scales} draws one scale for each; "
                "leave out one of the two"
            )
        self.degradation = loading.get("degradation")
        transforms = loading.get("transform")
        self.transform = JointTransform(transforms) if transforms else None
        self._check_changes()
        self.patches: Patches | None = None
        self.val_sets: dict[str, PictureDataset] = {}

    def train_pictures(self) -> Pictures | None:
        """The files to train on; None for a set that only validates."""
        return None

    def val_pictures(self) -> dict[str, Pictures]:
        """The files to validate on, by the name of the set."""
        return {}

    def test_pictures(self) -> dict[str, Pictures]:
        """The files to evaluate on; the validation files by default."""
        return self.val_pictures()

    def describe(self) -> str | None:
        """The training data in words, once ``setup`` has been called; None for a set that only validates."""
        pictures = self.train_pictures()
        if pictures is None or self.patches is None:
            return None
        source = "made of them at" if self._with_lr(pictures).lr is None else "pictures of the set at"
        if self.scale_range is not None:
            (low, high), side = self.scale_range, self.patch_size // self.scale
            return f"{len(pictures)} pictures, LR made of them at scales {low:g}-{high:g}, LR patches of {side}x{side}"
        size = f"of {self.patch_size}x{self.patch_size}" if self.patch_size else "as large as all pictures allow"
        return f"{len(pictures)} pictures, LR {source} scale {self.scale}, patches {size}"

    def download(self) -> None:
        """Downloads the data set, if it has a public home."""
        raise ConfigError(f"{type(self).__name__} cannot be downloaded; it expects {self.layout}")

    @property
    def val_names(self) -> list[str]:
        """Names of the validation sets, in the order of ``val_dataloader``."""
        return list(self.val_sets)

    def prepare_data(self) -> None:
        """Decodes pictures that are not in the cache. Lightning calls it in one process only."""
        with errors_with_file(type(self).__name__):
            self._open_train()
            self._open_val()

    def setup(self, stage: str | None = None) -> None:
        with errors_with_file(type(self).__name__):
            if stage in (None, "fit") and self.patches is None:
                self.patches = self._open_train()
            if not self.val_sets:
                self.val_sets = self._open_val(testing=stage == "test")

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
        sampler = self.patches.sampler(self.batch_size, self.batches_per_epoch, **options)
        if self.pair_queue:
            sampler = QueuedSampler(sampler, self.pair_queue)
        return PatchLoader(self.patches, sampler, self.num_workers)  # type: ignore[arg-type]

    def val_dataloader(self) -> list[DataLoader[Any]]:
        # A generator of their own: validating draws nothing from the random state that training goes on with.
        return [DataLoader(p, batch_size=1, generator=torch.Generator()) for p in self.val_sets.values()]

    def _open_train(self) -> Patches | None:
        if isinstance(self.scale, float):
            raise ConfigError(
                f"scale={self.scale}: is for evaluation alone; type a whole scale, at which the run validates, and "
                "data.scales=1-4 to train at all between"
            )
        if self.scale_range is not None:
            return self._open_range(self.scale_range)
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

    def _open_scale(self) -> Patches | None:
        pictures = self.train_pictures()
        if pictures is None:
            return None
        pictures = self._with_lr(pictures)
        hr = self._open(pictures.hr)
        if pictures.lr is not None:
            lr = self._shrunk(self._open(pictures.lr))
            return with_transform(cut_patches(hr, lr, self.scale, self.patch_size), self.transform)
        return make_patches(
            hr,
            self.scale,
            self.patch_size or min(min(h, w) for _, h, w in hr.shapes) // self.scale * self.scale,
            self.cache,
            degradation=self.degradation,
            transform=self.transform,
            rescaled=self.augment == "lapsrn",
        )

    def _open_range(self, scales: tuple[float, float]) -> Patches | None:
        pictures = self.train_pictures()
        if pictures is None:
            return None
        return AnyScalePatchDataset(self._open(self._with_lr(pictures).hr), self.patch_size // self.scale, scales)

    def _open(self, files: Sequence[Path]) -> Store:
        store = open_store(files, self.cache, channels=self.channels)
        some_grey = self.channels is None and len({shape[0] for shape in store.shapes}) > 1
        return open_store(files, self.cache, channels=3) if some_grey else store

    def _shrunk(self, lr: Store) -> Store:
        """The LR pictures as the network gets them."""
        return bicubic_store(lr, self.scale, self.cache) if self.same_size and self.scale > 1 else lr

    def _with_lr(self, pictures: Pictures) -> Pictures:
        """Checks that LR pictures come from the set or from a degradation, and not from both."""
        asked = "degradation" if self.degradation is not None else "data.augment=lapsrn"
        if not pictures.lr or (self.degradation is None and self.augment != "lapsrn"):
            return pictures
        if self.official_lr:
            return Pictures(pictures.hr)
        raise ConfigError(
            f"{pictures.lr[0].parent} has LR pictures, and {asked} makes others: leave out one of the two"
        )

    def _check_changes(self) -> None:
        """Tries augmentation, degradation and transform before any picture is opened."""
        transforms_of(self.augment)
        if self.scale_range is not None:
            self._check_range()
        if self.degradation is None and self.transform is None and self.augment != "lapsrn":
            return
        if not self.makes_lr:
            raise ConfigError(
                f"{type(self).__name__} has patches and LR of its own: it takes no degradation, data.transform or "
                "data.augment=lapsrn; use a data config that reads pictures, such as data=folder"
            )
        if self.degradation is None:
            return
        if isinstance(self.scale, float):
            raise ConfigError(
                f"scale={self.scale}: degradations have whole scales; type one, or leave degradation= out"
            )
        if not isinstance(self.degradation, Degradation):
            raise ConfigError(
                f"data.degradation={self.degradation!r} is not a degradation; choose one, such as degradation=bd"
            )
        for scale in {self.scale, *(self.scales or [])}:
            self.degradation(torch.zeros(1, 3, 16 * scale, 16 * scale), scale)

    def _check_range(self) -> None:
        """Refuses what patches at drawn scales do not have yet."""
        drawn = "data.scales={:g}-{:g}".format(*self.scale_range or ())
        if not self.makes_lr or not self.patch_size:
            raise ConfigError(
                f"{drawn}: {type(self).__name__} has patches of its own; use a data config that reads pictures, such "
                "as data=folder"
            )
        for key, value in (("degradation", self.degradation), ("data.transform", self.transform)):
            if value is not None:
                raise ConfigError(f"{drawn}: LR is made bicubically of each patch; leave {key} out")
        if self.augment == "lapsrn":
            raise ConfigError(f"{drawn}: draws the sizes itself; choose data.augment=true in place of lapsrn")
        if self.patch_size % self.scale:
            raise ConfigError(
                f"data.patch_size={self.patch_size} (in HR pixels) is not a multiple of scale={self.scale}"
            )

    def _check_scales(self, scales: list[int]) -> None:
        whole = isinstance(scales, list | tuple) and all(isinstance(s, int) and s > 0 for s in scales)
        if not whole or not scales or len({*scales}) < len(scales):
            raise ConfigError(f"data.scales={scales}: must be different whole numbers above 0, such as [2,3,4]")
        common = math.lcm(*scales)
        if self.patch_size and self.patch_size % common:
            fitting = max(1, self.patch_size // common) * common
            raise ConfigError(
                f"data.patch_size={self.patch_size} (in HR pixels) is not a multiple of all data.scales={scales}; "
                f"use {fitting} or {fitting + common}"
            )

    def _scored_pictures(self, testing: bool) -> dict[str, Pictures]:
        """The files to evaluate on, or to validate on: of these, as many as ``max_val_pictures`` allows."""
        if testing:
            return self.test_pictures()
        found, most = self.val_pictures(), self.max_val_pictures
        return {name: part[:: math.ceil(len(part) / most)] for name, part in found.items()} if most else found

    def _open_val(self, testing: bool = False) -> dict[str, PictureDataset]:
        sets = {}
        for name, pictures in self._scored_pictures(testing).items():
            pictures = self._with_lr(pictures)
            if not pictures.hr and pictures.lr:
                sets[name] = PictureDataset(None, open_store(pictures.lr, self.cache))  # type: ignore[arg-type]
                continue
            hr = open_store(pictures.hr, self.cache)
            lr: Store | None = None
            if hr.dtype == np.uint16 and pictures.lr is None:  # protocols would make a file of 8 bit
                lr = bicubic_store(hr, self.scale, self.cache)
            if self.degradation is not None:
                lr = degraded_store(hr, self.degradation, self.scale, self.cache)
            if pictures.lr is not None:
                lr = self._shrunk(open_store(pictures.lr, self.cache))
                check_pairs(hr, lr, self.scale)
            sets[name] = PictureDataset(hr, lr)
        return sets
