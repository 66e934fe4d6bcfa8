"""Files of a store, read forwards: a broken connection goes on at the byte that was reached."""

import http.client
import io
import time
import urllib.error
import urllib.request
from typing import Any, Protocol

from sr_lightning.errors import DataError, SRError
from sr_lightning.stores import errors_of_stores, file_system

ATTEMPTS = 4
_BLOCK = 1 << 20  # read at once
_SKIPPED = 1 << 18  # bytes that are read and thrown away, because a new request costs more
_TRY_AGAIN = {408, 429}  # and all from 500


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class RemoteFile(io.RawIOBase):
    """A file behind a URL, for reading. Seeking costs nothing until bytes are read.

    Files behind ``http(s)://`` come in one response, and after a break, or far ahead, in another one that begins there
    (``Range``); a server that knows no ranges sends the file anew, and what was read before is passed over. Files of
    other stores come in blocks, by fsspec.

    Args:
        url: Of any store that ``file_system`` opens.

    Raises:
        DataError: While reading: if the file is missing, changes, or the connection breaks ``ATTEMPTS`` times in
            one place.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        #: Bytes of the file, and what tells this version from others; None and empty where the store does not tell.
        self.size: int | None = None
        self.tag = ""
        self._position, self._at = 0, 0
        self._stream: _Stream | None = None
        self._ranges = True

    def describe(self) -> tuple[int | None, str]:
        """Size and tag; nothing of the file is read."""
        if self._stream is None:
            self._tried(lambda: self._reach(0))
        return self.size, self.tag

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a byte; the end is known only after ``describe``."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}.get(whence, self.size or 0)
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes: ``size`` of them, fewer at the end only."""
        parts, left = [], size
        while left is None or left != 0:
            part = self._tried(lambda most=left: self._some(_BLOCK if most is None or most < 0 else most))  # type: ignore[misc]
            if not part:
                break
            parts.append(part)
            left = left if left is None or left < 0 else left - len(part)
        return b"".join(parts)

    def close(self) -> None:
        self._drop()
        super().close()

    def _some(self, most: int) -> bytes:
        self._reach(self._position)
        part = self._stream.read(min(most, _BLOCK)) if self._stream is not None else b""
        if not part and self.size is not None and self._position < self.size:
            raise ConnectionError("the connection ended too early")
        self._at += len(part)
        self._position = self._at
        return part

    def _reach(self, position: int) -> None:
        """Brings the stream to a byte."""
        if self._stream is not None:
            gap = position - self._at
            if gap < 0 or (gap > _SKIPPED and self._ranges):
                self._drop()
        if self._stream is None:
            if self.size is not None and position >= self.size:
                return
            self._open(position)
        while self._stream is not None and self._at < position:
            part = self._stream.read(min(position - self._at, _BLOCK))
            if not part:
                if self.size is None:
                    self._drop()
                    return
                raise ConnectionError("the connection ended too early")
            self._at += len(part)

    def _open(self, position: int) -> None:
        if not self.url.startswith(("http://", "https://")):
            system, name = file_system(self.url)
            info = system.info(name)
            self._check(info.get("size"), str(info.get("ETag") or info.get("mtime") or info.get("LastModified") or ""))
            self._stream, self._at = _Blocks(system, name, position, self.size), position
            return
        request = urllib.request.Request(self.url)
        if position:
            request.add_header("Range", f"bytes={position}-")
        try:
            response = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            if error.code != 416:  # the file ends before
                raise
            return
        given = response.headers
        begin, size = 0, given.get("Content-Length")
        if response.status == 206:
            words, _, size = given.get("Content-Range", "").removeprefix("bytes ").partition("/")
            begin = int(words.partition("-")[0])
        self._ranges = self._ranges and (begin == position)
        self._stream, self._at = response, begin
        self._check(
            int(size) if (size or "").isdigit() else None, given.get("ETag") or given.get("Last-Modified") or ""
        )

    def _check(self, size: int | None, tag: str) -> None:
        # A server may tell the size of a part of a file, and not that of the file.
        other_size = None not in (size, self.size) and size != self.size
        if other_size or (tag and self.tag and tag != self.tag):
            raise DataError(f"{self.url}: changed while it was read; run again when nothing writes there")
        self.size, self.tag = self.size if size is None else size, tag or self.tag

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def _tried(self, work: Any) -> Any:
        """What some work returns, after a few attempts if the connection breaks."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return work()
            except SRError:
                self._drop()
                raise
            except Exception as error:  # of the many packages below fsspec, which share no class
                self._drop()
                if attempt == ATTEMPTS or not _may_pass(error):
                    self._explain(error)
                time.sleep(attempt)
        raise AssertionError

    def _explain(self, error: Exception) -> None:
        if self.url.startswith(("http://", "https://")):
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise DataError(f"{self.url}: cannot be read ({' '.join(str(reason).split())})") from None
        with errors_of_stores(self.url):
            raise error


def _may_pass(error: Exception) -> bool:
    """Whether another attempt may succeed: what is missing or refused stays so."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return code >= 500 or code in _TRY_AGAIN
    if isinstance(error, FileNotFoundError | PermissionError):
        return False
    known = isinstance(error, OSError | EOFError | TimeoutError | http.client.HTTPException)
    return known or type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp", "gcsfs", "google"))


class _Blocks:
    """A file of a store that fsspec reads in blocks."""

    def __init__(self, system: Any, name: str, at: int, size: int | None) -> None:
        self.system, self.name, self.at, self.size = system, name, at, size
        self.block = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        if not self.block:
            end = self.at + max(size, _BLOCK)
            end = end if self.size is None else min(end, self.size)
            self.block = memoryview(self.system.cat_file(self.name, start=self.at, end=end) if end > self.at else b"")
            self.at += len(self.block)
        part, self.block = bytes(self.block[:size]), self.block[size:]
        return part

    def close(self) -> None:
        self.block = memoryview(b"")
