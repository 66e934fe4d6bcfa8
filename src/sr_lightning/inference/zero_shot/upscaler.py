"""Enlarging pictures by networks that are trained on each of them."""

import copy
import csv
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sr_lightning.atomic import atomic_write, expand_home
from sr_lightning.data.files.io import EXTENSIONS, Photo, read_photo
from sr_lightning.degradations.kernels import load_kernel
from sr_lightning.errors import DataError, PictureError
from sr_lightning.inference.options import Progress
from sr_lightning.inference.tiles.boxes import Box
from sr_lightning.inference.tiles.tiling import Look, as_float
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.inference.zero_shot.settings import Settings
from sr_lightning.inference.zero_shot.training import Given, ZeroShot
from sr_lightning.models import SuperResolutionModule

TRUTH = "_gt"  # ends the name of a truth that lies beside its picture


class ZeroShotUpscaler(Upscaler):
    """Enlarges pictures as ``Upscaler`` does, but trains a new network on each.

    Args:
        make: Number of channels, 1 or 3, to an untrained network that ``enlarges_first``.
        settings: How it is trained.
        device: Where; None for the fastest there is.

    Example:
        >>> from sr_lightning.models import ZSSR
        >>> settings = Settings(max_iterations=2, back_projections=1)
        >>> upscaler = ZeroShotUpscaler(lambda channels: ZSSR(scale=2, channels=channels, num_features=4), settings)
        >>> upscaler.upscale(np.zeros((20, 30, 3), np.uint8), factor=1.5).shape
        (30, 45, 3)
    """

    def __init__(
        self,
        make: Callable[[int], SuperResolutionModule],
        settings: Settings,
        device: torch.device | str | None = "cpu",
    ) -> None:
        super().__init__(make(3), device=device)
        self.make, self.settings = make, settings
        self._given = Given(
            [load_kernel(file, settings.kernel_key) for file in settings.kernel_files() if not _auto(file)]
        )
        self._source: Path | None = None
        #: A row for every test of the latest picture.
        self.history: list[dict[str, Any]] = []

    def with_sidecar_files(self, source: Path | str) -> "ZeroShotUpscaler":
        """This upscaler with the kernels and the truth that lie beside a picture's file."""
        other, source = copy.copy(self), Path(source)
        kernels = self._given.kernels
        if any(_auto(file) for file in self.settings.kernel_files()):
            kernels = kernels_beside(source, len(self.settings.factors), self.settings.kernel_key)
        truth = truth_beside(source) if self.settings.truth else None
        pixels = None if truth is None else as_float(read_photo(truth).pixels.transpose(2, 0, 1)).contiguous()
        other._given, other._source = Given(kernels, pixels), source
        return other

    def accepts(self, source: Path | str) -> bool:
        """Not the truth of another."""
        return not (self.settings.truth and is_truth(Path(source)))

    def photo(self, photo: Photo, *, size: tuple[int, int] | None = None, **options: Any) -> Photo:
        height, width = photo.pixels.shape[:2]
        size = size or (height * self.model.scale, width * self.model.scale)
        factor = max(size[0] / height, size[1] / width)
        if factor <= 1:
            raise DataError(f"factor={factor:.4g}: training on the picture itself is for enlarging, by more than 1")
        last = self.settings.steps(factor)[-1].factors
        if last[0] != last[1]:
            size = round(height * last[0]), round(width * last[1])
        return super().photo(photo, size=size, **options)

    def _parts(
        self,
        pictures: Sequence[NDArray[Any]],
        size: tuple[int, int],
        on_progress: Progress | None,
        look: Look,
        constants: dict[str, Tensor] | None = None,
    ) -> Iterator[tuple[Box, Tensor]]:
        colours, *opacity = (as_float(each).contiguous() for each in pictures)
        picture = colours * opacity[0] if opacity else colours

        def drawn(number: int) -> nn.Module:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.settings.seed + 1_000_003 * number)
                return _Refine(self.make(len(picture)))

        task = ZeroShot(self.settings, drawn(0), self.device, drawn)
        truth = self._given.truth
        given = Given(self._given.kernels, None if truth is None else _with_channels(truth, len(picture)))
        sr = task.enlarge(picture, size, given, on_progress)
        self.history = task.history
        if self.settings.history and self._source:
            _write_history(expand_home(self.settings.history), self._source.stem, task.history)
        sr = sr.cpu()
        look(sr, Box(0, size[0], 0, size[1]), size)
        for box in Box(0, size[0], 0, size[1]).split(1024):
            yield box, sr[:, *box.slices]


class _Refine(nn.Module):
    """What a network does to pictures that have been enlarged."""

    def __init__(self, net: SuperResolutionModule) -> None:
        super().__init__()
        self.net = net.net

    def forward(self, enlarged: Tensor) -> Tensor:
        return self.net(enlarged, scale=1)  # type: ignore[no-any-return]


def truth_beside(source: Path) -> Path | None:
    """The file ``NAME_gt.*`` beside a picture, if there is one."""
    for ending in (source.suffix, *sorted(EXTENSIONS)):
        path = source.with_name(f"{source.stem}{TRUTH}{ending}")
        if path.is_file():
            return path
    return None


def is_truth(path: Path) -> bool:
    """Whether a file is the truth of a picture beside it."""
    if not path.stem.endswith(TRUTH):
        return False
    name = path.stem.removesuffix(TRUTH)
    return any(path.with_name(name + ending).is_file() for ending in (path.suffix, *EXTENSIONS))


def kernels_beside(source: Path, count: int, key: str) -> list[NDArray[np.float64]]:
    """The kernels ``NAME_0``, ``NAME_1``, ... beside a picture, ``.mat`` or ``.npy``.

    Raises:
        PictureError: If one is missing.
        DataError: If one cannot be read.
    """
    found = []
    for number in range(count):
        files = [source.with_name(f"{source.stem}_{number}{ending}") for ending in (".mat", ".npy")]
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            raise PictureError(
                f"{source}: there is no kernel {files[0].name} or {files[1].name} beside it; "
                "add it, name one with zero_shot.kernel=FILE, or set zero_shot.kernel=null for bicubic"
            )
        try:
            found.append(load_kernel(file, key))
        except DataError as error:
            raise PictureError(str(error)) from None
    return found


def _auto(file: Path) -> bool:
    return str(file) == "auto"


def _with_channels(picture: Tensor, channels: int) -> Tensor:
    return picture if len(picture) == channels else picture.mean(0, keepdim=True).expand(channels, -1, -1)


def _write_history(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """``NAME.csv``, or the first of ``NAME.1.csv``, ... that is free; the picture is worth more than its table."""
    names = (f"{name}{(number and f'.{number}') or ''}.csv" for number in count())
    try:
        path = next(folder / name for name in names if not (folder / name).exists())
        with atomic_write(path, overwrite=False) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["step"])
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        warnings.warn(f"zero_shot.history={folder}: no table can be written ({error.strerror})", stacklevel=2)
