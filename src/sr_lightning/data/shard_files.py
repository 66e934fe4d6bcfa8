"""The WebDataset layout: tar files whose members ``<key>.hr.png`` and ``<key>.lr_x2.png`` follow one another."""

import http.client
import io
import json
import re
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from sr_lightning.data.io import read_picture, to_uint8
from sr_lightning.data.module import PictureDataModule
from sr_lightning.data.pictures import Pictures
from sr_lightning.data.store import Planar, shrink
from sr_lightning.errors import ConfigError, DataError, PictureError, SRError

Pair = tuple[str, Planar, Planar]  # name, HR, LR
ATTEMPTS = 4


def write_shards(data: PictureDataModule, folder: Path, shard_size: int = 100) -> list[Path]:
    """Writes ``train-000000.tar`` and so on, ``shard_size`` pictures each, in the WebDataset layout.

    Members are ``<key>.hr.png`` and ``<key>.lr_x<scale>.png``, 8 bit, LR from the set or made bicubically. A shard has
    its name only when it is whole: a rerun after a kill goes on with the first that is missing.

    Returns:
        The shards.

    Raises:
        ConfigError: If the set has no training pictures, or the folder holds shards of something else.
        DataError: If a picture cannot be read.
    """
    pictures = data.train_pictures()
    if pictures is None:
        raise ConfigError(f"{type(data).__name__} has no training pictures to write into shards")
    if not isinstance(shard_size, int) or shard_size < 1:
        raise ConfigError(f"shard_size={shard_size}: must be a whole number of pictures above 0")
    recipe = {"scale": data.scale, "shard_size": shard_size, "pictures": [str(path.absolute()) for path in pictures.hr]}
    _claim(folder, recipe)
    starts = range(0, len(pictures), shard_size)
    shards = [folder / f"train-{index:06d}.tar" for index in range(len(starts))]

    from rich.progress import track

    for start, shard in track(list(zip(starts, shards, strict=True)), description=f"writing {len(shards)} shards"):
        if not shard.exists():
            _write(shard, pictures[start : start + shard_size], data.scale)
    return shards


def _claim(folder: Path, recipe: dict[str, object]) -> None:
    """Notes what the folder's shards hold, and refuses to mix it with something else."""
    note = folder / "shards.json"
    if note.exists():
        if json.loads(note.read_text()) != recipe:
            raise ConfigError(f"{folder}: holds shards of other pictures or another scale; choose another folder")
    elif folder.is_dir() and any(folder.glob("*.tar")):
        raise ConfigError(f"{folder}: holds tar files that were not written by this command; choose another folder")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(recipe))


def _write(shard: Path, pictures: Pictures, scale: int) -> None:
    partial = shard.with_suffix(".part")
    with tarfile.open(partial, "w") as tar:
        for index, path in enumerate(pictures.hr):
            hr = _read(path)
            lr = _read(pictures.lr[index]) if pictures.lr else shrink(str(path), hr, scale)
            if lr.shape[1:] != (hr.shape[1] // scale, hr.shape[2] // scale):
                raise DataError(f"{path}: its LR picture has {lr.shape[1:]} pixels, which does not fit scale {scale}")
            key = path.stem.replace(".", "_")
            _add(tar, f"{key}.hr.png", hr)
            _add(tar, f"{key}.lr_x{scale}.png", lr)
    partial.replace(shard)


def _read(path: Path) -> Planar:
    return to_uint8(read_picture(path)).transpose(2, 0, 1)


def _add(tar: tarfile.TarFile, name: str, picture: Planar) -> None:
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)))
    image.save(file, "PNG")
    member = tarfile.TarInfo(name)
    member.size = file.tell()
    file.seek(0)
    tar.addfile(member, file)


def expand(pattern: str) -> list[str]:
    """The shards that a folder or a pattern with ``{000..123}`` stands for.

    Raises:
        DataError: If a folder is missing or holds no shards.

    Example:
        >>> expand("https://host/train-{08..10}.tar")
        ['https://host/train-08.tar', 'https://host/train-09.tar', 'https://host/train-10.tar']
    """
    numbers = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if numbers:
        first, last = numbers.groups()
        names = [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
        return [url for name in names for url in expand(pattern[: numbers.start()] + name + pattern[numbers.end() :])]
    if _is_remote(pattern) or pattern.endswith(".tar"):
        return [pattern]
    files = sorted(str(path) for path in Path(pattern).glob("*.tar"))
    if not files:
        raise DataError(f"{pattern}: no folder with shards (.tar); python -m sr_lightning.prepare shards={pattern}")
    return files


def read_shard(url: str, scale: int) -> Iterator[Pair]:
    """The pictures of one shard, in its order; LR is made bicubically where the shard has none of that scale.

    Raises:
        DataError: If the shard or one of its pictures cannot be read.
    """
    done = 0
    for attempt in range(1, ATTEMPTS + 1):
        try:
            for pair in islice(_read_shard(url, scale), done, None):
                yield pair
                done += 1
            return
        except SRError:
            raise
        except (OSError, EOFError, tarfile.TarError, http.client.HTTPException) as error:
            # A connection may break at any moment of a long run; what a file lacks it will always lack.
            if attempt == ATTEMPTS or not _is_remote(url) or getattr(error, "code", 500) < 500:
                reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
                raise DataError(f"{url}: cannot be read as a tar file ({reason})") from None
            time.sleep(attempt)


def _read_shard(url: str, scale: int) -> Iterator[Pair]:
    with _open(url) as file, tarfile.open(fileobj=file, mode="r|") as tar:
        for key, members in _grouped(tar):
            place = f"{url}: {key}"
            if "hr" not in members:
                raise DataError(f"{place} has no HR picture (a member {key}.hr.png)")
            hr = _decode(place, *members["hr"])
            small = members.get(f"lr_x{scale}")
            lr = _decode(place, *small) if small else shrink(place, hr, scale)
            wanted = (hr.shape[1] // scale, hr.shape[2] // scale)
            if lr.shape[1:] != wanted:
                raise DataError(f"{place} has LR of {lr.shape[1:]} pixels instead of {wanted}")
            yield key, hr, lr


def _is_remote(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _open(url: str) -> IO[bytes]:
    if _is_remote(url):
        return urllib.request.urlopen(url, timeout=60)  # type: ignore[no-any-return]
    return Path(url).open("rb")


def _grouped(tar: tarfile.TarFile) -> Iterator[tuple[str, dict[str, tuple[str, bytes]]]]:
    """Members by key, as ``{"hr": (".png", content)}``: what follows a key's first dot says what it is."""
    current = ""
    members: dict[str, tuple[str, bytes]] = {}
    for member in tar:
        if not member.isfile():
            continue
        folder, _, name = member.name.rpartition("/")
        stem, _, rest = name.partition(".")
        key = f"{folder}/{stem}".lstrip("/")
        if key != current and members:
            yield current, members
            members = {}
        current, (kind, _, ending) = key, rest.partition(".")
        members[kind] = (f".{ending}", tar.extractfile(member).read())  # type: ignore[union-attr]
    if members:
        yield current, members


def _decode(place: str, ending: str, content: bytes) -> Planar:
    """A picture of any kind that files may have, as RGB ``(3, H, W)``."""
    with tempfile.NamedTemporaryFile(suffix=ending) as file:
        file.write(content)
        file.flush()
        try:
            pixels = to_uint8(read_picture(Path(file.name))).transpose(2, 0, 1)
        except PictureError as error:
            raise PictureError(str(error).replace(file.name, place)) from None
    return pixels.repeat(3, axis=0) if len(pixels) == 1 else pixels
