"""Pictures decoded from memory have the pixels of ``read_picture``, and no worse fate where they are damaged."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from sr_lightning.data.files.io import read_picture
from sr_lightning.data.sets import shard_pictures
from sr_lightning.data.sets.shard_pictures import decode_picture
from sr_lightning.errors import PictureError


def picture(channels: int = 3, dtype: Any = np.uint8, size: tuple[int, int] = (41, 54)) -> Any:
    """Smooth enough for JPEG, with every level somewhere."""
    generator = np.random.default_rng(1)
    coarse = generator.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)).astype(dtype)
    noisy = smooth * np.array(257 if dtype == np.uint16 else 1, dtype) + generator.integers(0, 9, smooth.shape, dtype)
    return noisy[..., 0] if channels == 1 else noisy


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(pixels: Any) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


RGB = Image.fromarray(picture())
TURNED = Image.Exif()
TURNED[274] = 6

#: Files by what they are, and whether they are decoded directly.
FILES: dict[str, tuple[bytes, bool]] = {
    "PNG": (png(picture()), True),
    "PNG of Pillow": (saved(RGB, "PNG"), True),
    "grey PNG": (png(picture(1)), True),
    "PNG in 16 bit": (png(picture(3, np.uint16)), True),
    "grey PNG in 16 bit": (png(picture(1, np.uint16)), True),
    "one pixel": (png(picture()[:1, :1]), True),
    "palette": (saved(RGB.quantize(32), "PNG"), False),
    "two levels": (saved(RGB.convert("1"), "PNG"), False),
    "opaque alpha": (saved(RGB.convert("RGBA"), "PNG"), False),
    "PNG with EXIF": (saved(RGB, "PNG", exif=TURNED), False),
    "PNG with gamma": (png(picture())[:33] + b"\0\0\0\4gAMA\0\0\xb1\x8f\x0b\xfca\x05" + png(picture())[33:], False),
    "JPEG": (saved(RGB, "JPEG", quality=90), True),
    "JPEG 4:4:4": (saved(RGB, "JPEG", quality=97, subsampling=0), True),
    "progressive JPEG": (saved(RGB, "JPEG", quality=70, progressive=True), True),
    "grey JPEG": (saved(RGB.convert("L"), "JPEG"), True),
    "CMYK JPEG": (saved(RGB.convert("CMYK"), "JPEG"), False),
    "turned JPEG": (saved(RGB, "JPEG", exif=TURNED), False),
    "JPEG with a profile": (saved(RGB, "JPEG", icc_profile=b"x" * 200), False),
    "TIFF": (saved(RGB, "TIFF", compression="tiff_lzw"), False),
    "WebP": (saved(RGB, "WEBP", quality=80), False),
    "BMP": (saved(RGB, "BMP"), False),
}


@pytest.mark.parametrize("name", FILES)
def test_pixels_are_those_of_the_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, direct = FILES[name]
    (tmp_path / "picture").write_bytes(content)
    wanted = read_picture(tmp_path / "picture").transpose(2, 0, 1)
    if direct:
        monkeypatch.setattr(shard_pictures, "read_picture", lambda _: pytest.fail("was not decoded directly"))
    decoded = decode_picture("x.tar: 00", content)
    assert decoded.dtype == wanted.dtype and decoded.shape == (3, *wanted.shape[1:])
    np.testing.assert_array_equal(decoded, np.broadcast_to(wanted, decoded.shape))
    assert decoded.flags.c_contiguous


def test_without_files_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.memfd_create", raising=False)
    (tmp_path / "picture").write_bytes(FILES["TIFF"][0])
    wanted = read_picture(tmp_path / "picture").transpose(2, 0, 1)
    np.testing.assert_array_equal(decode_picture("x.tar: 00", FILES["TIFF"][0]), wanted)


@pytest.mark.parametrize("name", ["PNG", "PNG in 16 bit", "JPEG", "progressive JPEG", "palette"])
def test_damage_is_told_as_of_files(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Cut anywhere, or a bit turned anywhere: the pixels of ``read_picture``, or its error with the place."""
    content, path = FILES[name][0], tmp_path / "picture"
    generator = np.random.default_rng(1)
    damaged = [content[: int(n)] for n in generator.integers(len(content), size=12)]
    for place in generator.integers(len(content), size=40):
        damaged.append(
            content[:place] + bytes([content[place] ^ 1 << int(generator.integers(8))]) + content[place + 1 :]
        )
    for bad in damaged:
        path.write_bytes(bad)
        try:
            wanted = read_picture(path).transpose(2, 0, 1)
        except PictureError:
            with pytest.raises(PictureError, match=r"^x\.tar: 00: "):
                decode_picture("x.tar: 00", bad)
        else:
            np.testing.assert_array_equal(
                decode_picture("x.tar: 00", bad), np.broadcast_to(wanted, (3, *wanted.shape[1:]))
            )


def test_pictures_that_claim_to_be_huge() -> None:
    content = bytearray(png(picture()))
    content[16:24] = struct.pack(">II", 60000, 60000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    with pytest.raises(PictureError, match=r"^x\.tar: 00: Image size \(3600000000 pixels\) exceeds limit"):
        decode_picture("x.tar: 00", bytes(content))
