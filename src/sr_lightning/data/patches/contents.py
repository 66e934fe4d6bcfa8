"""Hashes of files' names and contents. They are cached as long as sizes and times do not change."""

import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from sr_lightning.atomic import atomic_write
from sr_lightning.errors import DataError, PictureError

_BLOCK = 1 << 24


def content_hash(files: Sequence[Path], cache: Path) -> str:
    """Hash of names and contents; from ``<cache>/known`` if sizes and times of modification are known."""
    stats = json.dumps([[str(path.absolute()), *_stat(path)] for path in files])
    note = cache / "known" / hashlib.sha256(stats.encode()).hexdigest()[:24]
    try:
        content = note.read_text(encoding="utf-8")
        if len(content) == 64:  # a crash of the machine can leave an empty file
            return content
    except OSError:
        pass
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter lock
        content = _joined(files, list(pool.map(_file_hash, files)))
    with suppress(OSError), atomic_write(note) as temporary:  # only a memory: a full disk is reported where it matters
        temporary.write_text(content, encoding="utf-8")
    return content


class ChangeDetector:
    """Checks that files do not change between hashing and decoding.

    Args:
        files: In the order of the store.
        content: Their ``content_hash``.
    """

    def __init__(self, files: Sequence[Path], content: str) -> None:
        self.files, self.content = files, content
        self._hashes: dict[Path, bytes] = {}

    def read(self, path: Path, decode: Callable[[Path], Any]) -> Any:
        """Decodes one of the files with ``decode``.

        Raises:
            DataError: If the file changed meanwhile.
        """
        before = _stat(path)
        decoded = decode(path)
        self._hashes[path] = _file_hash(path)
        if _stat(path) != before:
            raise DataError(f"{path}: changed while it was decoded; run again when nothing writes to it")
        return decoded

    def check(self) -> None:
        """Compares all files with what was hashed before.

        Raises:
            DataError: If one has changed.
        """
        if _joined(self.files, [self._hashes[path] for path in self.files]) != self.content:
            folder = self.files[0].parent
            raise DataError(f"{folder}: a picture changed before it was decoded; run again when nothing writes there")


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def boot_id() -> str:
    """An identifier of the machine's current boot; empty if the system has none."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return ""


def _joined(files: Sequence[Path], hashes: Sequence[bytes]) -> str:
    digest = hashlib.sha256()
    for path, content in zip(files, hashes, strict=True):
        digest.update(f"{path.stem}\0".encode() + content)
    return digest.hexdigest()


def _stat(path: Path) -> tuple[int, int, int]:
    """Size and times; the second tells a new file from an old one whose time of modification was copied."""
    try:
        stat = path.stat()
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror})") from None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _file_hash(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror})") from None
