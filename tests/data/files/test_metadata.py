"""What belongs to a picture beside its pixels survives from format to format, or is named."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from sr_lightning.data.files.formats import WRITABLE, jp2_depth, jxl_size, load_plugins, looks_like_a_picture
from sr_lightning.data.files.io import Photo, is_opaque, picture_size, read_photo, read_picture
from sr_lightning.data.files.metadata import Metadata, photoshop_block, xmp_with_size
from sr_lightning.data.files.png_chunks import as_raw_profile, is_srgb, packed, read_chunks
from sr_lightning.data.files.unread_metadata import unsupported_extras
from sr_lightning.data.files.writing import fit_to_format, write_photo
from sr_lightning.errors import PictureError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF tiff:Orientation="1">keyword</rdf:RDF></x:xmpmeta>'
IPTC = b"\x1c\x02\x19\x00\x04word"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
FULL = Metadata(icc=PROFILE, xmp=XMP, iptc=IPTC, dpi=(300, 150), comment=b"a comment")


def with_chunks(path: Path, *chunks: tuple[bytes, bytes], pixels: np.ndarray = PIXELS, **options: Any) -> Path:
    """A PNG with chunks behind its header."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    data = file.getvalue()
    path.write_bytes(data[:33] + b"".join(packed(*chunk) for chunk in chunks) + data[33:])
    return path


def colours(gamma: int = 45455) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", gamma)


@pytest.mark.parametrize("ending", sorted(WRITABLE - {".dng"}))  # which test_dng.py looks at
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_every_format_keeps_what_it_has_a_place_for_and_names_the_rest(ending: str, kind: Any, tmp_path: Path) -> None:
    photo = Photo(PIXELS.astype(kind) * (257 if kind == np.uint16 else 1), metadata=FULL)
    path = tmp_path / f"a{ending}"
    _, lost = fit_to_format(path, photo)
    write_photo(path, photo)
    kept = read_photo(path).metadata
    words = {"icc": "its colour profile", "xmp": "XMP", "iptc": "IPTC", "comment": "its comment"}
    chunks = {data.partition(b"\0")[0]: data for _, data in kept.chunks}
    for name, word in words.items():
        there = getattr(kept, name) or (name == "comment" and chunks.get(b"Comment", b"").endswith(b"a comment"))
        assert bool(there) != (word in lost), name
        assert not getattr(kept, name) or getattr(kept, name).rstrip(b"\0") == getattr(FULL, name), name
    resolution = kept.dpi
    if ending in (".webp", ".avif"):
        with Image.open(path) as image:
            resolution = image.getexif()[0x011A], image.getexif()[0x011B]
    if ending not in (".ppm", ".pgm"):
        assert resolution == pytest.approx((300, 150), abs=0.02)


def test_colours_words_and_date_of_a_png_are_copied(tmp_path: Path) -> None:
    chunks = [
        colours(100000),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
        (b"cICP", bytes([9, 16, 0, 1])),
        (b"mDCV", bytes(24)),
        (b"cLLI", bytes(8)),
        (b"pHYs", struct.pack(">IIB", 11811, 11811, 1)),
        (b"tIME", bytes([7, 230, 1, 2, 3, 4, 5])),
        (b"tEXt", b"parameters\0a cat, Steps: 20"),
        (b"zTXt", b"Long\0\0" + zlib.compress(b"word " * 100)),
        (b"iTXt", b"Title\0\0\0de\0Titel\0" + "Tïtle".encode()),
    ]
    for depth in (8, 16):
        photo = read_photo(with_chunks(tmp_path / "a.png", *chunks))
        pixels = photo.pixels if depth == 8 else photo.pixels.astype(np.uint16)
        write_photo(tmp_path / "b.png", Photo(pixels, metadata=photo.metadata))
        assert list(read_chunks(tmp_path / "b.png")) == chunks
        assert read_photo(tmp_path / "b.png").pixels.dtype == pixels.dtype


def test_colours_without_a_place_are_refused(tmp_path: Path) -> None:
    linear = read_photo(with_chunks(tmp_path / "a.png", colours(100000)))
    with pytest.raises(PictureError, match=r"b\.jpg: what its colours mean \(gAMA\).*choose format=png"):
        write_photo(tmp_path / "b.jpg", linear)
    write_photo(tmp_path / "b.jpg", read_photo(with_chunks(tmp_path / "a.png", colours())))
    assert is_srgb([(b"sRGB", b"\0"), colours(45000)]) and not is_srgb([(b"cICP", bytes([12, 13, 0, 1]))])


def test_words_of_a_png_are_named_where_there_is_no_place(tmp_path: Path) -> None:
    photo = read_photo(with_chunks(tmp_path / "a.png", (b"tEXt", b"parameters\0a cat")))
    assert fit_to_format(tmp_path / "a.jpg", photo)[1] == ("its words",)


@pytest.mark.parametrize("bits", [2, 4])
def test_a_transparent_grey_of_few_bits(bits: int, tmp_path: Path) -> None:
    top = 2**bits - 1
    samples = np.arange(16, dtype=np.uint8).reshape(2, 8) % (top + 1)
    spread = np.unpackbits(samples[..., None], axis=-1)[..., 8 - bits :].reshape(2, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(spread, axis=1))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 8, 2, bits, 0, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", top)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed(*chunk) for chunk in chunks))
    photo = read_photo(path)
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha[..., 0] == 0, samples == top)
    assert np.array_equal(photo.pixels[..., 0], samples * (255 // top))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_of_16_bit(channels: int, tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (6, 9, channels), dtype=np.uint16)
    write_photo(tmp_path / "a.png", Photo(deep))
    data = (tmp_path / "a.png").read_bytes()
    key = struct.pack(f">{channels}H", *map(int, deep[2, 3]))
    (tmp_path / "a.png").write_bytes(data[:33] + packed(b"tRNS", key) + data[33:])
    photo = read_photo(tmp_path / "a.png")
    assert photo.alpha is not None and np.array_equal(photo.pixels, deep)
    assert np.argwhere(photo.alpha[..., 0] == 0).tolist() == [[2, 3]]


def test_16_bit_grey_with_opacity_stays_grey(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (6, 9, 2), dtype=np.uint16)
    write_photo(tmp_path / "a.png", Photo(deep[..., :1], deep[..., 1:], Metadata(icc=b"grey")))
    photo = read_photo(tmp_path / "a.png")
    assert photo.alpha is not None and photo.metadata.icc == b"grey"
    assert np.array_equal(np.concatenate([photo.pixels, photo.alpha], axis=-1), deep)
    assert (tmp_path / "a.png").read_bytes()[24:26] == bytes([16, 4])


@pytest.mark.parametrize("rubbish", [b"", b'\n$"\x1d\x1a!'])
def test_exif_as_text(rubbish: bytes, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", 6
    _, data = as_raw_profile(b"exif", exif.tobytes())
    name, _, packed_text = data.partition(b"\0\0")
    text = zlib.decompress(packed_text) + rubbish
    path = with_chunks(tmp_path / "a.png", (b"tEXt", name + b"\0" + text))
    photo = read_photo(path)
    assert photo.pixels.shape == (9, 6, 3) == (*picture_size(path), 3)
    assert photo.metadata.exif and b"a camera" in photo.metadata.exif and not photo.metadata.chunks
    broken = with_chunks(tmp_path / "b.png", (b"tEXt", name + b"\0\nexif\n      99\nxyz\n"))
    assert np.array_equal(read_picture(broken), PIXELS)
    assert read_photo(broken).metadata.lost == ("EXIF, which cannot be read",)


def test_words_of_more_than_a_megabyte_do_not_cost_the_picture(tmp_path: Path) -> None:
    words = b"Long\0\0" + zlib.compress(bytes(2**21))
    photo = read_photo(with_chunks(tmp_path / "a.png", (b"zTXt", words)))
    assert np.array_equal(photo.pixels, PIXELS) and photo.metadata.chunks == ((b"zTXt", words),)


def test_iptc_and_xmp_as_text(tmp_path: Path) -> None:
    chunks = as_raw_profile(b"iptc", photoshop_block(IPTC)), as_raw_profile(b"xmp", XMP)
    metadata = read_photo(with_chunks(tmp_path / "a.png", *chunks)).metadata
    assert (metadata.iptc, metadata.xmp, metadata.chunks) == (IPTC, XMP, ())


@pytest.mark.filterwarnings("ignore:Metadata Warning")
def test_metadata_that_pillow_does_not_read(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.gif")
    data = (tmp_path / "a.gif").read_bytes()
    place = data.rindex(b",", 0, -1) if data[781:782] != b"," else 781
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    (tmp_path / "a.gif").write_bytes(data[:place] + b"!\xff\x0bXMP DataXMP" + XMP + trailer + data[place:])
    assert read_photo(tmp_path / "a.gif").metadata.xmp == XMP
    (tmp_path / "a.ppm").write_bytes(b"P6\n# by hand\n# twice\n9 6\n255\n" + PIXELS.tobytes())
    assert read_photo(tmp_path / "a.ppm").metadata.comment == b"by hand\ntwice"
    header = struct.pack("<IiiHHIIiiII", 124, 9, 6, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(16) + b"DEBM" + bytes(52)
    header += struct.pack("<II", 124 + 28 * 6, len(PROFILE)) + bytes(4)
    body = b"BM" + struct.pack("<IHHI", 0, 0, 0, 138) + header + bytes(28 * 6) + PROFILE
    (tmp_path / "a.bmp").write_bytes(body)
    assert read_photo(tmp_path / "a.bmp").metadata.icc == PROFILE
    import tifffile

    tags = [(33723, "I", len(IPTC + b"\0\0\0") // 4, IPTC + b"\0\0\0", True)]
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", extratags=tags)
    assert read_photo(tmp_path / "a.tif").metadata.iptc == IPTC + b"\0\0\0"


def test_what_imagemagick_calls_app1(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    xmp = as_raw_profile(b"APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP)
    other = as_raw_profile(b"other", b"whatever")
    metadata = read_photo(with_chunks(tmp_path / "a.png", as_raw_profile(b"APP1", exif.tobytes()))).metadata
    assert metadata.exif and b"a camera" in metadata.exif
    metadata = read_photo(with_chunks(tmp_path / "a.png", xmp, other)).metadata
    assert (metadata.xmp, metadata.chunks, metadata.lost) == (XMP, (other,), ())


def test_a_damaged_profile_is_named(tmp_path: Path) -> None:
    metadata = read_photo(with_chunks(tmp_path / "a.png", (b"iCCP", b"a profile\0\0no zlib"))).metadata
    assert (metadata.icc, metadata.lost) == (None, ("its colour profile, which cannot be read",))
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", icc_profile=PROFILE)
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data.replace(b"ICC_PROFILE\0\1\1", b"ICC_PROFILE\0\1\3"))
    assert read_photo(tmp_path / "a.jpg").metadata.lost == ("its colour profile, which cannot be read",)


def test_xmp_says_what_the_pixels_are_now() -> None:
    xmp = b"<a tiff:Orientation='6' hdrgm:Version=\"1.0\"><exif:PixelYDimension>9</exif:PixelYDimension>"
    xmp += b"<Container:Directory><rdf:Seq>GainMap</rdf:Seq></Container:Directory></a>"
    expected = b"<a tiff:Orientation='1'><exif:PixelYDimension>20</exif:PixelYDimension></a>"
    assert xmp_with_size(xmp, 20, 30) == expected


def test_all_comments_of_a_jpeg_are_kept(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", comment=b"one", extra=b"\xff\xfe\0\5two")
    assert sorted((read_photo(tmp_path / "a.jpg").metadata.comment or b"").split(b"\n")) == [b"one", b"two"]


def test_pixels_that_are_not_square_are_named(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg")
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    data[13:18] = struct.pack(">BHH", 0, 2, 1)
    (tmp_path / "a.jpg").write_bytes(data)
    assert read_photo(tmp_path / "a.jpg").metadata.lost == ("the shape of its pixels, which are not square",)
    photo = read_photo(with_chunks(tmp_path / "a.png", (b"pHYs", struct.pack(">IIB", 2, 1, 0))))
    assert fit_to_format(tmp_path / "a.png", photo)[1] == ()
    assert fit_to_format(tmp_path / "a.jpg", photo)[1] == ("the shape of its pixels, which are not square",)


def test_a_gain_map_is_named(tmp_path: Path) -> None:
    xmp = XMP.replace(b"<rdf:RDF", b'<rdf:RDF hdrgm:Version="1.0"')
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", xmp=xmp)
    assert read_photo(tmp_path / "a.jpg").metadata.lost == ("its gain map for HDR screens",)
    Image.fromarray(PIXELS).save(tmp_path / "b.jpg", "MPO", save_all=True, append_images=[Image.fromarray(PIXELS)])
    assert read_photo(tmp_path / "b.jpg").metadata.lost == ("1 further picture",)


def test_metadata_too_long_for_a_jpeg_is_named(tmp_path: Path) -> None:
    photo = Photo(PIXELS, metadata=Metadata(xmp=XMP + bytes(70_000), exif=None))
    assert fit_to_format(tmp_path / "a.jpg", photo)[1] == ("XMP, which is too long for a JPEG",)
    write_photo(tmp_path / "a.jpg", photo)
    assert read_photo(tmp_path / "a.jpg").metadata.xmp is None


def test_cmyk_is_converted_by_its_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No profile of inks is at hand that may be shipped: what ImageCms is asked for is what counts."""
    asked: list[Any] = []

    def convert(image: Image.Image, inks: Any, screen: Any, **options: Any) -> Image.Image:
        asked.append(options["outputMode"])
        return Image.new("RGB", image.size, (1, 2, 3))

    Image.fromarray(PIXELS).convert("CMYK").save(tmp_path / "a.jpg", icc_profile=PROFILE)
    plain = Image.open(tmp_path / "a.jpg").convert("RGB")
    photo = read_photo(tmp_path / "a.jpg")  # a profile of screens, which is none of inks
    assert np.array_equal(photo.pixels, np.asarray(plain)) and photo.metadata.icc is None
    assert photo.metadata.lost == ("its CMYK profile, which cannot be used: colours are approximate",)
    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    photo = read_photo(tmp_path / "a.jpg")
    assert asked == ["RGB"] and (photo.pixels == (1, 2, 3)).all() and photo.metadata == Metadata(jpeg_quality=75)


def test_lossless_webp_stays_lossless(tmp_path: Path) -> None:
    for name, lossless in (("a", True), ("b", False)):
        Image.fromarray(PIXELS).save(tmp_path / f"{name}.webp", lossless=lossless, exif=Image.Exif(), xmp=XMP)
        photo = read_photo(tmp_path / f"{name}.webp")
        assert photo.metadata.lossless == lossless
        write_photo(tmp_path / "c.webp", photo)
        assert read_photo(tmp_path / "c.webp").metadata.lossless == lossless
        assert np.array_equal(read_picture(tmp_path / "c.webp"), photo.pixels) or not lossless
    write_photo(tmp_path / "c.webp", read_photo(tmp_path / "a.webp"), quality=80)
    assert not read_photo(tmp_path / "c.webp").metadata.lossless


@pytest.mark.parametrize("ending", ["jpg", "webp", "avif"])
def test_quality(ending: str, tmp_path: Path) -> None:
    photo = Photo(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    sizes = []
    for quality in (20, 60, None):
        write_photo(tmp_path / f"a.{ending}", photo, quality=quality)
        sizes.append((tmp_path / f"a.{ending}").stat().st_size)
    assert sizes == sorted(sizes) and len({*sizes}) == 3


def test_an_opaque_channel_needs_no_place(tmp_path: Path) -> None:
    alpha = np.full((6, 9, 1), 255, np.uint8)
    write_photo(tmp_path / "a.jpg", Photo(PIXELS, alpha))
    alpha[0, 0] = 254
    assert not is_opaque(Photo(PIXELS, alpha))
    with pytest.raises(PictureError, match="holds no transparency"):
        write_photo(str(tmp_path / "a.jpg"), Photo(PIXELS, alpha))


def test_jpeg_2000(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.jp2", irreversible=False)
    assert np.array_equal(read_picture(tmp_path / "a.jp2"), PIXELS) and jp2_depth(tmp_path / "a.jp2") == 8
    deep = np.random.default_rng(0).integers(0, 65536, (32, 48), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "b.jp2", irreversible=False)
    assert np.array_equal(read_picture(tmp_path / "b.jp2")[..., 0], deep)


def test_numbers_that_name_the_colours_of_an_avif(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.avif")
    data = (tmp_path / "a.avif").read_bytes()
    place = data.index(b"colrnclx") + 8
    (tmp_path / "a.avif").write_bytes(data[:place] + struct.pack(">HH", 12, 13) + data[place + 4 :])
    photo = read_photo(tmp_path / "a.avif")
    assert photo.metadata.chunks == ((b"cICP", bytes([12, 13, 0, 1])),)
    with pytest.raises(PictureError, match=r"\(cICP\)"):
        fit_to_format(tmp_path / "b.avif", photo)
    fit_to_format(tmp_path / "b.png", photo)


def test_bits_that_a_decoder_rounds_off_are_named(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.avif")
    assert read_photo(tmp_path / "a.avif").metadata.lost == ()
    data = bytearray((tmp_path / "a.avif").read_bytes())
    data[data.index(b"av1C") + 6] |= 0x40
    (tmp_path / "b.avif").write_bytes(data)
    with Image.open(tmp_path / "a.avif") as image:
        assert unsupported_extras(tmp_path / "b.avif", image) == ["the bits beyond 8, which the decoder rounds off"]


def test_jpeg_xl(tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl", reason='pip install "sr_lightning[jxl]"')
    for size in ((64, 48), (51, 300), (1000, 1000)):
        Image.new("RGB", size).save(tmp_path / "a.jxl")
        assert jxl_size(tmp_path / "a.jxl") == size[::-1]
    Image.fromarray(PIXELS).save(tmp_path / "a.jxl", lossless=True)
    assert np.array_equal(read_picture(tmp_path / "a.jxl"), PIXELS)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"\0\0\0\x18ftypheic", r'HEIC needs an extra; pip install "sr_lightning\[heic\]"'),
        (b"\xff\x0a", r'JXL needs an extra; pip install "sr_lightning\[jxl\]"'),
        (b"8BPS\0\1", "a Photoshop document, which is not read"),
        (b"<svg xmlns", "an SVG drawing, which is not read"),
        (b"II*\0\0\0", "a damaged TIFF"),
    ],
)
def test_the_true_reason(start: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("io", "formats"):
        monkeypatch.setattr(f"sr_lightning.data.files.{module}.load_plugins", tuple)
    (tmp_path / "a.png").write_bytes(start + bytes(40))
    with pytest.raises(PictureError, match=words):
        read_picture(tmp_path / "a.png")


def test_the_true_reason_is_the_only_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 1, 9999, 1, 1) * 2 + bytes(4))
    with pytest.raises(PictureError, match="a damaged TIFF"):
        read_picture(tmp_path / "a.tif")
    assert not caplog.records


def test_floating_point_is_named(tmp_path: Path) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", PIXELS.astype(np.float32), photometric="rgb", compression="zlib")
    with pytest.raises(PictureError, match=r"a TIFF of 3 x floating-point numbers \(RGB, .*save it as"):
        read_picture(tmp_path / "a.tif")


def test_rating_and_the_words_of_windows_are_kept_in_a_tiff(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.update({0x4746: 4, 0x9C9B: "Tïtle".encode("utf-16-le"), 0x010D: "a document"})
    for name in ("a", "b"):
        write_photo(tmp_path / f"{name}.tif", Photo(PIXELS, metadata=Metadata(exif=exif.tobytes())))
        exif = Image.open(tmp_path / f"{name}.tif").getexif()
        title = exif[0x9C9B]
        title = bytes(title) if isinstance(title, tuple) else title
        assert (exif[0x4746], title.decode("utf-16-le"), exif[0x010D]) == (4, "Tïtle", "a document")
        exif_bytes = read_photo(tmp_path / f"{name}.tif").metadata.exif
        exif = Image.Exif()
        exif.load(exif_bytes or b"")


def test_a_turned_jpeg_xl_is_turned_once(tmp_path: Path) -> None:
    """Its decoder does it; what EXIF says is what was, as the standard has it."""
    pytest.importorskip("pillow_jxl", reason='pip install "sr_lightning[jxl]"')
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    Image.fromarray(PIXELS).save(tmp_path / "a.jxl", lossless=True, exif=exif.tobytes())
    photo = read_photo(tmp_path / "a.jxl")
    assert np.array_equal(photo.pixels, PIXELS) and picture_size(tmp_path / "a.jxl") == (6, 9)
    assert photo.metadata.exif and b"a camera" in photo.metadata.exif


@pytest.mark.parametrize("name", ["png/text.png", "png/gama1.png", "png/cicp.png", "png/dpi.png", "png/chrm_p3.png"])
def test_colours_and_words_of_the_cases(name: str, cases: Path, tmp_path: Path) -> None:
    photo = read_photo(cases / name)
    write_photo(tmp_path / "a.png", photo)
    assert photo.metadata.chunks and read_photo(tmp_path / "a.png").metadata == photo.metadata


def test_exif_in_hexadecimal_text_of_the_case(cases: Path) -> None:
    photo = read_photo(cases / "png" / "raw_profile_exif.png")
    assert photo.pixels.shape == (30, 40, 3) and photo.metadata.exif and b"Pixel 4a" in photo.metadata.exif


def test_what_begins_as_a_picture(tmp_path: Path) -> None:
    for ending in ("jpg", "png", "gif", "webp", "tif", "avif"):
        Image.fromarray(PIXELS).save(tmp_path / f"a.{ending}")
        assert looks_like_a_picture(tmp_path / f"a.{ending}"), ending
    (tmp_path / "b").write_bytes(b"some words")
    assert not looks_like_a_picture(tmp_path / "b") and not looks_like_a_picture(tmp_path / "none")
    assert isinstance(load_plugins(), tuple)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_png_of_16_bit_is_encoded_into_a_file(channels: int, tmp_path: Path, monkeypatch: Any) -> None:
    photo = Photo(PIXELS[..., :channels].astype(np.uint16) * 257, metadata=FULL)
    write_photo(tmp_path / "small.png", photo)
    monkeypatch.setattr("sr_lightning.data.files.writing._IN_MEMORY", 0)
    monkeypatch.setattr("cv2.imencode", None)
    write_photo(tmp_path / "large.png", photo)
    large, small = read_photo(tmp_path / "large.png"), read_photo(tmp_path / "small.png")
    assert np.array_equal(large.pixels, small.pixels) and large.metadata == small.metadata
    assert {path.name for path in tmp_path.iterdir()} == {"large.png", "small.png"}
    monkeypatch.setattr("cv2.imwrite", lambda *_: False)
    with pytest.raises(PictureError, match=r"cannot be written \(the encoder failed; is the disk full"):
        write_photo(tmp_path / "full.png", photo)
    assert not (tmp_path / "full.png").exists()
