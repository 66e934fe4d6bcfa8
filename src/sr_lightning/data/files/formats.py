"""Recognises picture formats by name and first bytes, and explains why a file cannot be read."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def _endings(*names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in " ".join(names).split())


#: Endings of pictures that can be read.
EXTENSIONS = _endings(
    "png apng jpg jpeg jpe jfif bmp dib tif tiff webp avif jp2 j2k jpx jpf j2c jpc ppm pgm pbm pnm",
)
#: Endings of pictures that an extra reads.
BY_EXTRA = {
    **dict.fromkeys((".heic", ".heif", ".hif"), "heic"),
    ".jxl": "jxl",
}
JPEG, TIFF, NETPBM = (".jpg", ".jpeg", ".jpe", ".jfif"), (".tif", ".tiff"), (".ppm", ".pgm")
FORMATS_16_BIT = (".png", *TIFF, *NETPBM, ".dng")  # hold 16 bit
WRITABLE = frozenset({*FORMATS_16_BIT, *JPEG, ".webp", ".avif", ".bmp"})
APNG = (".png", ".apng")
#: Endings of animations that can be written; TIFF holds frames as pages.
ANIMATIONS = frozenset({".gif", *APNG, ".webp", ".avif"})
WRITABLE_VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".mkv"})
LARGEST = {**dict.fromkeys(JPEG, 65500), ".webp": 16383, ".avif": 65536, ".gif": 65535}  # pixels of a side
#: Endings of other files that people call pictures: a folder names them instead of leaving them out without a word.
OTHERS = _endings(
    "psd psb xcf svg svgz eps tga ico cur icns qoi pcx dds exr hdr pfm pam sgi jls jxr wdp hdp fits flif bpg heics",
    "heifs avifs",
)
_PLUGINS = {"heic": "HEIF", "jxl": "JXL"}  # Pillow's names
_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_BEGINNINGS: list[tuple[bytes, str]] = [
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP document"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"#?RGBE", "a Radiance HDR picture"),
    (b"DDS ", "a DirectDraw surface"),
    (b"qoif", "a QOI picture"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "PostScript"),
    (b"SIMPLE  =", "a FITS picture"),
    (b"\0\0\1\0", "an icon"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "XML, such as an SVG drawing"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"II\xbc", "a JPEG XR picture"),
    (b"\xff\xd8\xff\xf7", "a JPEG-LS picture"),
    (b"version https://git-lfs", "a Git LFS pointer instead of the picture"),
]


@cache
def load_plugins() -> tuple[str, ...]:
    """Registers the installed plugins for HEIC and JPEG XL with Pillow, and returns the formats' names."""
    found = []
    with suppress(ImportError):
        import_module("pi_heif").register_heif_opener()
        found.append("HEIF")
    with suppress(ImportError):
        import_module("pillow_jxl")
        found.append("JXL")
    return tuple(found)


def looks_like_a_picture(path: Path | str) -> bool:
    r"""Whether a file without a known ending begins as the usual kinds of pictures do.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "IMG_0001"
        >>> path.write_bytes(b"\xff\xd8\xff\xe0")
        4
        >>> looks_like_a_picture(path)
        True
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(16)
    except OSError:
        return False
    signatures = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"\0\0\0\x0cJXL "
    riff = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    return riff or start.startswith(signatures) or _brand(start) in _BRANDS | {b"avif"}


def unreadable_reason(path: Path | str) -> str:
    """Explains why Pillow does not recognise a file, and what would help."""
    with Path(path).open("rb") as file:
        start = file.read(64)
    if not start:
        return "not a picture: it is empty"
    kind = "heic" if _brand(start) in _BRANDS else next((k for b, k in _BEGINNINGS if start.startswith(b)), "")
    if kind in _PLUGINS:
        if _PLUGINS[kind] in load_plugins():
            return f"not a picture: a damaged {kind.upper()}"
        return f'{kind.upper()} needs an extra; pip install "sr_lightning[{kind}]"'
    if kind:
        return f"{kind}, which is not read; convert it to PNG or TIFF"
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return _unreadable_tiff_reason(Path(path))
    if _brand(start) in (b"avif", b"avis") or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return "is damaged or cut short; get an intact copy"
    if _brand(start):
        return "a video, or a picture that is packed like one; convert it to PNG"
    return "not a picture: it has no format that can be read, or a damaged beginning"


def _brand(start: bytes) -> bytes:
    return start[8:12] if start[4:8] == b"ftyp" else b""


def _unreadable_tiff_reason(path: Path) -> str:
    import tifffile

    damaged = "not a picture: a damaged TIFF"
    logger = logging.getLogger("tifffile")  # which tells every single fault
    usual, logger.disabled = logger.disabled, True
    try:
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.pages[0]
            kind, layers = page.dtype, page.samplesperpixel
            packed = page.compression.name
            colours = page.photometric.name
    # As decoders do, it raises whatever it trips over.
    except Exception:
        return damaged
    finally:
        logger.disabled = usual
    if kind is None:
        return damaged
    numbers = "floating-point numbers" if kind.kind == "f" else f"{kind.itemsize * 8}-bit numbers"
    if kind.kind == "i":
        numbers = f"signed {numbers}"
    return (
        f"a TIFF of {layers} x {numbers} ({colours}, {packed}), which is not read; "
        "save it as a TIFF or PNG of 8 or 16 bit"
    )


def jxl_size(path: Path | str) -> tuple[int, int] | None:
    """Height and width that a JPEG XL file declares; None if unknown. Its decoder tells them only with the pixels."""
    with Path(path).open("rb") as file:
        start = file.read(65536)
    if not start.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return None
    begin = start.find(b"\xff\x0a", max(0, start.find(b"jxlc"), start.find(b"jxlp")))
    if begin < 0:
        return None
    bits = int.from_bytes(start[begin + 2 : begin + 14].ljust(12, b"\0"), "little")

    def take(count: int) -> int:
        nonlocal bits
        value, bits = bits & ((1 << count) - 1), bits >> count
        return value

    small = take(1)
    length: Callable[[], int] = lambda: (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1  # noqa: E731
    height = length()
    ratio = take(3)
    over, under = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio]
    return height, length() if ratio == 0 else height * over // under


def jp2_depth(path: Path | str) -> int:
    """Bits of a sample that a JPEG 2000 file declares."""
    with Path(path).open("rb") as file:
        start = file.read(2**20)
    begin = start.find(b"\xff\x4f\xff\x51")
    if begin < 0:
        return 8
    count = int.from_bytes(start[begin + 40 : begin + 42], "big")
    samples = start[begin + 42 : begin + 42 + 3 * count : 3]
    return max((sample & 127) + 1 for sample in samples) if samples else 8
