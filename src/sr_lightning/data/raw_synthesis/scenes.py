"""Linear pictures, and photographs of parts of them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.io import EXTENSIONS, find_pictures
from sr_lightning.data.patches.store import Store, linear_store, open_store
from sr_lightning.data.raw_synthesis.camera import ISP, Camera, PhotoParameters, blur_kernel, jpeg_compressed
from sr_lightning.degradations import seed_of
from sr_lightning.errors import DataError
from sr_lightning.functional import dihedral
from sr_lightning.functional.isp import develop, undevelop


@dataclass(frozen=True)
class Photograph:
    """A camera's photograph of a part of a scene, and the truth.

    Attributes:
        raw: Mosaic ``(1, H, W)`` float32, RGGB.
        rendered: The camera's picture ``(3, H, W)`` uint8, before compression.
        linear: The scene ``(3, scale * H, scale * W)`` in camera RGB, without blur and noise.
        isp: How the camera renders.
    """

    raw: Tensor
    rendered: Tensor
    linear: Tensor
    isp: ISP

    def truth(self, part: tuple[slice, slice] = (slice(None), slice(None))) -> Tensor:
        """The scene, or a part of it, as the camera would render it: sRGB float in [0, 1]."""
        return develop(self.linear[:, *part], self.isp.gains, torch.tensor(self.isp.matrix))


class Scenes:
    """Linear pictures to photograph. sRGB pictures are converted back to linear camera RGB.

    Args:
        store: Linear pictures of ``linear_store``, or sRGB pictures.
        camera: Makes the photographs.
        scale: Whole factor between scene and photograph.
    """

    def __init__(self, store: Store, camera: Camera, scale: int) -> None:
        self.store, self.camera, self.scale = store, camera, scale

    def __len__(self) -> int:
        return len(self.store)

    def size(self, index: int) -> tuple[int, int]:
        """Rows and columns of the largest photograph: whole 2x2 blocks."""
        _, height, width = self.store.shapes[index]
        return height // (2 * self.scale) * 2, width // (2 * self.scale) * 2

    def shot(self, index: int, version: int) -> PhotoParameters:
        """The parameters of one version of a picture. They depend only on its name; one camera takes all versions."""
        drawn = [self.camera.draw(np.random.default_rng((seed_of(self.store.names[index]), v))) for v in (0, version)]
        return drawn[1]._replace(isp=drawn[0].isp)

    def version(self, index: int, version: int) -> tuple[Photograph, PhotoParameters]:
        """A photograph of the whole picture, the same on every machine."""
        height, width = self.size(index)
        shot = self.shot(index, version)
        seed = seed_of(f"{self.store.names[index]}{version:04d}")
        return self.photograph(index, shot, (0, height), (0, width), seed), shot

    def photograph(
        self,
        index: int,
        shot: PhotoParameters,
        rows: tuple[int, int],
        columns: tuple[int, int],
        noise_seed: int,
        op: int = 0,
    ) -> Photograph:
        """A photograph of a part of a picture, or of its mirror image.

        Args:
            index: Number of the picture.
            shot: The parameters.
            rows: First row and the one after the last, of the photograph of the whole picture.
            columns: As ``rows``.
            noise_seed: Decides the noise.
            op: Dihedral transform of the scene; the camera stays, and the mosaic is RGGB.
        """
        kernel, scale = blur_kernel(shot, self.scale), self.scale
        half_size = len(kernel) // 2
        picture = self.store.pictures[index]
        within = [
            mirrored_range(begin * scale - half_size, end * scale + half_size, length)
            for (begin, end), length in zip((rows, columns), picture.shape[1:], strict=True)
        ]
        isp = self._isp(index, shot)
        linear = self._linear(picture[:, within[0]][:, :, within[1]], isp)
        if shot.exposure:
            linear = (linear * 2**shot.exposure).clamp(0, 1)
        around = dihedral(linear, op)
        raw = self.camera.sensor(around, kernel, shot, scale, noise_seed)
        inner = around[:, half_size : around.shape[1] - half_size, half_size : around.shape[2] - half_size]
        return Photograph(raw, self.camera.render(raw, isp), inner, isp)

    def _isp(self, index: int, shot: PhotoParameters) -> ISP:
        """The rendering of the RAW file, or the drawn one."""
        return ISP(**self.store.metadata[index]) if self.store.metadata else shot.isp

    def _linear(self, pixels: NDArray[Any], isp: ISP) -> Tensor:
        image = torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max)
        if self.store.metadata:  # RAW files are linear
            return image
        return taken_back(image, isp)


def taken_back(picture: Tensor, isp: ISP) -> Tensor:
    """What a sensor saw of an sRGB picture ``(3, H, W)``, linear in [0, 1].

    No sensor sees less than nothing: colours outside the camera's gamut move to its edge.
    """
    return undevelop(picture, isp.gains, torch.tensor(isp.matrix)).clamp(0, 1)


def find_scenes(folder: AnyPath) -> list[Path]:
    """The RAW files, or else the pictures, of a folder, sorted by name; of RAW files of one stem, the first.

    Raises:
        DataError: If there are none, or both.
    """
    folder = Path(folder)
    from sr_lightning.data.files.raw import EXTENSIONS as RAW_ENDINGS

    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    files = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and not p.is_dir())
    raws = [path for path in files if path.suffix.lower() in RAW_ENDINGS]
    if not raws:
        return find_pictures(folder)
    others = [path for path in files if path.suffix.lower() in EXTENSIONS]
    if others:
        raise DataError(f"{folder}: has RAW files and pictures such as {others[0].name}; keep one kind in one folder")
    first: dict[str, Path] = {}  # decoded pictures are known by their stem
    for path in raws:
        if first.setdefault(path.stem, path) != path:
            warnings.warn(f"{path}: is left out, because {first[path.stem].name} has the same name", stacklevel=2)
    return list(first.values())


def open_scenes(files: Sequence[AnyPath], cache: AnyPath, camera: Camera, scale: int) -> Scenes:
    """RAW files or pictures, decoded into the cache.

    Raises:
        DataError: If a file cannot be used.
    """
    files = [Path(file) for file in files]
    cache = Path(cache)
    from sr_lightning.data.files.raw import is_raw

    raw = [is_raw(path) for path in files]
    store = linear_store(files, cache) if all(raw) else open_store(files, cache, channels=3)
    return Scenes(store, camera, scale)


def reference(photograph: Photograph, shot: PhotoParameters) -> Tensor:
    """The camera's picture after JPEG compression, as a user has it."""
    return jpeg_compressed(photograph.rendered, shot.quality)


def mirrored_range(begin: int, end: int, length: int) -> NDArray[np.int64]:
    """The indices of a range that may leave the picture. They are mirrored without repeating the edge.

    Example:
        >>> mirrored_range(-3, 6, 4)
        array([3, 2, 1, 0, 1, 2, 3, 2, 1])
    """
    period = max(1, 2 * length - 2)
    index = np.abs(np.arange(begin, end)) % period
    mirrored: NDArray[np.int64] = np.minimum(index, period - index)
    return mirrored
