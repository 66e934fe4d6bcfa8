"""The WebDataset layout: tar files whose members ``<key>.hr.png`` and ``<key>.lr_x2.png`` follow one another."""

import os
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Self, TypeVar, cast

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.disk import errors_with_file
from sr_lightning.data.patches.levels import Planar
from sr_lightning.data.patches.store import shrink
from sr_lightning.data.sets.shard_pictures import decode_picture
from sr_lightning.data.sets.shard_remote import RemoteFile
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.stores import errors_of_stores, file_system, is_url

Pair = tuple[str, Planar, Planar]  # name, HR, LR
Taken = TypeVar("Taken")

#: Bytes of a picture's file, beyond which it is none, and of what describes a member.
LARGEST_PICTURE, _LARGEST_HEADER = 1 << 30, 1 << 20


#: Names that a pattern may have.
MOST_SHARDS = 1_000_000
_NUMBERS = r"\{([0-9]+)\.\.([0-9]+)\}"


def expand(pattern: AnyPath) -> list[str]:
    """Expands a folder or a pattern with ``{000..123}`` to its shards.

    Raises:
        DataError: If a folder is missing or holds no shards.
        ConfigError: If a pattern counts downwards, or names more than ``MOST_SHARDS``.

    Example:
        >>> expand("https://host/train-{08..10}.tar")
        ['https://host/train-08.tar', 'https://host/train-09.tar', 'https://host/train-10.tar']
    """
    pattern = os.fspath(pattern)
    _refuse_endless(pattern)
    numbers = re.search(_NUMBERS, pattern)
    if numbers:
        first, last = numbers.groups()
        names = [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
        return [url for name in names for url in expand(pattern[: numbers.start()] + name + pattern[numbers.end() :])]
    if pattern.endswith(".tar") or pattern.startswith(("http://", "https://")):  # which have no folders
        return [pattern]
    if is_url(pattern):
        files = _in_store(pattern)
    else:  # Hidden ones are being written, or were when their process was killed.
        with errors_with_file(pattern):
            files = sorted(str(path) for path in Path(pattern).glob("*.tar") if not path.name.startswith("."))
    if not files:
        advice = "" if is_url(pattern) else f"; python -m sr_lightning.prepare shards={pattern}"
        raise DataError(f"{pattern}: no folder with shards (.tar){advice}")
    return files


def _refuse_endless(pattern: str) -> None:
    """Checks how many names a pattern has, before there are any."""
    count = 1
    for first, last in re.findall(_NUMBERS, pattern):
        if len(first) > 15 or len(last) > 15:
            count = MOST_SHARDS + 1
        elif int(first) > int(last):
            other = f"{{{last}..{first}}}"
            raise ConfigError(f"{pattern}: counts downwards; type {other} instead of {{{first}..{last}}}")
        else:
            count *= int(last) - int(first) + 1
    if count > MOST_SHARDS:
        raise ConfigError(f"{pattern}: names more than {MOST_SHARDS:,} shards; name fewer, or their folder")


def _in_store(folder: str) -> list[str]:
    system, name = file_system(folder)
    with errors_of_stores(folder):
        found = system.glob(f"{name.rstrip('/')}/*.tar")
    return [str(system.unstrip_protocol(file)) for file in sorted(map(str, found))]


def holds(file: Path, names: Sequence[str]) -> bool:
    """Whether a shard is whole and its members have these names, in this order; pixels are not looked at."""
    try:
        with tarfile.open(file, tarinfo=Member) as tar:
            return tar.getnames() == list(names)
    except (OSError, EOFError, tarfile.TarError):
        return False


def read_shard(url: AnyPath, scale: int) -> Iterator[Pair]:
    """The pictures of one shard, in its order. LR is made bicubically if the shard has none of that scale.

    Raises:
        DataError: If the shard or one of its pictures cannot be read.
    """
    url = os.fspath(url)
    with open_shard(url) as file:
        for key, members in pictures_of(url, file, lambda member: _content(file, member)):
            yield decode_pair(url, key, members["hr"], members.get(f"lr_x{scale}"), scale)


def _content(file: IO[bytes], member: tarfile.TarInfo) -> bytes:
    file.seek(member.offset_data)
    content = file.read(member.size)
    if len(content) < member.size:
        raise tarfile.ReadError("unexpected end of data")
    return content


def decode_pair(url: str, key: str, hr_file: bytes, lr_file: bytes | None, scale: int) -> Pair:
    """Decodes a picture of a shard and its LR, which is made bicubically where there is no file.

    Raises:
        DataError: If one cannot be decoded, or their sizes do not fit.
    """
    place = f"{url}: {key}"
    hr = decode_picture(place, hr_file)
    lr = decode_picture(place, lr_file) if lr_file is not None else shrink(place, hr, scale)
    wanted = (hr.shape[1] // scale, hr.shape[2] // scale)
    if lr.shape[1:] != wanted:
        raise DataError(f"{place} has LR of {lr.shape[1:]} pixels instead of {wanted}")
    return key, hr, lr


def open_shard(url: str) -> IO[bytes]:
    """A shard for reading, a file or behind a URL.

    Raises:
        DataError: If there is no such file; of a URL, when it is read.
    """
    if is_url(url):
        return cast(IO[bytes], RemoteFile(url))
    try:
        return Path(url).open("rb")
    except OSError as error:
        raise DataError(f"{url}: cannot be read as a tar file ({error.strerror})") from None


def pictures_of(
    url: str, file: IO[bytes], take: Callable[[tarfile.TarInfo], Taken]
) -> Iterator[tuple[str, dict[str, Taken]]]:
    """The pictures of a shard by key, as ``{"hr": ..., "lr_x2": ...}``: what follows a key's first dot says what it is.

    Args:
        url: What errors name.
        file: The shard. It is read forwards.
        take: What is wanted of each member.

    Raises:
        DataError: If it is no whole tar file, a picture has no HR, or two members have one name.
    """
    try:
        with tarfile.open(fileobj=cast(IO[bytes], _Headers(file)), mode="r:", tarinfo=Member) as tar:
            for key, members in _grouped(url, tar, take):
                if "hr" not in members:
                    raise DataError(f"{url}: {key} has no HR picture (a member {key}.hr.png)")
                yield key, members
    except (OSError, EOFError, OverflowError, ValueError, RecursionError, tarfile.TarError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{url}: cannot be read as a tar file ({reason})") from None


def _grouped(
    url: str, tar: tarfile.TarFile, take: Callable[[tarfile.TarInfo], Taken]
) -> Iterator[tuple[str, dict[str, Taken]]]:
    current = ""
    members: dict[str, Taken] = {}
    for member in tar:
        if not member.isfile():
            continue
        folder, _, name = member.name.rpartition("/")
        stem, _, rest = name.partition(".")
        key = f"{folder}/{stem}".lstrip("/")
        if key != current and members:
            yield current, members
            members = {}
        current, kind = key, rest.partition(".")[0]
        if kind in members:
            raise DataError(f"{url}: {key} has more than one member {kind}; pictures in one shard need different names")
        if member.size > LARGEST_PICTURE or member.issparse():
            raise DataError(f"{url}: {key} has a member {kind} of {member.size} bytes, which is no picture")
        members[kind] = take(member)
    if members:
        yield current, members


class Member(tarfile.TarInfo):
    """A member of an archive that ends with its marker, two blocks of zeros, and nowhere else.

    ``tarfile`` takes a cut between two members, or in a header, and a damaged header for the end.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf == bytes(tarfile.BLOCKSIZE):
                raise
            reason = "it ends too early" if len(buf) < tarfile.BLOCKSIZE else error
            raise tarfile.ReadError(str(reason)) from None

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:  # type: ignore[override]  # ``tarfile`` is the module here
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError:  # the first block of the marker
            if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # type: ignore[union-attr]
                raise tarfile.ReadError("it ends too early") from None
            raise


class _Headers:
    """A file of which ``tarfile`` takes headers; one that claims to be huge would fill the memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.mode = file, "rb"

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_HEADER:
            raise tarfile.ReadError(f"it has a header of {size} bytes")
        return self.file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)
