"""What the process that listens hands to a worker."""

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any


@dataclass(frozen=True)
class Upload:
    """A picture that came, in a folder of its own. Whoever removes the file takes the work back.

    Attributes:
        path: The file.
        options: Of ``upscale``, that the request has.
        due: When nobody waits for the result any more, in seconds since the epoch.
    """

    path: Path
    options: dict[str, Any] = field(default_factory=dict)
    due: float = float("inf")


def harmless_name(named: str, kind: str, start: bytes) -> str:
    r"""The name of a file for an upload: what it was called, without folders, hidden beginnings and odd characters.

    Args:
        named: What the client calls it; may be empty, and anything else.
        kind: Its media type; may be empty.
        start: Its first bytes.

    Example:
        >>> harmless_name("../../.ssh/my photo.JPG", "", b"")
        'my_photo.JPG'
        >>> harmless_name("", "image/png", b""), harmless_name("", "", b"\xff\xd8\xff")
        ('picture.png', 'picture.jpg')
    """
    plain = PurePosixPath(PureWindowsPath(named).name).name
    stem, dot, ending = re.sub(r"[^\w.-]", "_", plain, flags=re.ASCII).lstrip(".-").rpartition(".")
    if not dot:
        stem, ending = ending, ""
    if not re.fullmatch(r"\w{1,5}", ending, flags=re.ASCII):
        ending = _ENDINGS.get(kind.partition(";")[0].strip().lower()) or _by_bytes(start)
    return f"{stem[:60] or 'picture'}.{ending}"


_ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/tiff": "tif",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/x-adobe-dng": "dng",
}


def _by_bytes(start: bytes) -> str:
    for ending, begin in (
        ("jpg", b"\xff\xd8\xff"),
        ("gif", b"GIF8"),
        ("bmp", b"BM"),
        ("tif", b"II*\0"),
        ("tif", b"MM\0*"),
    ):
        if start.startswith(begin):
            return ending
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "webp"
    return "avif" if start[4:12] == b"ftypavif" else "png"
