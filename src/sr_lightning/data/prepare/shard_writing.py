"""Writes training pictures to shards. A shard is written whole or not at all."""

import io
import json
import tarfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from pydantic import PositiveInt

from sr_lightning.atomic import AnyPath, atomic_write, remove_leftovers
from sr_lightning.data.files.disk import errors_with_file
from sr_lightning.data.files.io import read_picture
from sr_lightning.data.patches.datamodule import PictureDataModule
from sr_lightning.data.patches.levels import Planar, levels_of, to_float, to_levels
from sr_lightning.data.patches.store import shrink
from sr_lightning.data.sets.parts import cuts_from_pictures, parts_at
from sr_lightning.data.sets.shard_files import holds
from sr_lightning.data.sets.shard_index import has_index, write_index
from sr_lightning.degradations import Degradation
from sr_lightning.errors import ConfigError, DataError, PictureError
from sr_lightning.limits import check_value


@dataclass(frozen=True)
class _Source:
    """A picture to write: its key, and its LR file at each scale, None where LR is made."""

    key: str
    hr: Path
    lr: dict[int, Path | None]

    @property
    def members(self) -> list[str]:
        """Names of its members in a shard."""
        return [f"{self.key}.hr.png", *(f"{self.key}.lr_x{scale}.png" for scale in self.lr)]


def write_shards(data: PictureDataModule, folder: AnyPath, shard_size: int = 100) -> list[Path]:
    """Writes ``train-000000.tar`` and so on, ``shard_size`` pictures each, in the WebDataset layout.

    Members are ``<key>.hr.png`` and, for each scale of the set, ``<key>.lr_x<scale>.png``, in 8 or 16 bit as the files;
    LR is the set's own, or made by its degradation, which is bicubic by default. Keys are the files' names, behind
    running numbers if two files have one name. A shard has its name only when it is whole: a rerun after a kill
    writes those that are missing, or have other members than they should. Several processes may write one folder.
    Beside each shard lies ``train-000000.tar.index.json``, which says where its pictures begin.

    Returns:
        The shards.

    Raises:
        ConfigError: If the set has no training pictures, or does with them what shards cannot hold, or the folder
            holds shards of something else.
        DataError: If a picture cannot be read, or a shard not be written.
    """
    folder = Path(folder)
    check_value("shard_size", shard_size, PositiveInt)
    _check_changes(data)
    with errors_with_file(type(data).__name__):
        sources = _sources(data, sorted({data.scale, *(data.scales or ())}))
    _write_recipe(folder, _recipe(sources, shard_size, data.degradation))
    starts = range(0, len(sources), shard_size)
    shards = [folder / f"train-{index:06d}.tar" for index in range(len(starts))]

    from rich.progress import track

    try:
        remove_leftovers(folder)
        for start, shard in track(list(zip(starts, shards, strict=True)), description=f"writing {len(shards)} shards"):
            part = sources[start : start + shard_size]
            if not holds(shard, [name for source in part for name in source.members]):
                _write(shard, part, data.degradation)
                write_index(shard)
            elif not has_index(shard):
                write_index(shard)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be written ({error.strerror or error}); the same command goes on from here"
        ) from None
    return shards


def _check_changes(data: PictureDataModule) -> None:
    """Refuses options that draw anew for each patch: a shard holds one LR picture for each HR picture."""
    if data.transform is not None:
        raise ConfigError("data.transform changes patches, and shards hold whole pictures: leave one of the two out")
    if data.augment == "lapsrn":
        raise ConfigError("data.augment=lapsrn trains at six sizes, and shards hold one: leave one of the two out")
    if data.degradation is not None and data.degradation.random:
        name = data.degradation.name or type(data.degradation).__name__
        raise ConfigError(
            f"degradation={name} is drawn anew for each patch, and shards hold one LR picture for each HR picture: "
            "train on data=folder, or fix what is random in the degradation"
        )


def _sources(data: PictureDataModule, scales: Sequence[int]) -> list[_Source]:
    found = {scale: _pairs(data, scale) for scale in scales}
    hr = [path for path, _ in found[scales[0]]]
    for scale, pairs in found.items():
        if [path for path, _ in pairs] != hr:
            raise DataError(f"{type(data).__name__} has other HR pictures at scale {scale} than at {scales[0]}")
    keys = [path.stem.replace(".", "_") for path in hr]  # what follows a key's first dot is its kind
    if len({*keys}) < len(keys):
        keys = [f"{index:06d}_{key}" for index, key in enumerate(keys)]
    return [
        _Source(key, path, {scale: found[scale][index][1] for scale in scales})
        for index, (key, path) in enumerate(zip(keys, hr, strict=True))
    ]


def _pairs(data: PictureDataModule, scale: int) -> list[tuple[Path, Path | None]]:
    pairs: list[tuple[Path, Path | None]] = []
    for name, part in parts_at(data, scale).items():
        place = f"data.sets, {name}: " if name else ""
        if not cuts_from_pictures(part):
            raise ConfigError(f"{place}{type(part).__name__} is no set of picture files that shards could hold")
        pictures = part.train_pictures()
        if pictures is None:
            raise ConfigError(f"{place}{type(part).__name__} has no training pictures to write into shards")
        pictures = part._with_lr(pictures)
        lr: Sequence[Path | None] = pictures.lr or [None] * len(pictures)
        pairs += zip(pictures.hr, lr, strict=True)
    return pairs


def _recipe(sources: Sequence[_Source], shard_size: int, degradation: Degradation | None) -> dict[str, Any]:
    return {
        "shard_size": shard_size,
        "degradation": None if degradation is None else degradation.describe(),
        "pictures": [
            {"key": source.key, "hr": _stamp(source.hr)}
            | {f"lr_x{scale}": lr and _stamp(lr) for scale, lr in source.lr.items()}
            for source in sources
        ],
    }


def _stamp(path: Path) -> list[str | int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror})") from None
    return [str(path.absolute()), stat.st_size, stat.st_mtime_ns]


def _write_recipe(folder: Path, recipe: dict[str, Any]) -> None:
    """Records what the folder's shards hold, and refuses to mix it with something else."""
    note, text = folder / "shards.json", json.dumps(recipe)
    try:
        if not note.exists() and folder.is_dir() and any(not p.name.startswith(".") for p in folder.glob("*.tar")):
            raise ConfigError(f"{folder}: holds tar files that were not written by this command; choose another folder")
        if not note.exists():
            # Another process that begins at the same moment may be faster.
            with suppress(FileExistsError), atomic_write(note, overwrite=False) as temporary:
                temporary.write_text(text, encoding="utf-8")
        if note.read_text(encoding="utf-8") != text:
            raise ConfigError(
                f"{folder}: holds shards of other pictures, or of pictures that have changed, or was begun with "
                "another scale, shard_size or degradation; choose another folder"
            )
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from None


def _write(shard: Path, sources: Sequence[_Source], degradation: Degradation | None) -> None:
    with atomic_write(shard) as temporary, tarfile.open(temporary, "w") as tar:
        for source in sources:
            hr = _read(source.hr)
            _add(tar, f"{source.key}.hr.png", hr)
            for scale, path in source.lr.items():
                lr = _read(path) if path else _made(source.hr, hr, scale, degradation)
                wanted = (len(hr), hr.shape[1] // scale, hr.shape[2] // scale)
                if lr.shape != wanted:
                    raise DataError(
                        f"{source.hr}: its LR picture has {'x'.join(map(str, lr.shape))} channels, rows and columns; "
                        f"scale {scale} needs {'x'.join(map(str, wanted))}"
                    )
                _add(tar, f"{source.key}.lr_x{scale}.png", lr)


def _made(path: Path, hr: Planar, scale: int, degradation: Degradation | None) -> Planar:
    if degradation is None or min(hr.shape[1:]) < scale:  # too small a picture is refused there
        return shrink(str(path), hr, scale)
    return to_levels(degradation(to_float(hr)[None], scale, levels=levels_of(hr.dtype))[0], hr.dtype)


def _read(path: Path) -> Planar:
    return read_picture(path).transpose(2, 0, 1)


def _add(tar: tarfile.TarFile, name: str, picture: Planar) -> None:
    done, encoded = cv2.imencode(".png", picture[::-1].transpose(1, 2, 0))  # OpenCV has blue first
    if not done:
        raise DataError(f"{name}: cannot be written as PNG")
    member = tarfile.TarInfo(name)
    member.size = len(encoded)
    tar.addfile(member, io.BytesIO(encoded.data))
