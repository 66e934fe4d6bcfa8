"""Metadata that Pillow does not read, and extras that a larger picture cannot keep."""

import re
import struct
from pathlib import Path
from typing import Any

from PIL import ImageFile

from sr_lightning.data.files.png_chunks import Chunk

_GAIN_MAPS = (b"urn:iso:std:iso:ts:21496:-1", b"http://ns.adobe.com/hdr-gain-map/", b"hdrgm:Version")


def xmp_of_gif(path: Path | str, extension: Any) -> bytes | None:
    """XMP of a GIF. Pillow gives its start; a trailer of all byte values ends it."""
    if not isinstance(extension, tuple) or extension[0] != b"XMP DataXMP":
        return None
    with Path(path).open("rb") as file:
        file.seek(extension[1])
        packet, trailer, _ = file.read().partition(b"\1\xff\xfe\xfd")
    return packet if trailer else None


def profile_in(path: Path | str, kind: str | None) -> bytes | None:
    """The colour profile in a BMP or JPEG 2000, which Pillow does not read."""
    if kind not in ("BMP", "JPEG2000"):
        return None
    with Path(path).open("rb") as file:
        start = file.read(2**20)
        if kind == "BMP":
            if start[14:18] != struct.pack("<I", 124) or start[70:74] != b"DEBM":
                return None
            begin, length = struct.unpack("<II", start[126:134])
            file.seek(14 + begin)
            return file.read(length)
    box = start.find(b"colr\2")
    return start[box + 7 :][: int.from_bytes(start[box + 7 : box + 11], "big")] or None if box >= 0 else None


def comment_in(path: Path | str, image: ImageFile.ImageFile) -> bytes | None:
    """All comments of a GIF, JPEG or Netpbm picture, one a line; Pillow keeps the last of a JPEG."""
    lines = [content for kind, content in getattr(image, "applist", []) if kind == "COM"]
    comment = b"\n".join(lines) or image.info.get("comment")
    if comment or image.format != "PPM":
        return comment.encode() if isinstance(comment, str) else comment or None
    with Path(path).open("rb") as file:
        found = re.match(rb"P\d\s+((?:#[^\n]*\n\s*)+)", file.read(4096))
    return b"\n".join(re.findall(rb"#\s*([^\n]*)", found[1])) if found else None


def is_lossless(path: Path | str) -> bool:
    """Whether a WebP, of an animation its first frame, is compressed without loss."""
    with Path(path).open("rb") as file:
        size = Path(path).stat().st_size
        file.seek(12)
        while file.tell() < size and len(head := file.read(8)) == 8:
            if head[:4] in (b"VP8L", b"VP8 "):
                return head[:4] == b"VP8L"
            length = int.from_bytes(head[4:], "little")
            file.seek(16 if head[:4] == b"ANMF" else length + length % 2, 1)
    return False


def extra_pictures(image: ImageFile.ImageFile) -> list[str]:
    """Further pictures in a JPEG, in words. Previews do not count."""
    applist: list[tuple[str, bytes]] = getattr(image, "applist", [])
    lost = []
    if any(mark in content for _, content in applist for mark in _GAIN_MAPS):
        lost.append("its gain map for HDR screens")
    elif image.format == "MPO":
        entries = image.mpinfo.get(0xB002, [])[1:]  # type: ignore[attr-defined]
        kinds = [str(entry.get("Attribute", {}).get("MPType")) for entry in entries]
        if count := sum("Thumbnail" not in kind for kind in kinds):
            lost.append(f"{count} further picture{'s' * (count > 1)}")
    if any(content.startswith(b"http://ns.adobe.com/xmp/extension/") for _, content in applist):
        lost.append("the second part of its XMP")
    return lost


def unsupported_extras(path: Path | str, image: ImageFile.ImageFile) -> list[str]:
    """Contents of an AVIF or HEIC that its decoder leaves out, in words."""
    lost = []
    deep = "the bits beyond 8, which the decoder rounds off"
    with Path(path).open("rb") as file:
        start = file.read(65536)
    settings = re.search(rb"av1C..(.)", start, re.DOTALL)
    if image.info.get("bit_depth", 8) > 8 or (settings and settings[1][0] & 0x40):
        lost.append(deep)
    if b"urn:com:apple:photo:2020:aux:hdrgainmap" in start or b"tmap" in start:
        lost.append("its gain map for HDR screens")
    if image.info.get("depth_images"):
        lost.append("its depth map")
    if image.format == "HEIF" and (count := getattr(image, "n_frames", 1) - 1):
        lost.append(f"{count} further picture{'s' * (count > 1)}")
    return lost


def colours_by_number(path: Path | str) -> tuple[Chunk, ...]:
    """The colour code points of an AVIF or HEIC, as a PNG chunk ``cICP``."""
    with Path(path).open("rb") as file:
        start = file.read(65536)
    found = re.search(rb"colrnclx(.{4})", start, re.DOTALL)
    if not found:
        return ()
    primaries, transfer = struct.unpack(">HH", found[1])
    return ((b"cICP", bytes([primaries & 255, transfer & 255, 0, 1])),)
