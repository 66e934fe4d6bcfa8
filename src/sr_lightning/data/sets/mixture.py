"""A mixture of data sets, each drawn in proportion to its weight."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import torch
from torch.utils.data import Dataset

from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.dataset import PatchDataset
from sr_lightning.data.patches.levels import same_depth
from sr_lightning.data.patches.pictures import PictureDataset
from sr_lightning.data.patches.sampling import Draws, ResumableSampler
from sr_lightning.errors import ConfigError, DataError, nearest
from sr_lightning.types import Batch


class Mixture(PictureDataModule):
    """Patches of several sets, mixed within every batch.

    The mixture's ``scale``, ``scales``, ``patch_size`` and other reading options hold for all sets.

    Args:
        scale: Whole factor between LR and HR.
        sets: The data sets, under names of your choice.
        weights: How often each set is drawn, relative to the others: by name, or as a list in the order of ``sets``.
            None draws every picture equally often.
        val_set: Name of the set that validates; None validates on the validation pictures of all.

    Raises:
        ConfigError: If there are no sets, or the weights do not fit them.
    """

    layout = "data.sets with two data sets or more, such as: data=mixture +data@data.sets.a=div2k +data@data.sets.b=t91"

    def __init__(
        self,
        scale: int = 2,
        sets: Mapping[str, PictureDataModule] | None = None,
        weights: Mapping[str, float] | Sequence[float] | None = None,
        val_set: str | None = None,
        **loading: Unpack[Loading],
    ) -> None:
        super().__init__(scale, **loading)
        if not sets:
            raise ConfigError(f"data=mixture needs {self.layout}")
        for name, data in sets.items():
            if not isinstance(data, PictureDataModule):
                raise ConfigError(f"data.sets.{name}: must be a data set, not {type(data).__name__}")
            if type(data).train_dataloader is not PictureDataModule.train_dataloader:
                raise ConfigError(f"data.sets.{name}: {type(data).__name__} is read as a stream and cannot be mixed")
        if val_set is not None and val_set not in sets:
            raise ConfigError(f"data.val_set={val_set}: there is no such set; {nearest(val_set, sets)}")
        self.sets = {name: self._configured(data) for name, data in sets.items()}
        self.weights, self.val_set = None if weights is None else _weights(weights, list(sets)), val_set

    def describe(self) -> str | None:
        patches = self.patches
        if patches is None:
            return None
        size = f"{self.patch_size}x{self.patch_size}"
        return f"{len(patches)} pictures of {' and '.join(self.sets)}, at scale {self.scale}, patches of {size}"

    def download(self) -> None:
        """Downloads the sets that have a public home."""
        for data in self.sets.values():
            if type(data).download is not PictureDataModule.download:
                data.download()

    def _configured(self, data: PictureDataModule) -> PictureDataModule:
        data = copy.copy(data)
        data.scale, data.scales, data.patch_size = self.scale, None, self.patch_size
        data.augment, data.degradation, data.transform = self.augment, self.degradation, self.transform
        data.max_val_pictures = self.max_val_pictures or data.max_val_pictures
        data._check_changes()
        return data

    def _open_range(self, scales: tuple[float, float]) -> None:
        raise ConfigError(f"data.scales={scales[0]:g}-{scales[1]:g}: sets are mixed at whole scales; train on one set")

    def _refuse_missing(self) -> None:
        """Names every set that is not there, before the pictures of others are decoded."""
        wrong = []
        for name, data in self.sets.items():
            try:
                if data.train_pictures() and self.val_set in (None, name):
                    data.val_pictures()
            except DataError as error:
                wrong.append(f"data.sets.{name}: {error}")
        if wrong:
            raise DataError(
                f"{'; '.join(wrong)}; give data_dir=FOLDER with the sets in it, or data.sets.NAME.hr_dir=FOLDER for "
                "one of them; the first lines of an experiment's file say what makes folders of its own"
            )

    def _open_scale(self) -> "MixturePatchDataset":
        self._refuse_missing()
        parts = {}
        for name, data in self.sets.items():
            part = self._configured(data)._open_scale()
            if not isinstance(part, PatchDataset):
                raise ConfigError(f"data.sets.{name}: {type(data).__name__} has no training pictures to mix")
            parts[name] = part
        return MixturePatchDataset(parts, self.weights or [len(part) for part in parts.values()])

    def _open_val(self, testing: bool = False) -> dict[str, PictureDataset]:
        chosen = self.sets if self.val_set is None else {self.val_set: self.sets[self.val_set]}
        found = {name: data._open_val(testing) for name, data in chosen.items()}
        names = [name for sets in found.values() for name in sets]
        # Sets that call their pictures by one name, such as held_out, are told apart by their own.
        return {
            key if names.count(key) == 1 else f"{name}_{key}": pictures
            for name, sets in found.items()
            for key, pictures in sets.items()
        }


class MixturePatchDataset(Dataset[Batch]):
    """Patches of several sets. Each patch of a batch is from one of them.

    Args:
        parts: The patches of each set, by its name; all alike.
        weights: How often each set is drawn, relative to the others.

    Raises:
        ConfigError: If the sets' patches differ in size, channels, type or entries.
    """

    def __init__(self, parts: Mapping[str, PatchDataset], weights: Sequence[float]) -> None:
        # Of sets in 8 and in 16 bit, the batches have 16.
        as_8bit = [
            {key: what.replace("uint16", "uint8") for key, what in part.layout.items()} for part in parts.values()
        ]
        (first, layout), *others = zip(parts, as_8bit, strict=True)
        for name, other in others:
            if other != layout:
                raise ConfigError(
                    f"data.sets: patches of one batch must be alike, but {first} has {_words(layout)} and {name} has "
                    f"{_words(other)}"
                )
        self.parts, self.weights = parts, weights

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts.values())

    def __getitem__(self, draw: Sequence[int]) -> Batch:
        return self.__getitems__(np.asarray(draw)[None])

    def __getitems__(self, draws: Draws) -> Batch:
        """A whole batch at once, in the order of the draws."""
        sets, parts = draws[:, -1], list(self.parts.values())
        batches: list[Any] = [parts[i].__getitems__(draws[sets == i, :-1]) for i in np.unique(sets)]
        # Where each patch of the batch is in the sets' batches one after the other.
        place = np.argsort(np.argsort(sets, kind="stable")).tolist()
        mixed = dict(batches[0])
        for key, value in mixed.items():
            if isinstance(value, torch.Tensor):
                arrays = same_depth([batch[key].numpy() for batch in batches])
                mixed[key] = torch.from_numpy(np.concatenate(arrays)[place])
        names = [name for batch in batches for name in batch["name"]]
        return {**mixed, "name": [names[i] for i in place]}  # type: ignore[typeddict-item]

    def sampler(self, batch_size: int, batches: int, **options: Any) -> "MixturePatchSampler":
        """What draws the batches; ``options`` are those of ``PatchSampler``."""
        return MixturePatchSampler(self, batch_size, batches, **options)


class MixturePatchSampler(ResumableSampler):
    """Draws the set of each patch by weight, and then the patch as training on that set alone does."""

    def __init__(self, dataset: MixturePatchDataset, batch_size: int, batches: int, **options: Any) -> None:
        self.samplers = [part.sampler(batch_size, batches, **options) for part in dataset.parts.values()]
        super().__init__(batch_size, batches, **{key: options[key] for key in options if key != "augment"})
        self.probabilities = np.array(dataset.weights) / np.sum(dataset.weights)

    def draw(self, epoch: int, index: int) -> Draws:
        """The draws of one batch, ``(batch_size, 5)``."""
        # A stream of its own: the places are those of a run on one set alone.
        total = self.batch_size * self.world_size
        sets = self.generator(epoch, index, 3).choice(len(self.samplers), size=total, p=self.probabilities)[self.share]
        draws = np.stack([sampler.draw(epoch, index) for sampler in self.samplers])
        return np.column_stack([draws[sets, np.arange(self.batch_size)], sets])


def _weights(weights: Mapping[str, float] | Sequence[float], names: list[str]) -> list[float]:
    """The weights in the order of the names."""
    if isinstance(weights, Mapping):
        if {*weights} != {*names}:
            raise ConfigError(f"data.weights: names {', '.join(weights)}, and data.sets {', '.join(names)}")
        weights = [weights[name] for name in names]
    if isinstance(weights, str) or not isinstance(weights, Sequence) or len(weights) != len(names):
        raise ConfigError(f"data.weights={weights}: must be one number for each of {', '.join(names)}")
    if not all(isinstance(w, int | float) and w >= 0 for w in weights) or not 0 < sum(weights) < float("inf"):
        raise ConfigError(f"data.weights={list(weights)}: must be numbers of 0 and above, and not all 0")
    return list(weights)


def _words(layout: dict[str, str]) -> str:
    return ", ".join(f"{key} {what}" for key, what in layout.items())
