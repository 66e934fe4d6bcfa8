"""Writes cut patches to one HDF5 file or to two folders of PNG. Both continue where a killed run stopped."""

import errno
import json
import os
import shutil
import time
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sr_lightning.atomic import atomic_write, remove_leftovers
from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.writing import write_photo
from sr_lightning.errors import ConfigError, DataError

#: Arrays ``(n, H, W)`` or ``(n, H, W, 3)``, uint8 or uint16, of one number of patches, by their names in the file.
Patches = Mapping[str, NDArray[Any]]

_BLOCK = 1 << 22  # bytes that are copied at a time
_CHUNK = 1 << 16  # bytes of a chunk of the largest dataset: what reading one patch costs
_NOTE_EVERY = 2.0  # seconds of work that a crash of the machine may cost
_NOTE, _RECORDS, _ORDER = "patches.json", "records.bin", "order.npy"
_MIXED = "choose another place or delete it"


class HDF5Writer:
    """Writes the datasets of one HDF5 file in shuffled order, in memory that does not depend on their length.

    Patches go to their places in a plain file in ``<output>.part``; ``finish`` makes the HDF5 file of it, which
    gets its name when it is whole. A killed HDF5 library would leave a file that nobody can open.

    Args:
        output: The file.
        shapes: Shape of one patch, for each dataset.
        total: Number of patches.
        recipe: What the patches are made of and how; a rerun with the same goes on, another is refused.
        seed: Of the order; None keeps the order of cutting.
        dtype: Of the patches, uint8 or uint16.

    Raises:
        ConfigError: If there is something else at ``output``.
        DataError: If the disk has no room.
    """

    def __init__(
        self,
        output: Path,
        shapes: Mapping[str, tuple[int, ...]],
        total: int,
        recipe: Any,
        seed: int | None,
        dtype: type = np.uint8,
    ) -> None:
        self.output, self.shapes, self.total, self.recipe = output, shapes, total, recipe
        self.part = output.with_name(f"{output.name}.part")
        self.dtype = np.dtype(dtype)
        self._sizes = {key: int(np.prod(shape)) * self.dtype.itemsize for key, shape in shapes.items()}  # bytes
        self.finished = output.exists()
        self._noted = time.monotonic()
        if self.finished:
            _same(_recipe_of(output), recipe, output)
            shutil.rmtree(self.part, ignore_errors=True)
            return
        if (self.part / _NOTE).exists():
            _same(_note_of(self.part).get("recipe"), recipe, self.part)
            if self._is_whole():
                return
            warnings.warn(f"{self.part}: damaged; its patches are cut anew", stacklevel=2)
        self._start_file(seed)

    @property
    def done(self) -> int:
        """The number of pictures whose patches are all written."""
        return int(_note_of(self.part)["done"])

    def __enter__(self) -> Self:
        self._order = np.load(self.part / _ORDER, mmap_mode="r")
        # Unbuffered: patches go to places far from one another.
        self._file = (self.part / _RECORDS).open("r+b", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, start: int, patches: Patches) -> None:
        """Writes patches number ``start`` and following, in the order of cutting."""
        parts = [np.ascontiguousarray(patches[key]).view(np.uint8).reshape(-1, n) for key, n in self._sizes.items()]
        records = np.concatenate(parts, axis=1)
        for place, record in zip(self._order[start : start + len(records)].tolist(), records, strict=True):
            self._file.seek(place * len(record))
            if self._file.write(record) < len(record):  # the last bytes of a disk
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def note(self, done: int, *, now: bool = False) -> None:
        """Records that the first ``done`` pictures are written."""
        if now or time.monotonic() > self._noted + _NOTE_EVERY:
            os.fsync(self._file.fileno())
            self._write_note(done)
            self._noted = time.monotonic()

    def finish(self, attributes: Mapping[str, Any], links: Mapping[str, str], gzip: int | None) -> None:
        """Makes the HDF5 file.

        Args:
            attributes: Of the file.
            links: Further names of datasets.
            gzip: Level of compression, 1 to 9; None does not compress.
        """
        made = self.part / "whole.h5"
        try:
            self._make(made, attributes, links, gzip)
        except RuntimeError as error:  # HDF5 raises this, too, where a disk is full
            raise OSError(str(error)) from None
        with made.open("rb") as written:
            os.fsync(written.fileno())
        made.replace(self.output)
        shutil.rmtree(self.part, ignore_errors=True)

    def _make(self, made: Path, attributes: Mapping[str, Any], links: Mapping[str, str], gzip: int | None) -> None:
        import h5py
        from rich.progress import Progress

        chunk = min(self.total, max(1, _CHUNK // max(self._sizes.values())))
        step = chunk * max(1, _BLOCK // (chunk * sum(self._sizes.values())))
        ends = np.cumsum([*self._sizes.values()])[:-1]
        with Progress() as progress, (self.part / _RECORDS).open("rb") as records, h5py.File(made, "w") as file:
            task = progress.add_task(f"writing {self.output.name}", total=self.total)
            compression = {} if gzip is None else {"compression": "gzip", "compression_opts": gzip}
            for key, shape in self.shapes.items():
                chunks = (chunk, *shape)  # each with a checksum: a flipped bit is no other pixel
                file.create_dataset(
                    key, (self.total, *shape), self.dtype, chunks=chunks, fletcher32=True, **compression
                )
            for start in range(0, self.total, step):
                count = min(step, self.total - start)
                block = np.fromfile(records, np.uint8, count * sum(self._sizes.values())).reshape(count, -1)
                for (key, shape), part in zip(self.shapes.items(), np.split(block, ends, axis=1), strict=True):
                    file[key][start : start + count] = np.ascontiguousarray(part).view(self.dtype).reshape(-1, *shape)
                progress.advance(task, count)
            for name, key in links.items():
                file[name] = file[key]
            file.attrs.update({**attributes, "recipe": json.dumps(self.recipe)})

    def _is_whole(self) -> bool:
        """Whether writing can continue: the order is intact, and all recorded patches are in the file."""
        note, records = _note_of(self.part), self.part / _RECORDS
        try:
            order = np.load(self.part / _ORDER, mmap_mode="r")
            self._crc = zlib.crc32(order.data)
            same = order.shape == (self.total,) and self._flush(note["done"], note["size"]) == note["crc"]
            return same and records.is_file() and records.stat().st_size >= note["size"]
        except Exception:  # NumPy raises whatever it trips over
            return False

    def _flush(self, done: int, size: int) -> int:
        """A checksum over the order and the note."""
        return zlib.crc32(f"{done} {size}".encode(), self._crc)

    def _write_note(self, done: int) -> None:
        size = (self.part / _RECORDS).stat().st_size
        _write_note(self.part, self.recipe, done, size=size, crc=self._flush(done, size))

    def _start_file(self, seed: int | None) -> None:
        shutil.rmtree(self.part, ignore_errors=True)  # killed before its note was written: nothing was in it
        self.part.mkdir(parents=True)
        needed = 2 * self.total * sum(self._sizes.values())
        free = shutil.disk_usage(self.part).free
        if free < needed:
            self.part.rmdir()
            raise DataError(
                f"{self.output}: {self.total} patches need {needed / 1e9:.1f} GB while they are written, and the disk "
                f"has {free / 1e9:.1f}; choose another disk, a larger stride or fewer scales"
            )
        order = np.arange(self.total, dtype=np.int64 if self.total >> 32 else np.uint32)
        if seed is not None:
            np.random.default_rng(seed).shuffle(order)
        np.save(self.part / _ORDER, order)
        (self.part / _RECORDS).touch()
        self._crc = zlib.crc32(order.data)
        self._write_note(0)


class FolderWriter:
    """Writes PNG pairs of equal names into two folders, which remember what they hold.

    Raises:
        ConfigError: If a folder holds something else.
    """

    def __init__(self, hr: Path, lr: Path, recipe: Any, pictures: int) -> None:
        self.folders = {"hr": hr, "lr": lr}
        self.recipe = recipe
        for folder in self.folders.values():
            remove_leftovers(folder)
            note = folder / _NOTE
            if note.exists():
                _same(_note_of(folder).get("recipe"), recipe, folder)
            elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise ConfigError(f"{folder}: is not an empty folder; {_MIXED}")
        for folder in self.folders.values():
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / _NOTE).exists():
                _write_note(folder, recipe, 0)
        self.finished = self.done >= pictures

    @property
    def done(self) -> int:
        """Pictures whose patches are all written."""
        return min(int(_note_of(folder)["done"]) for folder in self.folders.values())

    def write(self, name: str, first: int, factor: int, patches: Patches) -> None:
        """Writes patches of one picture; ``first`` is the running number of the first within the picture."""
        for key, array in patches.items():
            for number, patch in enumerate(array, start=first):
                pixels = patch[..., None] if patch.ndim == 2 else patch
                write_photo(self.folders[key] / f"{name}_{number}_x{factor}.png", Photo(pixels))

    def note(self, done: int) -> None:
        """Remembers that the first ``done`` pictures are written."""
        for folder in self.folders.values():
            _write_note(folder, self.recipe, done)


def write_error(error: OSError, place: Path) -> DataError:
    """The sentence for a disk that is full or cannot be written, or where another process writes."""
    if isinstance(error, BlockingIOError):
        return DataError(f"{place}: another process is writing there; let it finish, or choose another place")
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):  # as HDF5 says it
        return DataError(f"{place}: the disk is full; free space and run again to continue where it stopped")
    return DataError(f"{place}: cannot be written ({error.strerror or error}); fix that and run again")


def _recipe_of(output: Path) -> Any:
    import h5py

    try:
        with h5py.File(output) as file:
            return json.loads(file.attrs["recipe"])
    except (OSError, KeyError, ValueError, TypeError):
        return None


def _note_of(folder: Path) -> dict[str, Any]:
    """The recorded progress of a folder of patches; empty if the record is damaged."""
    try:
        note: Any = json.loads((folder / _NOTE).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) and type(note.get("done")) is int and note["done"] >= 0 else {}


def _same(found: Any, recipe: Any, place: Path) -> None:
    if found != json.loads(json.dumps(recipe)):
        raise ConfigError(f"{place}: holds something else than this command makes; {_MIXED}")


def _write_note(folder: Path, recipe: Any, done: int, **more: int) -> None:
    with atomic_write(folder / _NOTE) as temporary:
        temporary.write_text(json.dumps({"done": done, "recipe": recipe, **more}))
