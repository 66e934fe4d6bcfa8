"""The WebDataset layout: tar files whose members ``<key>.hr.png`` and ``<key>.lr_x2.png`` follow one another."""

import http.client
import os
import re
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Self

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.disk import errors_with_file
from sr_lightning.data.files.io import read_picture
from sr_lightning.data.patches.levels import Planar
from sr_lightning.data.patches.store import shrink
from sr_lightning.errors import DataError, PictureError, SRError

Pair = tuple[str, Planar, Planar]  # name, HR, LR
ATTEMPTS = 4


def expand(pattern: AnyPath) -> list[str]:
    """Expands a folder or a pattern with ``{000..123}`` to its shards.

    Raises:
        DataError: If a folder is missing or holds no shards.

    Example:
        >>> expand("https://host/train-{08..10}.tar")
        ['https://host/train-08.tar', 'https://host/train-09.tar', 'https://host/train-10.tar']
    """
    pattern = os.fspath(pattern)
    numbers = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if numbers:
        first, last = numbers.groups()
        names = [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
        return [url for name in names for url in expand(pattern[: numbers.start()] + name + pattern[numbers.end() :])]
    if _is_remote(pattern) or pattern.endswith(".tar"):
        return [pattern]
    # Hidden ones are being written, or were when their process was killed.
    with errors_with_file(pattern):
        files = sorted(str(path) for path in Path(pattern).glob("*.tar") if not path.name.startswith("."))
    if not files:
        raise DataError(f"{pattern}: no folder with shards (.tar); python -m sr_lightning.prepare shards={pattern}")
    return files


def holds(file: Path, names: Sequence[str]) -> bool:
    """Whether a shard is whole and its members have these names, in this order; pixels are not looked at."""
    try:
        with tarfile.open(file, tarinfo=_Member) as tar:
            return tar.getnames() == list(names)
    except (OSError, EOFError, tarfile.TarError):
        return False


def read_shard(url: AnyPath, scale: int) -> Iterator[Pair]:
    """The pictures of one shard, in its order. LR is made bicubically if the shard has none of that scale.

    Raises:
        DataError: If the shard or one of its pictures cannot be read.
    """
    url, done = os.fspath(url), 0
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
    with _open(url) as file, tarfile.open(fileobj=file, mode="r|", tarinfo=_Member) as tar:
        for key, members in _grouped(url, tar):
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


class _Member(tarfile.TarInfo):
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


def _is_remote(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _open(url: str) -> IO[bytes]:
    if _is_remote(url):
        return urllib.request.urlopen(url, timeout=60)  # type: ignore[no-any-return]
    return Path(url).open("rb")


def _grouped(url: str, tar: tarfile.TarFile) -> Iterator[tuple[str, dict[str, tuple[str, bytes]]]]:
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
        if kind in members:
            raise DataError(f"{url}: {key} has more than one member {kind}; pictures in one shard need different names")
        members[kind] = (f".{ending}", tar.extractfile(member).read())  # type: ignore[union-attr]
    if members:
        yield current, members


def _decode(place: str, ending: str, content: bytes) -> Planar:
    """A picture of any kind that files may have, as RGB ``(3, H, W)``."""
    with tempfile.NamedTemporaryFile(suffix=ending) as file:
        file.write(content)
        file.flush()
        try:
            pixels = read_picture(Path(file.name)).transpose(2, 0, 1)
        except PictureError as error:
            raise PictureError(str(error).replace(file.name, place)) from None
    return pixels.repeat(3, axis=0) if len(pixels) == 1 else pixels
