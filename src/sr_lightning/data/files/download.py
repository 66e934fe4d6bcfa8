"""Archives from the web: resumed, verified, unpacked."""

import errno
import hashlib
import re
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
    track,
)

from sr_lightning.atomic import AnyPath, exclusive_write
from sr_lightning.errors import DataError

WAITS = (1.0, 3.0, 10.0)  # seconds before each new attempt
TIMEOUT = 30.0  # seconds without a byte that count as a broken connection
BLOCK = 1 << 20
_ADVICE = "check the network and the address (data.home=URL), then run again"


@dataclass(frozen=True)
class Archive:
    """A zip file on the web, with the checksum of its publisher."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


class _BrokenError(Exception):
    """The server sent nothing, or not everything; ``passing`` if another attempt may succeed."""

    def __init__(self, reason: str, *, passing: bool = True) -> None:
        super().__init__(reason)
        self.passing = passing


def download_and_unpack(archive: Archive, folder: AnyPath) -> None:
    """Downloads an archive and unpacks it. After an interruption, the next call continues where it stopped.

    The archive grows as ``<name>.part``, becomes ``<name>`` once its checksum is right, and is deleted after its
    contents were moved into ``folder``. A folder in there is whole or absent.

    Raises:
        DataError: If the archive cannot be fetched, written or unpacked, or is not the one that was published.
    """
    folder = Path(folder)
    path = folder / archive.name
    part = path.with_name(f"{path.name}.part")
    try:
        with exclusive_write(path):
            _fetch(archive, path, part)
            _unpack(path, folder)
            path.unlink()
    except BlockingIOError:
        raise DataError(f"{path}: another process is fetching this archive; let it finish, then run again") from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else f"cannot be written ({error.strerror or error})"
        raise DataError(
            f"{folder}: {reason}; {_kept(path if path.exists() else part)}: "
            f"{'free space' if full else 'fix that'} or choose another folder with data.root=FOLDER, then run again"
        ) from None


def _fetch(archive: Archive, path: Path, part: Path) -> None:
    """Downloads the archive to ``path`` if it is not there whole."""
    bad = path.with_name(f"{path.name}.bad")
    if path.exists() and _md5(path) == archive.md5:
        return
    if path.exists() and not part.exists():
        path.rename(part)  # most likely cut short by another program: its checksum is looked at in the end
    _download(archive.url, part)
    if (md5 := _md5(part)) != archive.md5:
        part.replace(bad)
        raise DataError(
            f"{archive.url}: what arrived has the MD5 {md5} instead of {archive.md5}, so that it is damaged or "
            f"another file; it is now {bad}: run again to fetch it anew, or from elsewhere with data.home=URL"
        )
    part.replace(path)


def _download(url: str, part: Path) -> None:
    """Fetches what ``part`` lacks. It retries after lost connections as long as it makes progress."""
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns) as progress:
        task = progress.add_task(part.stem, total=None)
        waits, longest = iter(WAITS), _size(part)
        while True:
            try:
                return _receive(url, part, lambda got, total: progress.update(task, completed=got, total=total))
            except _BrokenError as error:
                if _size(part) >= longest + BLOCK:
                    waits, longest = iter(WAITS), _size(part)
                wait = next(waits, None) if error.passing else None
                if wait is None:
                    raise DataError(f"{url}: {error}; {_kept(part)}: {_ADVICE}") from None
                notice = f"{part.stem}: {error}; trying again in {wait:g} s"
                progress.console.print(notice, markup=False, highlight=False, soft_wrap=True)
            time.sleep(wait)


def _receive(url: str, part: Path, show: Callable[[int, int | None], None]) -> None:
    """One attempt: appends to ``part`` until the file is whole.

    Raises:
        _BrokenError: If the connection ended before that.
    """
    have = _size(part)
    response = _open(url, have)
    if response is None:
        return
    with response, part.open("r+b" if have else "wb") as file:
        got, total = _content_range(response)
        file.seek(got)  # the beginning, if the server ignored what was asked for
        file.truncate()
        for block in _blocks(response):
            file.write(block)
            got += len(block)
            show(got, total)
    if total not in (None, got):
        raise _BrokenError(f"the connection broke after {got} of {total} bytes")


def _open(url: str, start: int) -> HTTPResponse | None:
    """The server's answer to a request for all bytes from ``start`` on; None if it has no such bytes."""
    headers = {"User-Agent": "sr_lightning"}  # some servers refuse urllib's own
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT)
        return response
    except HTTPError as error:
        if error.code == 416 and start:
            return None
        busy = error.code in (408, 429) or error.code >= 500
        raise _BrokenError(f"the server answers HTTP {error.code} ({error.reason})", passing=busy) from None
    except (OSError, HTTPException) as error:
        raise _BrokenError(f"no connection ({_reason(error)})") from None
    except ValueError as error:
        raise _BrokenError(f"not an address ({error})", passing=False) from None


def _content_range(response: HTTPResponse) -> tuple[int, int | None]:
    """First byte of an answer and length of the whole file, if the server says."""
    length = int(response.headers["Content-Length"]) if response.headers["Content-Length"] else None
    if response.status != 206:
        return 0, length
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers["Content-Range"] or "")
    if match is None:
        raise _BrokenError("the server answers with a part of the file, but not with which", passing=False)
    start, total = int(match[1]), match[2]
    if total != "*":
        return start, int(total)
    return start, None if length is None else start + length


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    """Yields data as it arrives. Waiting for full blocks would lose the last one if the connection breaks."""
    try:
        while block := response.read1(BLOCK):
            yield block
    except (OSError, HTTPException) as error:
        raise _BrokenError(f"the connection broke ({_reason(error)})") from None


def _unpack(path: Path, folder: Path) -> None:
    """Unpacks into a temporary folder and moves whole folders, so that a kill leaves no half of one."""
    aside = folder / f".{path.stem}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        with zipfile.ZipFile(path) as archive:
            for member in track(archive.infolist(), description=f"unpacking {path.name}"):
                if not (aside / member.filename).resolve().is_relative_to(aside.resolve()):
                    raise DataError(
                        f"{path}: {member.filename!r} would leave {folder}; delete this archive, it is harmful"
                    )
                archive.extract(member, aside)
        _move_into(aside, folder)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: cannot be unpacked ({error}); delete it and run again") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _move_into(source: Path, target: Path) -> None:
    """Moves each folder in one step; those that are already there are filled up in the same way."""
    for item in source.iterdir():
        place = target / item.name
        if item.is_dir() and place.is_dir():
            _move_into(item, place)
        else:
            item.replace(place)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _kept(path: Path) -> str:
    """What an interruption leaves behind, in words."""
    return f"the {_size(path) / 1e6:.1f} MB in {path} are kept" if _size(path) else "nothing was downloaded"


def _reason(error: Exception) -> str:
    """The cause that urllib wraps, without its number."""
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)
