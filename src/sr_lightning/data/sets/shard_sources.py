"""The files of single pictures out of shards: of a file, of a copy of a shard, or of the store that has it."""

import os
import tarfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any, cast

from sr_lightning.data.sets.shard_cache import ShardCache
from sr_lightning.data.sets.shard_files import Member, open_shard
from sr_lightning.data.sets.shard_index import ENDING, ShardIndex
from sr_lightning.data.sets.shard_remote import RemoteFile
from sr_lightning.errors import DataError, SRError
from sr_lightning.stores import is_url

_OPEN = 32  # shards
_HEADER = tarfile.BLOCKSIZE


class ShardSources:
    """Reads files of pictures out of shards, in any thread of any process.

    Args:
        shards: The shards.
        cache: Where copies of those of a store are kept; None reads every picture from the store.
    """

    def __init__(self, shards: Sequence[ShardIndex], cache: ShardCache | None = None) -> None:
        self.shards, self.cache = shards, cache
        #: Whether any shard is in a store.
        self.remote = any(is_url(shard.url) for shard in shards)
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        return {"shards": self.shards, "cache": self.cache, "remote": self.remote}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def read(self, shard: int, picture: int, kinds: Sequence[str]) -> list[bytes | None]:
        """The files of a picture, such as ``hr`` and ``lr_x2``; None for a kind that it does not have.

        Raises:
            DataError: If the shard cannot be read, or is not what its index says.
        """
        index = self.shards[shard]
        for again in (False, True):
            try:
                return self._files_of(shard, picture, kinds)
            except (tarfile.TarError, ValueError) as error:
                if again or not self.forget_copy(shard):
                    raise DataError(
                        f"{index.url}: {index.keys[picture]} is not where the index says ({error}); remove "
                        f"{index.url}{ENDING} if it is of another shard, else get an intact copy of the shard"
                    ) from None
        raise AssertionError

    def forget_copy(self, shard: int) -> bool:
        """Removes the copy of a shard, in which something was damaged; the shard is read of its store the next time.

        Returns:
            Whether it may have been in a copy, also one that another thread removed; else, the shard itself is damaged.
        """
        if shard in self._streamed:
            return True
        opened = self._opened(shard)
        with self._lock:
            if self._files.get(shard) is opened:
                del self._files[shard]
        with opened.lock:
            file = opened.file
            if self.cache is None or not is_url(opened.shard.url) or file is None or isinstance(file, RemoteFile):
                return False
            self.cache.forget(opened.shard, os.fstat(file.fileno()))
        self._streamed.add(shard)
        return True

    def _files_of(self, shard: int, picture: int, kinds: Sequence[str]) -> list[bytes | None]:
        """As ``read`` does.

        Raises:
            tarfile.TarError: Or a ``ValueError``, if something else is where the picture should be.
        """
        key, members = self.shards[shard].keys[picture], self.shards[shard].members[picture]
        places = {kind: members[kind] for kind in kinds if kind in members}
        begin = min(place for place, _ in places.values()) - _HEADER
        end = max(place + length for place, length in places.values())
        # One request for neighbours; a shard with LR at several scales has others between.
        together = end - begin <= 2 * sum(length + _HEADER for _, length in places.values())
        spans = [(begin, end)] if together else [(p - _HEADER, p + length) for p, length in places.values()]
        opened = self._opened(shard)
        with opened.lock:
            blocks = [(first, opened.read(first, last - first)) for first, last in spans]
        files = {kind: _member(blocks, *place, f"{key}.{kind}") for kind, place in places.items()}
        return [files.get(kind) for kind in kinds]

    def fetch(self, shard: int) -> None:
        """Copies a shard of a store in advance. What goes wrong is told when a picture is read."""
        if self.cache is not None and is_url(self.shards[shard].url):
            with suppress(SRError):
                self.cache.copy(self.shards[shard])

    def _opened(self, shard: int) -> "_Opened":
        if self._process != os.getpid():  # places in open files are shared with the process that forked
            self._forget()
        with self._lock:
            opened = self._files.get(shard)
            if opened is None:
                cache = None if shard in self._streamed else self.cache
                opened = self._files[shard] = _Opened(self.shards[shard], cache)
                while len(self._files) > _OPEN:
                    self._files.popitem(last=False)  # closed when the last thread that reads it is done
            self._files.move_to_end(shard)
        return opened

    def _forget(self) -> None:
        self._process, self._lock = os.getpid(), threading.Lock()
        self._files: OrderedDict[int, _Opened] = OrderedDict()
        #: Shards whose copy was damaged: this process reads them of the store, so that a bad disk makes no loop.
        self._streamed: set[int] = set()


class _Opened:
    """A shard that is open, or will be when it is read; one thread at a time reads it."""

    def __init__(self, shard: ShardIndex, cache: ShardCache | None) -> None:
        self.shard, self.cache, self.lock = shard, cache, threading.Lock()
        self.file: IO[bytes] | None = None

    def read(self, begin: int, length: int) -> bytes:
        if self.file is None:
            self.file = self._open()
        try:
            self.file.seek(begin)
            return self.file.read(length)
        except OSError as error:
            raise DataError(f"{self.shard.url}: cannot be read ({error.strerror or error})") from None

    def _open(self) -> IO[bytes]:
        if not is_url(self.shard.url):
            return open_shard(self.shard.url)
        copy = self.cache.copy(self.shard) if self.cache is not None else None
        if copy is not None:
            with suppress(FileNotFoundError):  # another process has made room meanwhile
                return copy.open("rb")
        return cast(IO[bytes], RemoteFile(self.shard.url))

    def __del__(self) -> None:
        if self.file is not None:
            self.file.close()


def _member(blocks: list[tuple[int, bytes]], place: int, length: int, name: str) -> bytes:
    """One member of what was read, whose header must be the one of a member of that length and name."""
    first, block = next((first, block) for first, block in reversed(blocks) if first <= place - _HEADER)
    at = place - first
    header = Member.frombuf(block[at - _HEADER : at], tarfile.ENCODING, "surrogateescape")
    content = block[at : at + length]
    # Long names, and names in other letters, stand in headers of their own.
    whole = name.isascii() and len(header.name) < tarfile.LENGTH_NAME
    if header.size != length or (whole and not header.name.lstrip("/").startswith(name)):
        raise ValueError("the shard has something else there")
    if len(content) < length:
        raise ValueError("the shard ends before")
    return content
