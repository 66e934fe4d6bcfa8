"""Patches in HDF5 files, the format of SRCNN's and LapSRN's generations."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack, overload

import h5py
import numpy as np
from numpy.typing import NDArray

from sr_lightning.atomic import AnyPath
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.dataset import PatchDataset, cut_patches
from sr_lightning.data.patches.pictures import PictureDataset, Pictures
from sr_lightning.data.sets.hdf5_places import check_place, check_written
from sr_lightning.errors import ConfigError, DataError

#: Factors of the targets ``hr_x2``, ``hr_x4``, ``hr_x8`` that a file may have for the levels of a pyramid.
FACTORS = (2, 4, 8)
# For each open dataset; reads are random, and HDF5 2 would keep eight times as much of what is never read again.
_CHUNK_CACHE = 2**20
# How far values may leave the range, relative to it: cubic kernels overshoot, in files that were never rounded.
_OVERSHOOT = 0.5
_INTEGERS = (np.dtype(np.uint8), np.dtype(np.uint16))
_DAMAGE = (OSError, RuntimeError, KeyError)  # what HDF5 raises, by the part of the file that it trips over


class HDF5(PictureDataModule):
    """Patches of an HDF5 file, read from the file on demand.

    Its datasets are ``lr`` and ``hr``, each ``(N, H, W)`` for luma or ``(N, H, W, C)`` or ``(N, C, H, W)`` with one
    channel or three, in 8 bit, 16 bit or floating point. For the levels of LapSRN there may be ``hr_x2``, ``hr_x4`` and
    ``hr_x8``, of which the one of the scale can stand for ``hr``. Where ``lr`` has been enlarged to the size of
    ``hr``, networks that enlarge bicubically themselves (SRCNN, VDSR, DRCN, DRRN) skip that step.

    Args:
        scale: Whole factor between LR and HR, before an enlargement.
        file: The file of training patches.
        val_file: A file of validation pictures; the protocol makes the LR of those whose ``lr`` has been enlarged.
        val_hr_dir: Folder of validation pictures.
        val_lr_dir: Folder of their LR pictures; None lets the protocol make them.
        value_range: Largest value of floating-point patches, 1 or 255; None finds out by looking, for each dataset.

    Raises:
        ConfigError: If ``file`` is not given, or a file is of another scale.
        DataError: If a file is damaged, is no HDF5 file, its datasets do not fit, or a patch is not finite.
    """

    layout = "data.file=FILE.h5 with the datasets lr and hr, and data.val_file=FILE.h5 or data.val_hr_dir=FOLDER"
    whole_patches = True
    makes_lr = False

    def __init__(
        self,
        scale: int = 2,
        file: AnyPath | None = None,
        val_file: AnyPath | None = None,
        val_hr_dir: AnyPath | None = None,
        val_lr_dir: AnyPath | None = None,
        value_range: float | None = None,
        **loading: Unpack[Loading],
    ) -> None:
        loading.setdefault("patch_size", None)
        super().__init__(scale, **loading)
        if file is None:
            raise ConfigError(f"data=hdf5 needs {self.layout}")
        if val_file and val_hr_dir:
            raise ConfigError("data.val_file and data.val_hr_dir are both given; drop one")
        if val_lr_dir and not val_hr_dir:
            raise ConfigError(f"data.val_lr_dir={val_lr_dir} needs its HR pictures: data.val_hr_dir=FOLDER")
        if value_range not in (None, 1, 255):
            raise ConfigError(f"data.value_range={value_range}: must be 1, 255 or null")
        if self.scales:
            raise ConfigError(f"data.scales={self.scales}: an HDF5 file has patches of one scale; set data.scales=null")
        self.file, self.val_file = Path(file), Path(val_file) if val_file else None
        self.val_hr_dir = Path(val_hr_dir) if val_hr_dir else None
        self.val_lr_dir = Path(val_lr_dir) if val_lr_dir else None
        self.value_range = value_range

    def describe(self) -> str | None:
        if not isinstance(self.patches, PatchDataset):
            return None
        entries = ", ".join(f"{key} {what}" for key, what in self.patches.layout.items())
        return f"{len(self.patches)} patches of {self.file.name} at scale {self.scale}, cut to {entries}"

    def val_pictures(self) -> dict[str, Pictures]:
        if not self.val_hr_dir:
            return {}
        pictures = Pictures.in_folders(self.val_hr_dir, self.val_lr_dir, lr_suffix=f"x{self.scale}")
        return {self.val_hr_dir.name.lower(): pictures}

    def _open_val(self, testing: bool = False) -> dict[str, PictureDataset]:
        if self.val_file is None:
            return super()._open_val(testing)
        stores = open_patches(self.val_file, self.scale, self.value_range)
        enlarged = self.scale > 1 and stores["lr"].shapes == stores["hr"].shapes
        return {self.val_file.stem.lower(): PictureDataset(stores["hr"], None if enlarged else stores["lr"])}

    def _open_scale(self) -> PatchDataset:
        stores = open_patches(self.file, self.scale, self.value_range)
        lr, hr = stores["lr"], stores["hr"]
        targets = {f: stores[f"hr_x{f}"] for f in FACTORS if f < self.scale and f"hr_x{f}" in stores}
        return cut_patches(hr, lr, self.scale, self.patch_size, targets)


class HDF5Store(Sequence[NDArray[Any]]):
    """The pictures ``(C, H, W)`` of one dataset, uint8, uint16 or float32 in about [0, 1]; opened in every process.

    Args:
        file: The HDF5 file.
        key: Name of the dataset.
        divisor: What floating-point values are divided by.
    """

    def __init__(self, file: AnyPath, key: str, divisor: float = 1) -> None:
        file = Path(file)
        self.file, self.key, self.divisor = file, key, divisor
        with opened(file) as content:
            self.axes, shape = _axes(file, key, content[key].shape)
            count, self.stored = len(content[key]), content[key].dtype
        self.dtype = np.dtype(self.stored if self.stored in _INTEGERS else np.float32)
        self.shapes: list[tuple[int, int, int]] = [shape] * count
        self.names = [f"{file.stem}_{i}" for i in range(count)]
        self._content: Any = None
        self._process = 0

    @property
    def pictures(self) -> Sequence[NDArray[Any]]:
        """The store itself, which reads on demand."""
        return self

    def __len__(self) -> int:
        return len(self.shapes)

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[NDArray[Any]]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        try:
            pixels = self._open()[self.key][index]
        except _DAMAGE as error:
            raise DataError(f"{self.file}: {self.key} {index} cannot be read ({_reason(error)})") from None
        picture = pixels[None] if self.axes is None else pixels.transpose(self.axes)
        if self.dtype in _INTEGERS:
            return picture
        divided = (picture / self.divisor).astype(np.float32)
        if not np.isfinite(divided).all():
            raise DataError(f"{self.file}: {self.key} {index} has values that are not finite; leave that patch out")
        return divided

    def _open(self) -> Any:
        # A handle that was inherited from the process before a fork is not this one's to use.
        if self._process != os.getpid():
            self._content = h5py.File(self.file, rdcc_nbytes=_CHUNK_CACHE, locking="best-effort")
            self._process = os.getpid()
        return self._content

    def __reduce__(self) -> tuple[Any, ...]:
        return HDF5Store, (self.file, self.key, self.divisor)


def open_patches(file: AnyPath, scale: int, value_range: float | None = None) -> dict[str, HDF5Store]:
    """Checks and returns the datasets ``lr``, ``hr`` and those of ``FACTORS`` that a file has.

    Raises:
        ConfigError: If the file says that it is of another scale.
        DataError: If the file is damaged, is no HDF5 file, or its datasets do not fit.
    """
    file = Path(file)
    with opened(file) as content:
        _check_scale(file, content.attrs, scale)
        _check_padding(file, content.attrs)
        present = [key for key in ("lr", "hr", *(f"hr_x{f}" for f in FACTORS)) if key in content]
        truth = "hr" if "hr" in content else f"hr_x{scale}"
        for key in ("lr", truth):
            if key not in content:
                there = ", ".join(content) or "nothing"
                wanted = "lr" if key == "lr" else f"hr, nor hr_x{scale}"
                raise DataError(f"{file}: has no dataset {wanted}; it has {there}")
        for key in present:
            check_place(file, key, content)
            _check_dataset(file, key, content)
        lengths = {key: len(content[key]) for key in present}
        if len({*lengths.values()}) > 1:
            raise DataError(f"{file}: datasets differ in length: {', '.join(f'{k} {n}' for k, n in lengths.items())}")
    stores = {key: HDF5Store(file, key) for key in present}
    whole = {**stores, "hr": stores[truth]}
    _check_sizes(file, whole, scale)
    for key in sorted(stores, key=lambda key: key != truth):  # the truth first, so that errors name it
        if stores[key].dtype not in _INTEGERS:
            stores[key].divisor = value_range or _find_range(stores[key], 0 if key == truth else _OVERSHOOT)
    return whole


@contextmanager
def opened(file: Path) -> Iterator[Any]:
    """Opens the file for the block.

    Raises:
        DataError: If it cannot be opened, or read within the block.
    """
    if not file.is_file():
        raise DataError(f"{file}: no such file")
    try:
        with h5py.File(file, rdcc_nbytes=_CHUNK_CACHE, locking="best-effort") as content:
            yield content
    except _DAMAGE as error:
        kind = "damaged" if h5py.is_hdf5(file) else "no HDF5 file"
        raise DataError(f"{file}: {kind} ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    """HDF5's own words, without the function that met with the error."""
    text = str(error)
    return text[text.index("(") + 1 : text.rindex(")")] if "(" in text and text.endswith(")") else text


def _check_scale(file: Path, attrs: Any, scale: int) -> None:
    """Compares with the scale that the file says it has been cut for; files that say nothing are fine."""
    # Of files with enlarged LR, ``scale`` is 1 here, and ``upscale_factor`` what it was before.
    noted = attrs.get("upscale_factor", attrs.get("scale"))
    try:
        noted = json.loads(noted) if isinstance(noted, str | bytes) else noted
        scales = [] if noted is None else np.atleast_1d(noted).astype(float).tolist()
    except (TypeError, ValueError):
        return
    if scales and scales != [1] and scale not in scales:
        raise ConfigError(
            f"{file}: has been cut for scale {', '.join(f'{s:g}' for s in scales)}; say so with scale={scales[0]:g}, "
            f"or give a file for scale {scale}"
        )


def _check_padding(file: Path, attrs: Any) -> None:
    """Refuses HR that ``prepare padding=`` has made smaller than LR; files that say nothing are fine."""
    try:
        padding = json.loads(attrs.get("command", "{}")).get("padding", 0)
    except (TypeError, ValueError, AttributeError, RecursionError):
        return
    if padding:
        raise DataError(
            f"{file}: its hr lacks {padding} pixels on each side (prepare padding={padding}), which is for other "
            "programs; cut it with padding=0, of which SRCNN's model.padding=valid compares the centres alone"
        )


def _check_dataset(file: Path, key: str, content: Any) -> None:
    data = content[key]
    if not isinstance(data, h5py.Dataset):
        raise DataError(f"{file}: {key} is a group, not a dataset")
    if data.dtype not in _INTEGERS and data.dtype.kind != "f":
        raise DataError(
            f"{file}: {key} is of type {data.dtype}; patches must be uint8, uint16, or floating point in [0, 1]"
        )
    if not data.ndim or not len(data):
        raise DataError(f"{file}: {key} is empty")
    _axes(file, key, data.shape)
    check_written(file, key, data)


def _axes(file: Path, key: str, shape: tuple[int, ...]) -> tuple[tuple[int, int, int] | None, tuple[int, int, int]]:
    """How to turn one patch to ``(C, H, W)``, None if it has no channels yet, and its shape then."""
    if len(shape) == 3:
        return None, (1, *shape[1:])
    if len(shape) == 4 and (shape[1] in (1, 3)) != (shape[3] in (1, 3)):
        axes = (0, 1, 2) if shape[1] in (1, 3) else (2, 0, 1)
        channels, height, width = (shape[1:][axis] for axis in axes)
        return axes, (channels, height, width)
    raise DataError(
        f"{file}: {key} has the shape {'x'.join(map(str, shape))}; patches must be N x H x W, N x H x W x C or "
        "N x C x H x W with one channel or three"
    )


def _find_range(store: HDF5Store, overshoot: float) -> float:
    """1 or 255, by some patches from all parts of the file."""
    sample = np.stack([store[i] for i in np.unique(np.linspace(0, len(store) - 1, 100).astype(int)).tolist()])
    low, high = float(sample.min()), float(sample.max())
    if low >= -overshoot and high <= 1 + overshoot:
        return 1
    if low >= -255 * overshoot and 16 <= high <= 255 * (1 + overshoot):
        return 255
    raise DataError(
        f"{store.file}: {store.key} has values from {low:g} to {high:g}, which is neither [0, 1] nor [0, 255]; "
        "set data.value_range=1 or data.value_range=255 if it is one of them"
    )


def _check_sizes(file: Path, stores: dict[str, HDF5Store], scale: int) -> None:
    (_, height, width), (_, hr_height, hr_width) = stores["lr"].shapes[0], stores["hr"].shapes[0]
    if (hr_height, hr_width) not in ((height, width), (height * scale, width * scale)):
        raise DataError(
            f"{file}: at scale {scale}, lr of {height}x{width} pixels needs hr of {height * scale}x{width * scale}, "
            f"or of its own size if it has been enlarged; hr has {hr_height}x{hr_width}"
        )
    for factor in FACTORS:
        key = f"hr_x{factor}"
        if key in stores and stores[key].shapes[0][1:] != (height * factor, width * factor):
            h, w = stores[key].shapes[0][1:]
            raise DataError(f"{file}: {key} has {h}x{w} pixels instead of {height * factor}x{width * factor}")
    if len({store.dtype for store in stores.values()}) > 1:
        kinds = ", ".join(f"{key} is {store.dtype}" for key, store in stores.items())
        raise DataError(f"{file}: {kinds}; store all datasets in one type")
