"""Pictures decoded once into one memory-mapped file that all processes share.

A store is a folder ``<cache>/<content hash>`` with ``pixels.bin``, all pictures ``(C, H, W)`` one after the other, as
uint8, or as uint16 if any of them has 16 bit or is RAW, and ``index.json``. Its name is the hash of the source files'
contents, of what was done to them and of the format's version, so that a store can never be stale; ``<cache>/known``
remembers which sizes and times of modification belong to which content, so that files are hashed once.
"""

import errno
import hashlib
import json
import mmap
import os
import shutil
import time
import uuid
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sr_lightning.atomic import AnyPath, atomic_write, is_locked, locked, remove_leftovers
from sr_lightning.data.files.io import read_picture
from sr_lightning.data.patches.contents import ChangeDetector, boot_id, checksum, content_hash
from sr_lightning.data.patches.levels import Planar, levels_of, to_float, to_levels, to_uint16
from sr_lightning.degradations import Degradation, seed_of
from sr_lightning.errors import DataError, PictureError
from sr_lightning.functional import imresize
from sr_lightning.functional.coordinates import size_at, size_before
from sr_lightning.functional.levels import rounded
from sr_lightning.functional.resize import Edge

VERSION = 3
#: Goes up when a degradation makes other pixels of the same settings and seed.
DEGRADATIONS = 2

_BEGINNING = 600.0  # seconds that a process may take from making a folder to writing into it

_UNUSABLE = (OSError, ValueError, KeyError, TypeError)  # no store here, or one cut short by a crash of the machine


class PictureStore(Protocol):
    """Pictures ``(C, H, W)`` that can be read by index."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def shapes(self) -> Sequence[tuple[int, int, int]]: ...

    @property
    def pictures(self) -> Sequence[NDArray[Any]]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __len__(self) -> int: ...


class Store(Sequence[Planar]):
    """Read-only pictures ``(C, H, W)``: views of one memory-mapped file. A store is cheap to pickle."""

    dtype: np.dtype[Any] = np.dtype(np.uint8)

    def __init__(self, folder: AnyPath) -> None:
        folder = Path(folder)
        self.folder = folder
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        self.names: list[str] = index["names"]
        self.shapes: list[tuple[int, int, int]] = [tuple(shape) for shape in index["shapes"]]
        self.dtype = np.dtype(index.get("dtype", "uint8"))
        self.metadata: list[Any] = index.get("metadata", [])
        sizes = [c * h * w for c, h, w in self.shapes]
        with (folder / "pixels.bin").open("rb") as file:
            if os.fstat(file.fileno()).st_size != sum(sizes) * self.dtype.itemsize:
                raise ValueError(f"{folder}: pixels.bin is not as long as index.json says")
            pixels = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=self.dtype)
        ends = np.cumsum(sizes).tolist()
        # Views made once: slicing a plain array costs a fraction of slicing a numpy.memmap.
        self.pictures: list[Planar] = [
            pixels[end - size : end].reshape(shape) for end, size, shape in zip(ends, sizes, self.shapes, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: Any) -> Any:
        return self.pictures[index]

    def __reduce__(self) -> tuple[Any, ...]:
        return Store, (self.folder,)


class JoinedStore(Store):
    """The pictures of several stores. Those of later stores must have at least ``min_side`` rows and columns."""

    def __init__(self, stores: Sequence[Store], min_side: int = 0) -> None:
        self.stores, self.min_side = stores, min_side
        kept = [
            (name, shape, picture)
            for store in stores
            for name, shape, picture in zip(store.names, store.shapes, store.pictures, strict=True)
            if store is stores[0] or min(shape[1:]) >= min_side
        ]
        self.names = [name for name, _, _ in kept]
        self.shapes = [shape for _, shape, _ in kept]
        self.pictures = [picture for _, _, picture in kept]
        self.dtype = stores[0].dtype

    def __reduce__(self) -> tuple[Any, ...]:
        return JoinedStore, (self.stores, self.min_side)


def open_store(files: Sequence[AnyPath], cache: AnyPath, *, channels: int | None = None) -> Store:
    """Opens the store of these files, and builds it if it does not exist.

    Args:
        files: Pictures in the order wanted.
        cache: Folder of all stores.
        channels: 3 turns grey pictures into RGB; None keeps each as it is.

    Raises:
        PictureError: If a file cannot be used.
        DataError: If the disk is full.
    """
    paths = [Path(file) for file in files]
    cache = Path(cache)
    content = content_hash(paths, cache)
    recipe = {"version": VERSION, "content": content, "channels": channels}

    def build(deep: bool) -> Store:
        return _open_or_build(
            recipe, cache, [f.stem for f in paths], lambda: _decoded(paths, channels, deep, content), "decoding"
        )

    try:
        return build(deep=False)
    except _DeepError:
        return build(deep=True)


def linear_store(files: Sequence[AnyPath], cache: AnyPath) -> Store:
    """The store of RAW files: linear camera RGB in uint16 at half their size, see ``virtual_sensels``.

    Its ``metadata`` holds each file's white balance ``gains`` and colour ``matrix``.

    Raises:
        PictureError: If a file cannot be used.
        DataError: If the disk is full.
    """
    paths = [Path(file) for file in files]
    cache = Path(cache)
    metadata: list[dict[str, Any]] = []
    content = content_hash(paths, cache)

    def pictures() -> Iterator[Planar]:
        for linear, colours in _of_each(paths, content, _linear):
            metadata.append(colours)
            yield linear

    # The list is still empty when the recipe is hashed, and complete when the index is written.
    recipe = {"version": VERSION, "content": content, "linear": True, "metadata": metadata}
    return _open_or_build(recipe, cache, [f.stem for f in paths], pictures, "decoding")


def decoded_store(files: Sequence[AnyPath], cache: AnyPath, decode: Callable[[Path], Planar], kind: str) -> Store:
    """The store of what a function makes of each file.

    Args:
        files: In the order wanted.
        cache: Folder of all stores.
        decode: File to ``(C, H, W)`` in uint8 or uint16; it depends on name and contents of the file alone.
        kind: Names what it makes.

    Raises:
        PictureError: If a file cannot be used.
        DataError: If the disk is full.
    """
    paths = [Path(file) for file in files]
    cache = Path(cache)
    content = content_hash(paths, cache)
    recipe = {"version": VERSION, "content": content, "decoded": kind}
    stems = [path.stem for path in paths]
    return _open_or_build(recipe, cache, stems, lambda: _of_each(paths, content, decode), "decoding")


def bicubic_store(hr: Store, scale: float, cache: AnyPath, *, edge: Edge = "symmetric") -> Store:
    """The store of ``hr``'s pictures, reduced as MATLAB does, in the type of ``hr``."""
    cache = Path(cache)
    recipe = {"version": VERSION, "of": hr.folder.name, "bicubic": scale, "edge": edge}
    return _made_of(hr, recipe, lambda name, picture: shrink(name, picture, scale, edge), cache, f"making LR x{scale}")


def degraded_store(hr: Store, degradation: Degradation, scale: int, cache: AnyPath) -> Store:
    """The store of ``hr``'s pictures, degraded. Random parameters depend only on each picture's name."""
    cache = Path(cache)
    made_by = {"degradation": degradation.describe(), "degradations": DEGRADATIONS}
    recipe = {"version": VERSION, "of": hr.folder.name, "scale": scale, **made_by}

    def degrade(name: str, picture: Planar) -> Planar:
        image = to_float(_cropped(name, picture, scale))[None]
        return to_levels(degradation(image, scale, seed_of(name), levels_of(picture.dtype))[0], picture.dtype)

    return _made_of(hr, recipe, degrade, cache, f"degrading x{scale}")


def rescaled_store(hr: Store, factor: float, cache: AnyPath) -> Store:
    """The store of ``hr``'s pictures resized by a factor as MATLAB does it, in the type of ``hr``."""
    cache = Path(cache)
    recipe = {"version": VERSION, "of": hr.folder.name, "rescaled": factor}

    def rescale(name: str, picture: Planar) -> Planar:
        return resized(picture, factor)

    return _made_of(hr, recipe, rescale, cache, f"resizing by {factor}")


def shrink(name: str, picture: Planar, scale: float, edge: Edge = "symmetric") -> Planar:
    """Makes the LR picture of a picture in 8 or 16 bit, as MATLAB does.

    Raises:
        PictureError: If it has fewer pixels than one of LR stands for.
    """
    size = size_before(picture.shape[1], scale), size_before(picture.shape[2], scale)
    return resized(_cropped(name, picture, scale), size=size, edge=edge)


def resized(
    picture: Planar, scale: float | None = None, *, size: tuple[int, int] | None = None, edge: Edge = "symmetric"
) -> Planar:
    """MATLAB's ``imresize`` of a picture in 8 bit, rounded after each pass, or in 16 bit, rounded once."""
    eight = picture.dtype == np.uint8
    image = imresize(to_float(picture), scale, size=size, edge=edge, rounding="per_pass" if eight else "none")
    return to_levels(rounded(image, levels_of(picture.dtype)), picture.dtype)


def _made_of(hr: Store, recipe: dict[str, Any], work: Callable[[str, Planar], Planar], cache: Path, what: str) -> Store:
    named = list(zip(hr.names, hr.pictures, strict=True))
    return _open_or_build(recipe, cache, hr.names, lambda: _in_threads(lambda item: work(*item), named), what)


def _cropped(name: str, picture: Planar, scale: float) -> Planar:
    """To what the scale makes of LR."""
    if min(picture.shape[1:]) < scale:
        raise PictureError(f"{name}: {picture.shape[1]}x{picture.shape[2]} pixels are too few for scale {scale}")
    height, width = (size_at(size_before(side, scale), scale) for side in picture.shape[1:])
    return picture[:, :height, :width]


class _DeepError(Exception):
    """A picture of 16 bit among those of 8 bit."""


def _decoded(files: Sequence[Path], channels: int | None, deep: bool, content: str) -> Iterator[Planar]:
    def decode(path: Path) -> Planar:
        pixels = read_picture(path).transpose(2, 0, 1)
        if pixels.dtype == np.uint16 and not deep:
            raise _DeepError
        pixels = to_uint16(pixels) if deep else pixels
        return np.ascontiguousarray(pixels.repeat(3, axis=0) if channels == 3 and len(pixels) == 1 else pixels)

    return _of_each(files, content, decode)


def _of_each(files: Sequence[Path], content: str, decode: Callable[[Path], Any]) -> Iterator[Any]:
    """What a function makes of each file, while none of them changes."""
    witness = ChangeDetector(files, content)
    yield from _in_threads(lambda path: witness.read(path, decode), files)
    witness.check()


def _linear(path: Path) -> tuple[NDArray[np.uint16], dict[str, Any]]:
    """Clipped at black and white, as every converter does it."""
    from sr_lightning.data.files.raw import read_raw
    from sr_lightning.functional.bayer import crop_to_pattern, virtual_sensels

    picture = read_raw(path)
    linear = virtual_sensels(crop_to_pattern(picture.mosaic, picture.pattern, "RGGB")).clamp(0, 1)
    pixels = to_levels(linear, np.uint16)
    return pixels, {"gains": picture.gains, "matrix": picture.matrix}


def _in_threads(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
    """Yields results in order from a few threads. Threads help, because decoding releases the interpreter lock."""
    threads = min(16, os.cpu_count() or 1)
    window = threads + 2  # pictures that memory holds
    with ThreadPoolExecutor(threads) as pool:
        ahead = deque(pool.submit(work, item) for item in items[:window])
        try:
            for item in items[window:]:
                yield ahead.popleft().result()
                ahead.append(pool.submit(work, item))
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _open_or_build(
    recipe: dict[str, Any], cache: Path, names: list[str], pictures: Callable[[], Iterable[Planar]], what: str
) -> Store:
    folder = cache / hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:24]
    _sweep(cache)
    with suppress(*_UNUSABLE):
        store = Store(folder)
        if _is_intact(folder):
            return store
        warnings.warn(f"{folder}: pixels.bin is damaged; the pictures are made anew", stacklevel=2)
    try:
        _build(folder, recipe, names, pictures(), what)
        return Store(folder)
    except OSError as error:
        cure = "set SR_CACHE to another folder"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"{cache}: the disk is full while {what} pictures; free space or {cure}") from None
        raise DataError(f"{cache}: cannot keep decoded pictures ({error.strerror}); {cure}") from None


def _build(folder: Path, recipe: dict[str, Any], names: list[str], pictures: Iterable[Planar], what: str) -> None:
    """Writes under a temporary name and renames. Kills and races therefore never leave half a store."""
    temporary = folder.parent / f".{folder.name}-{uuid.uuid4().hex[:8]}.tmp"
    temporary.mkdir(parents=True)
    try:
        shapes, kind, crc = [], np.dtype(np.uint8), 0
        with locked(temporary / "pixels.bin"):  # until it is a store: nobody sweeps it away
            with (temporary / "pixels.bin").open("wb") as file:
                for picture in _progress(pictures, len(names), what):
                    data = np.ascontiguousarray(picture).data
                    file.write(data)
                    crc = zlib.crc32(data, crc)
                    shapes.append(picture.shape)
                    kind = picture.dtype
            index = {**recipe, "names": names, "shapes": shapes, "dtype": kind.name, "crc32": crc}
            (temporary / "index.json").write_text(json.dumps(index), encoding="utf-8")
            _publish(temporary, folder)
        _note_intact(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        try:
            Store(folder)  # another process was faster: its store is the same
            if not _is_intact(folder):
                raise ValueError
        except _UNUSABLE:
            broken = temporary.with_suffix(".broken.tmp")
            folder.rename(broken)
            temporary.rename(folder)
            shutil.rmtree(broken, ignore_errors=True)


def _sweep(cache: Path) -> None:
    """Removes half-built stores of killed processes, but not stores that a process still writes."""
    remove_leftovers(cache / "known")
    for leftover in cache.glob(".*.tmp"):
        pixels = leftover / "pixels.bin"
        with suppress(FileNotFoundError):  # another process sweeps, too
            # Between making the folder and holding the file in it a process may be alive.
            if not is_locked(pixels) if pixels.exists() else time.time() - leftover.stat().st_mtime > _BEGINNING:
                shutil.rmtree(leftover, ignore_errors=True)


def _is_intact(folder: Path) -> bool:
    """Whether ``pixels.bin`` is as it was written; all of it is read once after each start of the machine."""
    with suppress(OSError):
        if (folder / "checked").read_text(encoding="utf-8") == _state(folder):
            return True
    if checksum(folder / "pixels.bin") != json.loads((folder / "index.json").read_text(encoding="utf-8"))["crc32"]:
        return False
    remove_leftovers(folder)
    _note_intact(folder)
    return True


def _note_intact(folder: Path) -> None:
    with suppress(OSError), atomic_write(folder / "checked") as temporary:  # only a memory
        temporary.write_text(_state(folder), encoding="utf-8")


def _state(folder: Path) -> str:
    stat = (folder / "pixels.bin").stat()
    return f"{boot_id()} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns}"


def _progress(pictures: Iterable[Planar], total: int, what: str) -> Iterator[Planar]:
    if total < 20:
        yield from pictures
        return
    from rich.progress import track

    yield from track(pictures, description=f"{what} {total} pictures", total=total)
