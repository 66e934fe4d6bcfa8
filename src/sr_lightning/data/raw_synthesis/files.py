"""rawSR's files: ``{Training,Testing}/{TrainingSet/<id>NNNN.npy, ISP/<id>NNNN.jpeg, GT/<id>.npy}``, both ways."""

import errno
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sr_lightning.atomic import AnyPath, atomic_write, remove_leftovers
from sr_lightning.data.files.npy import open_npy
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.data.patches.dataset import PatchDataset
from sr_lightning.data.patches.pictures import PictureDataset
from sr_lightning.data.patches.sampling import Augment, Draws, PatchSampler, ResumableSampler
from sr_lightning.data.patches.store import PictureStore, open_store
from sr_lightning.data.raw_synthesis.camera import Camera
from sr_lightning.data.raw_synthesis.scenes import Scenes
from sr_lightning.errors import ConfigError, DataError, PictureError
from sr_lightning.types import Batch

#: What says how the files of a folder were made, the demosaicing by name among it.
SETTINGS = "synthesis.json"
#: Digits of a version at the end of a name.
DIGITS = 4


class RawSRFiles(PictureDataModule):
    """Pairs in the layout of rawSR's own data set.

    ``TrainingSet`` holds mosaics ``(H, W)`` (RGGB, float in [0, 1]), ``ISP`` the camera's pictures of the same names,
    and ``GT`` the truth ``(scale H, scale W, 3)`` (sRGB, float in [0, 1]), one for all versions: names of mosaics end
    in four digits that those of the truth lack.

    Args:
        scale: Whole factor between mosaic and truth.
        root: The folder with ``Training`` and ``Testing``, of which either may be missing.

    Raises:
        ConfigError: If ``root`` is not given.
        DataError: If files are missing, or do not fit.
    """

    layout = "data.root=FOLDER with Training/ and Testing/, each with TrainingSet/, ISP/ and GT/"
    makes_lr = False

    def __init__(self, scale: int = 2, root: AnyPath | None = None, **loading: Unpack[Loading]) -> None:
        super().__init__(scale, **loading)
        if root is None:
            raise ConfigError(f"data=rawsr_files needs {self.layout}")
        if self.scales is not None:
            raise ConfigError(f"data.scales={self.scales}: these files are of one scale; set it to null")
        self.root = Path(root)

    def describe(self) -> str | None:
        if self.patches is None:
            return None
        size = f"{self.patch_size}x{self.patch_size}"
        return f"{len(self.patches)} mosaics of {self.root.name} at scale {self.scale}, patches of {size}"

    def _open_scale(self) -> "MosaicPatches | None":
        if not (self.root / "Training").is_dir() and (self.root / "Testing").is_dir():
            return None
        return MosaicPatches(*self._split("Training"), self.scale, self.patch_size)

    def _open_val(self, testing: bool = False) -> dict[str, PictureDataset]:
        if not (self.root / "Testing").is_dir() and (self.root / "Training").is_dir():
            return {}
        return {"testing": MosaicPictures(*self._split("Testing"))}

    def _split(self, split: str) -> tuple["Arrays", PictureStore, "Arrays"]:
        """Mosaics, references and truths, checked."""
        folder = self.root / split
        mosaics = sorted(path for path in (folder / "TrainingSet").glob("*.npy") if not path.name.startswith("."))
        if not mosaics:
            raise DataError(f"{folder / 'TrainingSet'}: no mosaics (.npy); data=rawsr_files expects {self.layout}")
        references = [_first(folder / "ISP", path.stem, (".jpeg", ".jpg", ".png"), path) for path in mosaics]
        truths = [_first(folder / "GT", path.stem[:-DIGITS], (".npy",), path) for path in mosaics]
        raw, hr = Arrays(mosaics), Arrays(truths)
        lr = open_store(references, self.cache, channels=3)
        for path, (c, h, w), (_, lh, lw), truth in zip(mosaics, raw.shapes, lr.shapes, hr.shapes, strict=True):
            wanted = (3, h * self.scale, w * self.scale)
            if c != 1 or h % 2 or w % 2 or (lh, lw) != (h, w) or truth != wanted:
                raise DataError(
                    f"{path}: a mosaic of {h}x{w} pixels needs even sides, an ISP picture of its size, and at scale "
                    f"{self.scale} a GT of {wanted[1]}x{wanted[2]} in colour, but they have {lh}x{lw} and "
                    f"{truth[1]}x{truth[2]}x{truth[0]}"
                )
        return raw, lr, hr


class Arrays(Sequence[NDArray[np.float32]]):
    """Pictures ``(C, H, W)`` of ``.npy`` files ``(H, W)`` or ``(H, W, C)``, mapped into memory when they are read."""

    dtype = np.dtype(np.float32)

    def __init__(self, files: Sequence[AnyPath]) -> None:
        self.files = [Path(file) for file in files]
        self.names = [path.stem for path in self.files]
        known = {path: _shape(path) for path in dict.fromkeys(self.files)}
        self.shapes: list[tuple[int, int, int]] = [known[path] for path in self.files]

    @property
    def pictures(self) -> Sequence[NDArray[Any]]:
        """The store itself, which reads on demand: so many open files are more than a process may have."""
        return self

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[NDArray[np.float32]]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        values = open_npy(self.files[index])
        return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


class MosaicPatches(PatchDataset):
    """Patches ``raw``, ``lr`` and ``hr``, whose mosaics are RGGB, mirrored ones too."""

    def __init__(self, raw: Arrays, lr: PictureStore, hr: Arrays, scale: int, patch_size: int) -> None:
        if patch_size % (2 * scale):
            raise ConfigError(
                f"data.patch_size={patch_size} (in HR pixels) must be whole 2x2 blocks of the mosaic, a multiple of "
                f"{2 * scale} at scale={scale}"
            )
        super().__init__(hr, lr, scale, patch_size)
        self.entries.append(("raw", raw, 1))
        self.raw = raw

    def __getitems__(self, draws: Draws) -> Batch:
        """A whole batch at once, under the mosaics' names."""
        return {**super().__getitems__(draws), "name": [self.raw.names[k] for k in draws[:, 0].tolist()]}

    def sampler(self, batch_size: int, batches: int, **options: Any) -> ResumableSampler:
        """The sampler of batches; ``options`` are those of ``PatchSampler``."""
        return BayerSampler(self, batch_size, batches, **options)


class BayerSampler(PatchSampler):
    """Draws places that begin with red once the patch is mirrored: even ones, moved by a pixel for each mirror."""

    def __init__(
        self, dataset: PatchDataset, batch_size: int, batches: int, *, augment: Augment = True, **options: int
    ) -> None:
        super().__init__(dataset, batch_size, batches, augment=augment, **options)
        if (self.transforms & 3).any():
            self.places = self.places - 1
        self.places = (self.places + 1) // 2
        if self.places.min() < 1:
            raise ConfigError(
                f"data.augment={augment}: a picture has no more pixels than data.patch_size={dataset.patch_size}, "
                "which leaves no room to mirror a mosaic; choose a smaller patch, or data.augment=false"
            )

    def draw(self, epoch: int, index: int) -> Draws:
        """The draws of one batch, ``(batch_size, 4)``."""
        draws = super().draw(epoch, index)
        op = draws[:, 3]
        draws[:, 1] = 2 * draws[:, 1] + (op >> 1 & 1)
        draws[:, 2] = 2 * draws[:, 2] + (op & 1)
        return draws


class MosaicPictures(PictureDataset):
    """Whole pictures ``raw``, ``lr`` and ``hr``."""

    def __init__(self, raw: Arrays, lr: PictureStore, hr: Arrays) -> None:
        super().__init__(hr, lr)
        self.raw = raw

    def __getitem__(self, index: int) -> Batch:
        mosaic = torch.from_numpy(np.array(self.raw[index]))
        return {**super().__getitem__(index), "raw": mosaic, "name": self.raw.names[index]}  # type: ignore[typeddict-item]


def write_split(root: AnyPath, split: str, scenes: Scenes, versions: int) -> None:
    """Writes photographs of scenes, each file whole or not at all. Existing files stay.

    Raises:
        DataError: If a file cannot be written.
    """
    root = Path(root)
    from rich.progress import track

    folder = root / split
    for place in (root, *(folder / part for part in ("GT", "TrainingSet", "ISP"))):
        remove_leftovers(place)
    for index in track(range(len(scenes)), description=f"photographing, {split}"):
        name = scenes.store.names[index]
        truth = folder / "GT" / f"{name}.npy"
        for version in range(versions):
            mosaic, jpeg = (folder / part / f"{name}{version:04d}" for part in ("TrainingSet", "ISP"))
            mosaic, jpeg = mosaic.with_name(f"{mosaic.name}.npy"), jpeg.with_name(f"{jpeg.name}.jpeg")
            if mosaic.exists() and jpeg.exists() and truth.exists():
                continue
            photograph, shot = scenes.version(index, version)
            if not truth.exists():
                _write(truth, _array(photograph.truth().permute(1, 2, 0)))
            _write(mosaic, _array(photograph.raw[0]))
            _write(jpeg, _jpeg(photograph.rendered, shot.quality))


def write_settings_file(root: AnyPath, camera: Camera, scale: int) -> None:
    """Records in a file how the files of a folder are made.

    Raises:
        ConfigError: If they cannot be made so.
        DataError: If the folder holds files made with other settings, which must not come to lie among them.
    """
    root = Path(root)
    if camera.quality is None:
        raise ConfigError("data.camera.quality=null: the files of this layout are JPEGs; give a quality from 1 to 100")
    settings = json.loads(json.dumps({"scale": scale, "camera": camera.describe()}))
    file = root / SETTINGS
    if file.exists():
        try:
            found = json.loads(file.read_text())
            found["camera"] = Camera().describe() | found["camera"]  # settings that are newer than the files
            same = json.loads(json.dumps(found)) == settings
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if not same:
            raise DataError(f"{root}: holds files that were made with other settings, see {file.name}; write elsewhere")
    elif any(root.glob("*/*/*")):
        raise DataError(f"{root}: is not empty, and nothing says how its files were made; write elsewhere")
    _write(file, (json.dumps(settings, indent=2) + "\n").encode())


def _array(values: Tensor) -> bytes:
    file = BytesIO()
    np.save(file, values.contiguous().numpy())
    return file.getvalue()


def _jpeg(picture: Tensor, quality: int | None) -> bytes:
    file = BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(file, "JPEG", quality=quality)
    return file.getvalue()


def _write(path: Path, content: bytes) -> None:
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        full = "the disk is full; free space and run again, it goes on from here" if error.errno == errno.ENOSPC else ""
        raise DataError(f"{path}: cannot be written ({full or error.strerror or error})") from None


def _first(folder: Path, name: str, endings: Sequence[str], of: Path) -> Path:
    found = next((folder / f"{name}{ending}" for ending in endings if (folder / f"{name}{ending}").is_file()), None)
    if found is None:
        raise DataError(f"{of}: its file {folder.name}/{name}{endings[0]} is missing in {folder.parent}")
    return found


def _shape(path: Path) -> tuple[int, int, int]:
    values = open_npy(path)
    if values.ndim not in (2, 3) or values.dtype.kind != "f" or (values.ndim == 3 and values.shape[2] not in (1, 3)):
        shape = "x".join(map(str, values.shape))
        raise PictureError(f"{path}: must be H x W or H x W x 3 numbers in floating point, not {shape} {values.dtype}")
    return (1, *values.shape) if values.ndim == 2 else (values.shape[2], *values.shape[:2])
