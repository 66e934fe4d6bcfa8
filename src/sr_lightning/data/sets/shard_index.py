"""Where the pictures of a shard begin, so that each can be read alone: ``train-000000.tar.index.json``."""

import hashlib
import json
import os
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from sr_lightning.atomic import AnyPath, atomic_write
from sr_lightning.data.sets.shard_files import LARGEST_PICTURE, open_shard, pictures_of
from sr_lightning.data.sets.shard_pictures import png_depth
from sr_lightning.data.sets.shard_remote import RemoteFile
from sr_lightning.errors import DataError
from sr_lightning.stores import is_url

VERSION = 1
ENDING = ".index.json"
_LARGEST_INDEX = 1 << 28
_BLOCK = tarfile.BLOCKSIZE
#: Bytes of headers before a member, besides its name, and behind the last one: an index that leaves out more is not
#: believed, and the shard is read instead.
_HEADERS, _LARGEST_END = 4 * _BLOCK, 2 * _BLOCK + tarfile.RECORDSIZE
_THREADS = 16
Known = TypeVar("Known", str, int)

#: What is wrong with an index that is none, or another's.
_UNUSABLE = (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class ShardIndex:
    """The pictures of one shard.

    Attributes:
        url: The shard, a file or behind a URL.
        size: Its bytes, None where a store does not tell.
        tag: Tells this version of the shard from others.
        keys: Names of the pictures.
        members: First byte and length of the files of each picture, such as ``{"hr": (512, 90000), "lr_x2": ...}``.
        deep: Whether a picture has 16 bit.
    """

    url: str
    size: int | None
    tag: str
    keys: list[str]
    members: list[dict[str, tuple[int, int]]]
    deep: bool

    def text(self) -> str:
        """The index as JSON, as ``index_of`` reads it."""
        pictures = [[key, members] for key, members in zip(self.keys, self.members, strict=True)]
        return json.dumps({"version": VERSION, "size": self.size, "deep": self.deep, "pictures": pictures})


def index_shards(urls: Sequence[AnyPath], cache: AnyPath) -> list[ShardIndex]:
    """The indexes of shards: as they lie beside them, or as they were read before, or read of the shards now.

    Args:
        urls: Files, or in a store.
        cache: Folder that remembers what was read, in ``shard_indexes``.

    Raises:
        DataError: If a shard cannot be read.
    """
    from rich.progress import track

    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda url: index_shard(url, cache), urls)
        shown = track(found, description=f"indexing {len(urls)} shards", total=len(urls)) if len(urls) > 99 else found
        return list(shown)


def index_shard(url: AnyPath, cache: AnyPath) -> ShardIndex:
    """The index of one shard, see ``index_shards``.

    Raises:
        DataError: If the shard cannot be read.
    """
    url = os.fspath(url)
    size, tag = _version(url)
    name = hashlib.sha256(json.dumps([VERSION, _place(url), size, tag]).encode()).hexdigest()[:24]
    note = Path(cache) / "shard_indexes" / f"{name}.json"
    with suppress(*_UNUSABLE):
        return _parsed(note.read_text(encoding="utf-8"), url, size, tag)
    index = _beside(url, size, tag)
    if index is None:
        index = scan_shard(url, size, tag)
        if not is_url(url) and _version(url) != (size, tag):
            raise DataError(f"{url}: changed while it was read; run again when nothing writes there")
    elif not is_url(url):
        return index
    if size is not None:
        with suppress(OSError), atomic_write(note) as temporary:  # only a memory
            temporary.write_text(index.text(), encoding="utf-8")
    return index


def scan_shard(url: AnyPath, size: int | None = None, tag: str = "") -> ShardIndex:
    """Reads the index of the headers of a shard; pictures are passed over.

    Args:
        url: A file, or in a store.
        size: What is known of the shard.
        tag: What is known of the shard.

    Raises:
        DataError: If it is no whole tar file, a picture has no HR, or two members have one name.
    """
    url = os.fspath(url)
    keys, members, deep = [], [], False
    with open_shard(url) as file:

        def place(member: Any) -> tuple[int, int, int]:
            file.seek(member.offset_data)
            return member.offset_data, member.size, png_depth(file.read(min(26, member.size)))

        for key, found in pictures_of(url, file, place):
            keys.append(key)
            members.append({kind: (begin, length) for kind, (begin, length, _) in found.items()})
            deep = deep or any(depth > 8 for _, _, depth in found.values())
    return ShardIndex(url, size, tag, keys, members, deep)


def write_index(shard: AnyPath) -> None:
    """Writes the index of a shard beside it.

    Raises:
        DataError: If the shard cannot be read.
    """
    shard = Path(shard)
    with atomic_write(shard.with_name(shard.name + ENDING)) as temporary:
        temporary.write_text(scan_shard(shard, shard.stat().st_size).text(), encoding="utf-8")


def has_index(shard: AnyPath) -> bool:
    """Whether an index lies beside a shard and is that of a file of its size."""
    with suppress(DataError):
        return _beside(os.fspath(shard), *_version(os.fspath(shard))) is not None
    return False


def _place(url: str) -> str:
    return url if is_url(url) else str(Path(url).absolute())


def _version(url: str) -> tuple[int | None, str]:
    if is_url(url):
        with RemoteFile(url) as file:
            return file.describe()
    try:
        stat = Path(url).stat()
    except OSError as error:
        raise DataError(f"{url}: cannot be read as a tar file ({error.strerror})") from None
    return stat.st_size, str(stat.st_mtime_ns)


def _beside(url: str, size: int | None, tag: str) -> ShardIndex | None:
    """The index beside a shard; None if there is none, or that of another shard."""
    if "?" in url and is_url(url):  # signed for the shard alone
        return None
    try:
        file: IO[bytes]
        with RemoteFile(url + ENDING) if is_url(url) else Path(url + ENDING).open("rb") as file:  # type: ignore[assignment]
            return _parsed(file.read(_LARGEST_INDEX).decode(), url, size, tag)
    except (DataError, *_UNUSABLE):
        return None


def _parsed(text: str, url: str, size: int | None, tag: str) -> ShardIndex:
    """An index of a file, checked.

    Raises:
        ValueError: Or another of ``_UNUSABLE``, if it is none, or of a shard of another size.
    """
    content = json.loads(text)
    if content["version"] != VERSION or content["size"] != size or size is None:
        raise ValueError("of another version or shard")
    keys = [_of(str, key) for key, _ in content["pictures"]]
    members = [
        {str(kind): (_of(int, begin), _of(int, length)) for kind, (begin, length) in found.items()}
        for _, found in content["pictures"]
    ]
    for found in members:
        if "hr" not in found:
            raise ValueError("no HR")
        for begin, length in found.values():
            if not (_BLOCK <= begin <= begin + length <= size and length <= LARGEST_PICTURE):
                raise ValueError("beyond the shard")
    _check_order(keys, members, size)
    return ShardIndex(url, size, tag, keys, members, bool(content["deep"]))


def _of(kind: type[Known], value: Any) -> Known:
    """The value, which JSON may also give as a number of another kind."""
    if type(value) is not kind:
        raise ValueError(f"{value} is no {kind.__name__}")
    return value


def _check_order(keys: list[str], members: list[dict[str, tuple[int, int]]], size: int) -> None:
    """Raises a ``ValueError`` if an index leaves much of its shard out, or names a place twice."""
    end = 0
    for key, found in zip(keys, members, strict=True):
        room = _HEADERS + 2 * len(key.encode("utf-8", "surrogateescape"))
        for begin, length in sorted(found.values()):
            if not _BLOCK <= begin - end <= room:
                raise ValueError("out of order, or pictures are left out")
            end = begin + -(-length // _BLOCK) * _BLOCK
    if not keys or size - end > _LARGEST_END:
        raise ValueError("pictures are left out at the end")
