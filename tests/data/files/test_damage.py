"""A damaged picture is refused, whatever its decoder makes of it without a word."""

import io
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from sr_lightning.data.files.damage import decoder_warnings_as_errors
from sr_lightning.data.files.io import read_photo, read_picture
from sr_lightning.data.prepare.verify import verify
from sr_lightning.data.sets.folder import Folder
from sr_lightning.errors import PictureError


def scene(height: int = 96, width: int = 96) -> Image.Image:
    """Smooth colours with some noise, which no format stores in a few bytes."""
    generator = np.random.default_rng(3)
    coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((pixels + generator.integers(-4, 5, pixels.shape)).clip(0, 255).astype(np.uint8))


def encoded(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    scene().convert(mode).save(file, kind, **options)
    return file.getvalue()


def picture_data(content: bytes) -> range:
    """Where the bytes of the pixels lie."""
    with Image.open(io.BytesIO(content)) as image:
        if image.format != "TIFF":
            return range(content.rindex(b"\xff\xda") + 20, len(content) - 2)
        return range(
            min(image.tag_v2[273]), max(a + b for a, b in zip(image.tag_v2[273], image.tag_v2[279], strict=True))
        )


CHECKSUMS = {
    "deflate": encoded("TIFF", compression="tiff_deflate"),
    "Adobe deflate": encoded("TIFF", compression="tiff_adobe_deflate"),
    "deflate grey": encoded("TIFF", "L", compression="tiff_deflate"),
    "LZMA": encoded("TIFF", compression="lzma"),
}


@pytest.mark.parametrize("kind", CHECKSUMS)
def test_every_changed_byte_of_a_tiff_with_checksums_is_noticed(kind: str, tmp_path: Path) -> None:
    content, file = CHECKSUMS[kind], tmp_path / "x.tif"
    file.write_bytes(content)
    expected = read_picture(file)
    place = picture_data(content)
    for seed in range(60):
        generator, damaged = np.random.default_rng(seed), bytearray(content)
        start = int(generator.integers(place.start, place.stop))
        if seed % 2:
            damaged[start] ^= 1 << int(generator.integers(8))
        else:  # a block that was never written
            end = min(start + 200, place.stop)
            damaged[start:end] = bytes(end - start)
        file.write_bytes(damaged)
        try:
            assert np.array_equal(read_picture(file), expected), f"{kind} {seed}"  # zeros may have been zeros
        except PictureError as error:
            assert "x.tif: is damaged (" in str(error) and "\n" not in str(error)


JPEGS = {
    "JPEG": encoded("JPEG", quality=95),
    "grey": encoded("JPEG", "L", quality=95),
    "CMYK": encoded("JPEG", "CMYK", quality=95),
    "progressive": encoded("JPEG", quality=95, progressive=True),
    "in a TIFF": encoded("TIFF", compression="jpeg"),
}


@pytest.mark.parametrize("kind", JPEGS)
def test_jpeg_whose_data_end_in_zeros_is_refused(kind: str, tmp_path: Path) -> None:
    content, file = JPEGS[kind], tmp_path / "x.jpg"
    file.write_bytes(content)
    assert read_photo(file).pixels.shape[:2] == (96, 96)
    place = picture_data(content)
    for share in (0.2, 0.5, 0.8):
        start = place.start + int(share * len(place))
        file.write_bytes(content[:start] + bytes(place.stop - start) + content[place.stop :])
        with pytest.raises(PictureError, match=r"x\.jpg: is damaged \(.*\); get an intact copy"):
            read_photo(file)


def test_jpeg_that_lost_its_middle_is_refused(tmp_path: Path) -> None:
    content, file = JPEGS["JPEG"], tmp_path / "x.jpg"
    place = picture_data(content)
    file.write_bytes(content[: place.start + len(place) // 2] + b"\xff\xd9")
    with pytest.raises(PictureError, match="is damaged"):
        read_picture(file)


def test_a_damaged_colour_profile_does_not_cost_the_picture(tmp_path: Path) -> None:
    """libjpeg complains of it as of damaged pixels."""
    file = tmp_path / "x.jpg"
    file.write_bytes(encoded("JPEG", icc_profile=b"profile" * 20).replace(b"ICC_PROFILE\0\1\1", b"ICC_PROFILE\0\2\1"))
    assert read_picture(file).shape == (96, 96, 3)


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_fax_pages_with_bad_codes_are_refused(
    compression: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content, file = encoded("TIFF", "1", compression=compression), tmp_path / "x.tif"
    file.write_bytes(content)
    assert read_picture(file).shape == (96, 96, 1)
    damaged, place = bytearray(content), picture_data(content)
    if compression == "group3":
        middle = place.start + len(place) // 2
        damaged[middle : place.stop] = bytes(place.stop - middle)
    else:
        damaged[place.start + 40] ^= 16
    file.write_bytes(damaged)
    with pytest.raises(PictureError, match=r"x\.tif: is damaged \(Bad code word at line \d+"):
        read_picture(file)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["lzw", "deep_lzw", "deep_packbits"])
def test_what_a_decoder_says_of_a_tiff_is_the_error_alone(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, packing = tmp_path / "x.tif", kind.removeprefix("deep_")
    if kind == packing:
        file.write_bytes(encoded("TIFF", compression="tiff_lzw"))
    else:
        deep = np.asarray(scene()).astype(np.uint16) * 257
        cv2.imwrite(str(file), deep, [cv2.IMWRITE_TIFF_COMPRESSION, {"lzw": 5, "packbits": 32773}[packing]])
    content = bytearray(file.read_bytes())
    whole = read_picture(file)
    place = picture_data(bytes(content))
    middle = place.start + len(place) // 2
    content[middle : middle + 300] = bytes(300) if packing == "lzw" else b"\x80" * 300
    file.write_bytes(content)
    with pytest.raises(PictureError, match=r"x\.tif: is damaged \([A-Z].*\); get an intact copy"):
        read_picture(file)
    assert capfd.readouterr().err == "" and whole.shape == (96, 96, 3)


def test_what_others_say_meanwhile_is_not_lost(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.tif"
    scene().save(file)
    with Image.open(file) as image, decoder_warnings_as_errors(file, image):
        os.write(2, b"error: of another thread\nTIFFReadDirectory: Warning, of a tag.\n")
    assert capfd.readouterr().err == "error: of another thread\n"
    with Image.open(file) as image, decoder_warnings_as_errors(file, image):
        os.write(2, b"UnicodeDecodeError: of another thread\n")
    assert capfd.readouterr().err == "UnicodeDecodeError: of another thread\n"
    with (
        pytest.raises(PictureError, match=r"damaged \(Bad code\)"),
        Image.open(file) as image,
        decoder_warnings_as_errors(file, image),
    ):
        os.write(2, b"\rprogress: 3 %Fax4Decode: Bad code.\n")
    assert capfd.readouterr().err == "\rprogress: 3 %"
    with pytest.raises(ValueError, match="mine"), Image.open(file) as image, decoder_warnings_as_errors(file, image):
        raise ValueError("mine")


def test_harmless_warnings_do_not_explain_an_error(tmp_path: Path) -> None:
    """An intact GeoTIFF that is too large for the memory is not called damaged."""
    file = tmp_path / "x.tif"
    scene().save(file)
    with pytest.raises(MemoryError), Image.open(file) as image, decoder_warnings_as_errors(file, image):
        os.write(
            2, b"[ WARN:0@0.4] global grfmt_tiff.cpp:123 TIFF_Warning TIFFReadDirectory: Unknown field with tag 1\n"
        )
        os.write(2, b"TIFFReadDirectory: Warning, Unknown field with tag 33550 (0x830e) encountered.\n")
        raise MemoryError


def test_nothing_is_heard_where_the_standard_error_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be that of the picture."""
    file = tmp_path / "x.tif"
    scene().save(file)
    monkeypatch.setattr("sys.__stderr__", None)
    before = os.fstat(2)
    with Image.open(file) as image, decoder_warnings_as_errors(file, image):
        assert os.path.samestat(os.fstat(2), before)


@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_truncated_fax_page_is_refused(cases: Path) -> None:
    with pytest.raises(PictureError, match=r"truncated_g4\.tif: is damaged"):
        read_picture(cases / "tiff/truncated_g4.tif")


def test_training_and_verify_find_damage(tmp_path: Path) -> None:
    place, content = picture_data(JPEGS["JPEG"]), JPEGS["JPEG"]
    for name in "abc":
        scene().save(tmp_path / f"{name}.png")
    (tmp_path / "d.jpg").write_bytes(content[: place.start + 200] + bytes(len(content) - place.start - 200))
    data = Folder(2, str(tmp_path), num_val=1, patch_size=32)
    problems = [text for report in verify(data) for text in report.problems]
    assert [text for text in problems if "d.jpg: is damaged" in text]
    with pytest.raises(PictureError, match=r"d\.jpg: is damaged"):
        data.prepare_data()


def test_intact_photographs_are_read(real_data: Path, cases: Path) -> None:
    for path in [*sorted((real_data / "BSD200").glob("*.jpg"))[:20], *(cases / "phone").glob("*.jp*g")]:
        assert read_picture(path).ndim == 3
