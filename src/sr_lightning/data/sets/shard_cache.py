"""Copies of shards of a store on the local disk, within a limit. All processes of a machine share them."""

import errno
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sr_lightning.atomic import AnyPath, locked, remove_leftovers, temporary_beside
from sr_lightning.data.sets.shard_index import ShardIndex
from sr_lightning.data.sets.shard_remote import RemoteFile
from sr_lightning.errors import DataError

#: Bytes that stay free on the disk, whatever the limit.
LEFT_FREE = 1 << 30
_BLOCK = 1 << 22
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ShardCache:
    """A folder of copies. The copies that were used longest ago give way to new ones.

    A copy has its name only when it is whole. One process copies a shard, and others that want it wait.

    Args:
        folder: Where the copies are.
        limit: Bytes that they may have together, those that are being written among them.
    """

    def __init__(self, folder: AnyPath, limit: int) -> None:
        self.folder, self.limit = Path(folder), limit

    def find(self, shard: ShardIndex) -> Path | None:
        """The copy of a shard, if there is one; it counts as used now."""
        path = self._path(shard)
        try:
            if path.stat().st_size == shard.size:
                os.utime(path)
                return path
        except OSError:
            pass
        return None

    def copy(self, shard: ShardIndex) -> Path | None:
        """The copy of a shard, which is made if there is none; None if there is no room for it.

        Raises:
            DataError: If the shard cannot be read.
        """
        if (found := self.find(shard)) or shard.size is None or shard.size > self.limit:
            return found
        path = self._path(shard)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with locked(self.folder / f".{path.stem[:2]}.lock"):  # few, so that they need not be removed
                return self.find(shard) or self._copied(shard, path)
        except OSError as error:
            reason = "the disk is full" if error.errno in _FULL else error.strerror or str(error)
            warnings.warn(f"{self.folder}: keeps no copy of {shard.url} ({reason}); it is streamed", stacklevel=2)
            return None

    def forget(self, shard: ShardIndex, damaged: os.stat_result) -> None:
        """Removes the copy of a shard that was found to be damaged; not one that another process has made meanwhile."""
        path = self._path(shard)
        with suppress(OSError):
            if os.path.samestat(path.stat(), damaged):
                path.unlink()

    def _path(self, shard: ShardIndex) -> Path:
        version = json.dumps([shard.url, shard.size, shard.tag])
        return self.folder / f"{hashlib.sha256(version.encode()).hexdigest()[:24]}.tar"

    def _copied(self, shard: ShardIndex, path: Path) -> Path | None:
        size = shard.size or 0
        with temporary_beside(path) as temporary:
            with locked(self.folder / ".room.lock"):
                if not self._make_room(size, temporary):
                    return None
                with temporary.open("wb") as target:
                    target.truncate(size)  # counts from now on
            with RemoteFile(shard.url) as source, temporary.open("r+b") as target:
                if source.describe() != (shard.size, shard.tag):
                    raise DataError(f"{shard.url}: changed since its index was read; run again")
                while block := source.read(_BLOCK):
                    target.write(block)
                target.flush()
                os.fsync(target.fileno())
            if source.tell() == size:
                temporary.replace(path)
                return path
        raise DataError(f"{shard.url}: has {source.tell()} bytes instead of {size}; run again")

    def _make_room(self, size: int, temporary: Path) -> bool:
        """Removes copies until another one fits, if that is possible."""
        remove_leftovers(self.folder)
        kept = sorted(self._copies(temporary))
        used = sum(file_size for _, file_size, _ in kept)
        free = shutil.disk_usage(self.folder).free - LEFT_FREE
        removable = [entry for entry in kept if not entry[2].name.startswith(".")]
        possible = sum(file_size for _, file_size, _ in removable)
        if used - possible + size > self.limit or free + possible < size:
            return False
        for _, file_size, path in removable:
            if used + size <= self.limit and free >= size:
                break
            path.unlink(missing_ok=True)
            used, free = used - file_size, free + file_size
        return True

    def _copies(self, temporary: Path) -> Iterator[tuple[int, int, Path]]:
        """When each copy was used last, its bytes, and its path."""
        for path in self.folder.glob("*.tar"):  # hidden ones, too: they are being written
            with suppress(OSError):
                stat = path.stat()
                if path != temporary:
                    yield stat.st_mtime_ns, stat.st_size, path
