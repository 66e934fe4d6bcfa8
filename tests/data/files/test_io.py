"""Every kind of picture file is read exactly, or refused by name; none is ever read wrongly."""

import errno
import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from sr_lightning.data.files.io import find_pictures, read_picture, to_uint8, write_picture
from sr_lightning.errors import DataError, PictureError


def gradient(height: int = 13, width: int = 10, dtype: type = np.uint8) -> np.ndarray:
    """An RGB picture without symmetry, that uses all bits."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    noise = np.random.default_rng(0).random((height, width, 3))
    smooth = np.stack([y, x, (y + x) / 2], axis=-1) * 0.9 + noise * 0.1
    return (smooth * np.iinfo(dtype).max).astype(dtype)


RGB, RGB16 = gradient(), gradient(dtype=np.uint16)
GREY, GREY16 = RGB[..., :1], RGB16[..., :1]
DARK16 = RGB16 >> 9  # a maximum below 128


def with_alpha(pixels: np.ndarray, transparent: bool = False) -> np.ndarray:
    top = np.iinfo(pixels.dtype).max
    alpha = np.full_like(pixels[..., :1], top)
    alpha[4, 5] -= transparent
    return np.concatenate([pixels, alpha], axis=-1)


def pil(pixels: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, kind, **options)
    return file.getvalue()


def opencv(pixels: np.ndarray, ending: str = ".png") -> bytes:
    order = [0] if pixels.shape[-1] == 1 else [2, 1, 0, 3][: pixels.shape[-1]]
    return bytes(cv2.imencode(ending, pixels[..., order])[1])


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    options = {"photometric": "minisblack" if pixels.shape[-1] == 1 else "rgb"} | options
    tifffile.imwrite(file, pixels[..., 0] if pixels.shape[-1] == 1 else pixels, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(rows: np.ndarray, width: int, depth: int, kind: int, *chunks: bytes) -> bytes:
    """A PNG of kinds that no library writes; ``rows`` are the packed bytes of each row."""
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, len(rows), depth, kind, 0, 0, 0)
    body = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def png16(pixels: np.ndarray, *chunks: bytes) -> bytes:
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    return png(pixels.astype(">u2"), pixels.shape[1], 16, kind, *chunks)


def netpbm(pixels: np.ndarray, top: int = 65535) -> bytes:
    header = f"P{5 if pixels.shape[2] == 1 else 6}\n# comment\n{pixels.shape[1]} {pixels.shape[0]}\n{top}\n"
    return header.encode() + pixels.astype(">u2" if top > 255 else "u1").tobytes()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def key(*colour: int) -> bytes:
    """The chunk that makes one colour transparent."""
    return chunk(b"tRNS", struct.pack(f">{len(colour)}H", *colour))


def palette_png(**options: Any) -> bytes:
    file = io.BytesIO()
    PALETTED.save(file, "PNG", **options)
    return file.getvalue()


PALETTED = Image.fromarray(RGB).quantize(16)
PALETTE = np.array(PALETTED.getpalette(), np.uint8).reshape(-1, 3)[np.array(PALETTED)]
BITS = np.arange(GREY.size, dtype=np.uint8).reshape(GREY.shape)

READABLE: dict[str, tuple[bytes, np.ndarray]] = {
    "grey png": (pil(GREY), GREY),
    "grey png with opaque alpha": (pil(with_alpha(GREY)), GREY),
    "grey png, transparent colour unused": (png(GREY[..., 0] | 1, 10, 8, 0, key(4)), GREY | 1),
    "1-bit png": (png(np.packbits(BITS[..., 0] & 1, axis=1), 10, 1, 0), (BITS & 1) * 255),
    "4-bit png": (png((BITS[:, ::2] & 15) << 4 | BITS[:, 1::2] & 15, 10, 4, 0), (BITS & 15) * 17),
    "palette png": (palette_png(), PALETTE),
    "palette png, transparent entry unused": (palette_png(transparency=200), PALETTE),
    "rgb png": (pil(RGB), RGB),
    "rgb png with opaque alpha": (pil(with_alpha(RGB)), RGB),
    "rgb png, transparent colour unused": (png(RGB | 1, 10, 8, 2, key(2, 2, 2)), RGB | 1),
    "grey tiff": (tiff(GREY), GREY),
    "grey tiff, 0 is white": (tiff(255 - GREY, photometric="miniswhite"), GREY),
    "rgb tiff": (tiff(RGB, compression="zlib"), RGB),
    "rgb tiff, planes apart": (tiff(RGB.transpose(2, 0, 1), planarconfig="separate"), RGB),
    "rgb bmp": (pil(RGB, "BMP"), RGB),
    "rgb webp": (pil(RGB, "WEBP", lossless=True), RGB),
    "rgb ppm": (pil(RGB, "PPM"), RGB),
    "still gif": (pil(GREY, "GIF"), GREY.repeat(3, axis=2)),  # a palette
    "16-bit grey png": (opencv(GREY16), GREY16),
    "16-bit grey png with opaque alpha": (png16(with_alpha(GREY16)), GREY16),
    "16-bit grey png, transparent colour unused": (png16(GREY16 | 1, key(4)), GREY16 | 1),
    "16-bit rgb png": (opencv(RGB16), RGB16),
    "16-bit rgb png with opaque alpha": (opencv(with_alpha(RGB16)), RGB16),
    "16-bit rgb png, transparent colour unused": (png16(RGB16 | 1, key(2, 2, 2)), RGB16 | 1),
    "16-bit rgb png with a gamma": (png16(RGB16, chunk(b"gAMA", struct.pack(">I", 45455))), RGB16),
    "16-bit dark grey png": (opencv(DARK16[..., :1]), DARK16[..., :1]),
    "16-bit dark rgb png": (opencv(DARK16), DARK16),
    "16-bit black png": (opencv(DARK16 * 0), DARK16 * 0),
    "16-bit grey tiff": (tiff(GREY16), GREY16),
    "16-bit dark grey tiff": (tiff(DARK16[..., :1], compression="zlib"), DARK16[..., :1]),
    "16-bit grey tiff, big-endian": (tiff(GREY16, byteorder=">"), GREY16),
    "16-bit rgb tiff": (tiff(RGB16), RGB16),
    "16-bit dark rgb tiff": (tiff(DARK16, compression="zlib"), DARK16),
    "16-bit rgb tiff, big-endian": (tiff(RGB16, byteorder=">"), RGB16),
    "16-bit rgb tiff of opencv": (opencv(RGB16, ".tif"), RGB16),
    "16-bit pgm": (netpbm(GREY16), GREY16),
    "16-bit ppm": (netpbm(RGB16), RGB16),
}

_TRANSPARENT, _NUMBERS, _KIND = "has transparent pixels", "signed or floating-point", "16 bit|16-bit|not a picture"
REFUSED: dict[str, tuple[bytes, str]] = {
    "transparent rgb png": (pil(with_alpha(RGB, transparent=True)), _TRANSPARENT),
    "transparent grey png": (pil(with_alpha(GREY, transparent=True)), _TRANSPARENT),
    "transparent palette png": (palette_png(transparency=int(np.array(PALETTED)[3, 3])), _TRANSPARENT),
    "half-transparent palette png": (palette_png(transparency=bytes([128] * 16)), _TRANSPARENT),
    "transparent colour, grey png": (png(GREY[..., 0], 10, 8, 0, key(int(GREY[1, 1, 0]))), _TRANSPARENT),
    "transparent colour, rgb png": (png(RGB, 10, 8, 2, key(*map(int, RGB[1, 1]))), _TRANSPARENT),
    "transparent webp": (pil(with_alpha(RGB, transparent=True), "WEBP", lossless=True), _TRANSPARENT),
    "transparent 16-bit rgb png": (opencv(with_alpha(RGB16, transparent=True)), _TRANSPARENT),
    "transparent 16-bit grey png": (png16(with_alpha(GREY16, transparent=True)), _TRANSPARENT),
    "transparent colour, 16-bit grey png": (png16(GREY16, key(int(GREY16[1, 1, 0]))), _TRANSPARENT),
    "transparent colour, 16-bit rgb png": (png16(RGB16, key(*map(int, RGB16[1, 1]))), _TRANSPARENT),
    "float grey tiff": (tiff(GREY.astype(np.float32)), _NUMBERS),
    "float rgb tiff": (tiff(RGB.astype(np.float32)), _KIND),
    "half-precision tiff": (tiff(GREY.astype(np.float16)), _KIND),
    "signed 8-bit tiff": (tiff(GREY.astype(np.int8)), _NUMBERS),
    "signed 16-bit tiff": (tiff(GREY16.astype(np.int16)), _NUMBERS),
    "32-bit tiff": (tiff(GREY.astype(np.uint32)), _KIND),
    "16-bit tiff, 0 is white": (tiff(GREY16, photometric="miniswhite"), "0 is white"),
    "16-bit tiff, planes apart": (tiff(RGB16.transpose(2, 0, 1), planarconfig="separate"), _KIND),
    "16-bit cmyk tiff": (tiff(with_alpha(RGB16), photometric="separated"), _KIND),
    "12-bit ppm": (netpbm(RGB16 >> 4, top=4095), _KIND),
    "animated gif": (pil(GREY, "GIF", save_all=True, append_images=[Image.fromarray(RGB)]), "holds 2 pictures"),
    "animated png": (pil(RGB, "PNG", save_all=True, append_images=[Image.fromarray(RGB[::-1])]), "holds 2 pictures"),
    "tiff of two pages": (pil(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(RGB)]), "holds 2 pictures"),
    "16-bit tiff of two pages": (tiff(np.stack([GREY16[..., 0]] * 2), photometric="minisblack"), "holds 2 pictures"),
    "postscript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
        "PostScript, which is not",
    ),
    "nothing": (b"", "not a picture"),
    "text": (b"a picture of a butterfly, 256 x 256\n" * 10, "not a picture"),
    "noise": (np.random.default_rng(0).bytes(1000), "not a picture"),
    "png signature alone": (b"\x89PNG\r\n\x1a\n", "not a picture"),
}


def refuses(path: Path, reason: str = "") -> None:
    """Reading raises a PictureError whose message begins with the path."""
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert re.search(reason, message), message


@pytest.mark.parametrize("kind", READABLE)
def test_reads_every_bit(kind: str, tmp_path: Path) -> None:
    data, expected = READABLE[kind]
    path = tmp_path / "x.png"  # whatever the ending
    path.write_bytes(data)
    pixels = read_picture(path)
    assert pixels.dtype == expected.dtype
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("kind", REFUSED)
def test_refuses_by_name(kind: str, tmp_path: Path) -> None:
    data, reason = REFUSED[kind]
    path = tmp_path / "x.png"
    path.write_bytes(data)
    refuses(path, reason)


def test_missing_file(tmp_path: Path) -> None:
    refuses(tmp_path / "x.png", "no such file")


def test_folder_that_looks_like_a_picture(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    refuses(tmp_path / "x.png", "directory")


def test_picture_too_large_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").write_bytes(pil(RGB))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    refuses(tmp_path / "x.png", "exceeds limit")


@pytest.mark.parametrize("error", [MemoryError(), KeyError("x"), struct.error("x"), RuntimeError("x"), TypeError("x")])
def test_decoder_raises_anything(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise error

    (tmp_path / "x.png").write_bytes(pil(RGB))
    monkeypatch.setattr(Image.Image, "convert", fail)
    refuses(tmp_path / "x.png", "cannot be decoded")


def test_12_bit_pgm_uses_the_whole_range(tmp_path: Path) -> None:
    path = tmp_path / "x.pgm"
    path.write_bytes(netpbm(GREY16 >> 4, top=4095))
    np.testing.assert_array_equal(read_picture(path), np.round((GREY16 >> 4) / 4095 * 65535).astype(np.uint16))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_as_pillow_reads_it(mode: str, options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.JPG"
    Image.fromarray(RGB).convert(mode).save(path, "JPEG", **options)
    expected = np.asarray(Image.open(path).convert("L" if mode == "L" else "RGB"))
    np.testing.assert_array_equal(read_picture(path), expected.reshape(*expected.shape[:2], -1))


def test_first_picture_of_a_camera_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    preview = Image.fromarray(255 - RGB)
    Image.fromarray(RGB).save(path, "MPO", save_all=True, append_images=[preview])
    plain = tmp_path / "plain.jpg"
    Image.fromarray(RGB).save(plain)
    np.testing.assert_array_equal(read_picture(path), read_picture(plain))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (3, 5), (17, 31)], ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_sizes(shape: tuple[int, int], dtype: type, channels: int, tmp_path: Path) -> None:
    expected = gradient(*shape, dtype=dtype)[..., :channels]
    path = tmp_path / "x.png"
    path.write_bytes(opencv(expected))
    np.testing.assert_array_equal(read_picture(path), expected)


# --- orientation ------------------------------------------------------------------------------------------------------


def _png16_with_exif(path: Path, orientation: int) -> None:
    path.write_bytes(png16(RGB16, chunk(b"eXIf", exif(orientation).tobytes()[6:])))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "rgb"])
def test_exif_orientation(pixels: np.ndarray, kind: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(pil(pixels, kind, exif=exif(orientation)))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    np.testing.assert_array_equal(read_picture(path), expected.reshape(*expected.shape[:2], -1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_16_bit(orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    _png16_with_exif(path, orientation)
    shallow = np.asarray(ImageOps.exif_transpose(Image.open(path)))  # Pillow keeps the high byte
    pixels = read_picture(path)
    assert sorted(pixels.ravel()) == sorted(RGB16.ravel())
    np.testing.assert_array_equal(pixels >> 8, shallow)


@pytest.mark.parametrize("pixels", [GREY16, RGB16], ids=["grey16", "rgb16"])
def test_turned_16_bit_tiff_is_refused(pixels: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    path.write_bytes(tiff(pixels, extratags=[(274, "H", 1, 6, True)]))
    refuses(path, "orientation")


# --- damage -----------------------------------------------------------------------------------------------------------

BIG, BIG16 = gradient(37, 29), gradient(37, 29, np.uint16)
FILES: dict[str, bytes] = {
    "grey png": pil(BIG[..., :1]),
    "rgb png": pil(BIG),
    "16-bit grey png": opencv(BIG16[..., :1]),
    "16-bit rgb png": opencv(BIG16),
    "16-bit dark png": opencv(BIG16 >> 8),
    "16-bit rgba png": opencv(with_alpha(BIG16)),
    "jpeg": pil(BIG, "JPEG"),
    "grey jpeg": pil(BIG[..., :1], "JPEG"),
    "progressive jpeg": pil(BIG, "JPEG", progressive=True),
    "bmp": pil(BIG, "BMP"),
    "webp": pil(BIG, "WEBP"),
    "avif": pil(BIG, "AVIF"),
    "jpeg 2000": pil(BIG, "JPEG2000", irreversible=False),
    "gif": pil(BIG[..., :1], "GIF"),
    "16-bit pgm": netpbm(BIG16[..., :1]),
    "16-bit ppm": netpbm(BIG16),
    "tiff": tiff(BIG),
    "deflated tiff": tiff(BIG, compression="zlib"),
    "16-bit grey tiff": tiff(BIG16[..., :1]),
    "16-bit rgb tiff": tiff(BIG16),
    "16-bit deflated tiff": tiff(BIG16, compression="zlib"),
    "16-bit tiff of opencv": opencv(BIG16, ".tif"),
}


def read_or_refuse(path: Path, data: bytes) -> np.ndarray | None:
    path.write_bytes(data)
    try:
        return read_picture(path)
    except PictureError as error:
        assert str(error).startswith(f"{path}: ")
        return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FILES)
def test_cut_file_is_refused(kind: str, tmp_path: Path) -> None:
    data, path = FILES[kind], tmp_path / "x.png"
    assert read_or_refuse(path, data) is not None
    cuts = {
        *range(0, 200, 9),
        *range(0, len(data) - 40, max(1, len(data) // 50)),
        *range(len(data) - 40, len(data) - 4),
    }
    read = [n for n in sorted(cuts) if n < len(data) - 4 and read_or_refuse(path, data[:n]) is not None]
    assert not read, f"read although cut after these numbers of {len(data)} bytes"


def test_what_opencv_leaves_black_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = BIG16[..., ::-1].copy()
    half[20:] = 0
    monkeypatch.setattr(cv2, "imdecode", lambda *_: half)  # as some versions do with a damaged file
    (tmp_path / "x.png").write_bytes(FILES["16-bit rgb png"])
    refuses(tmp_path / "x.png", "differently")


@pytest.mark.parametrize("kind", [kind for kind in FILES if "png" in kind])
@pytest.mark.parametrize("damage", ["flip", "blank"])
def test_changed_byte_of_a_png_is_noticed(damage: str, kind: str, tmp_path: Path) -> None:
    whole, path = FILES[kind], tmp_path / "x.png"
    expected = read_or_refuse(path, whole)
    for place in range(0, len(whole), max(1, len(whole) // 120)):
        changed = bytearray(whole)
        if damage == "flip":
            changed[place] ^= 0x55
        else:  # what is left of a download that never arrived
            changed[place:] = bytes(len(whole) - place)
        pixels = read_or_refuse(path, bytes(changed))
        assert pixels is None or np.array_equal(pixels, expected), f"byte {place} of {len(whole)}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [kind for kind in FILES if "png" not in kind])
def test_changed_byte_never_ends_in_a_traceback(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)  # a changed size may be a very large one
    whole, path = FILES[kind], tmp_path / "x.png"
    for place in [*range(0, 300, 4), *range(len(whole) - 250, len(whole), 8)]:
        changed = bytearray(whole)
        changed[place] ^= 0x55
        read_or_refuse(path, bytes(changed))


# --- 8 bit, folders, writing ------------------------------------------------------------------------------------------


def test_to_uint8_rounds_to_the_nearest_level() -> None:
    levels = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(to_uint8(levels), np.floor(levels / 257 + 0.5).astype(np.uint8))
    assert to_uint8(RGB) is RGB


def test_find_pictures(tmp_path: Path) -> None:
    for name in ["b.png", "a.PNG", "c.JpEg", ".hidden.png", "notes.txt", "png", "d.tiff"]:
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in find_pictures(tmp_path)] == ["a.PNG", "b.png", "c.JpEg", "d.tiff"]


def test_find_pictures_names_what_it_leaves_out(tmp_path: Path) -> None:
    for name in ("a.png", "b.gif", "c.psd"):
        (tmp_path / name).touch()
    with pytest.warns(UserWarning, match=r"b\.gif, c\.psd: no pictures of a kind that sets are made of"):
        assert [path.name for path in find_pictures(tmp_path)] == ["a.png"]


def test_find_pictures_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / ".hidden.png").touch()
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}: no pictures")):
        find_pictures(tmp_path)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        find_pictures(tmp_path / "nowhere")


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".PNG"])
@pytest.mark.parametrize("pixels", [GREY, RGB], ids=["grey", "rgb"])
def test_write_and_read(pixels: np.ndarray, ending: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / f"x{ending}"
    write_picture(path, pixels)
    np.testing.assert_array_equal(read_picture(path), pixels)
    assert list(path.parent.iterdir()) == [path]


def _full_disk(image: Image.Image, path: Path) -> None:
    path.write_bytes(b"half")
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def _interrupted(image: Image.Image, path: Path) -> None:
    path.write_bytes(b"half")
    raise KeyboardInterrupt


@pytest.mark.parametrize(("save", "error"), [(_full_disk, PictureError), (_interrupted, KeyboardInterrupt)])
def test_write_whole_or_nothing(
    save: Callable[..., None], error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.png"
    write_picture(path, RGB)
    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(error):
        write_picture(path, 255 - RGB)
    with pytest.raises(error):
        write_picture(tmp_path / "new.png", RGB)
    np.testing.assert_array_equal(read_picture(path), RGB)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["x.xyz", "file/x.png"])
def test_write_says_why_not(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PictureError, match=re.escape(f"{tmp_path / name}: cannot be written (")):
        write_picture(tmp_path / name, RGB)


def test_a_tiff_keeps_its_resolution_and_no_date_that_is_none(tmp_path: Path) -> None:
    import tifffile

    from sr_lightning.data.files.io import Photo
    from sr_lightning.data.files.metadata import Metadata
    from sr_lightning.data.files.writing import write_photo

    exif = Image.Exif()
    exif.update({0x0132: "yesterday", 0x011A: 300.0, 0x011B: 300.0, 0x0128: 2})
    write_photo(tmp_path / "a.tif", Photo(np.zeros((8, 9, 3), np.uint16), metadata=Metadata(exif=exif.tobytes())))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = {tag.name: tag.value for tag in file.pages[0].tags.values()}  # type: ignore[union-attr]
    assert (tags["XResolution"], tags["YResolution"], tags["ResolutionUnit"]) == ((300, 1), (300, 1), 2)
    assert "DateTime" not in tags
