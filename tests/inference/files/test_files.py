"""Files in and out: what is kept, what they are called, and what they never replace."""

import os
import signal
import struct
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from running import Forked
from sr_lightning.config import compose
from sr_lightning.data.files.io import Photo, read_photo
from sr_lightning.data.files.photographs import photograph
from sr_lightning.data.files.writing import write_photo
from sr_lightning.errors import CheckpointError, PictureError, SRError
from sr_lightning.inference.files.jobs import find_jobs
from sr_lightning.inference.files.targets import is_result, refuse_too_large
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import Bicubic
from sr_lightning.models.srresnet import SRResNet
from sr_lightning.upscale import upscale
from sr_lightning.weights.portable import write_safetensors

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray = PIXELS, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def run(source: Path, *overrides: str) -> list[Path]:
    return upscale(compose("upscale", ["model=bicubic", "device=cpu", f'input="{source}"', *overrides]))


def jobs(source: Path, *overrides: str) -> dict[str, str]:
    found = find_jobs(compose("upscale", [f'input="{source}"', *overrides]))
    return {job.source.name: job.folder.name for job in found}


@pytest.mark.parametrize("name", ["фото mit ü (1).png", "a, b=c.png", "100%factor.png", "[1].png"])
def test_names_of_any_kind(name: str, tmp_path: Path) -> None:
    (written,) = run(save(tmp_path / name))
    assert written.name == f"{name[:-4]}_x2.png" and written.is_file()


def test_what_a_decoder_warns_of_goes_with_the_file_or_not_at_all(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    """A word that cannot be read costs a word; of a page that cannot be read, the error is all there is to say."""
    Image.fromarray(PIXELS).convert("1").save(
        tmp_path / "a.tif", compression="group4", tiffinfo={305: "a program of a long name"}
    )
    content = (tmp_path / "a.tif").read_bytes()
    where = struct.pack("<I", content.index(b"a program"))
    lost = content.replace(where, struct.pack("<I", 10**6))
    (tmp_path / "a.tif").write_bytes(lost)
    run(tmp_path / "a.tif")
    assert [str(w.message) for w in recwarn if "a.tif: " not in str(w.message)] == [] != [*recwarn]
    recwarn.clear()
    with Image.open(tmp_path / "a.tif") as image:
        tags = image.tag_v2  # type: ignore[attr-defined]
    place, length = tags[273][0], tags[279][0]
    recwarn.clear()
    (tmp_path / "b.tif").write_bytes(lost[:place] + bytes(length) + lost[place + length :])
    with pytest.raises(SRError, match=r"b\.tif: "):
        run(tmp_path / "b.tif")
    assert not [str(w.message) for w in recwarn] and "warning" not in capfd.readouterr().err


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (1, 101), (101, 1)])
def test_tiny_and_thin(size: tuple[int, int], tmp_path: Path) -> None:
    (written,) = run(save(tmp_path / "a.png", np.full((*size, 3), 100, np.uint8)))
    result = read_photo(written).pixels
    assert result.shape == (2 * size[0], 2 * size[1], 3) and (result == 100).all()


@pytest.mark.filterwarnings("ignore:.*dB below bicubic")
def test_a_picture_too_small_for_the_network(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.zeros((1, 1, 3), np.uint8))
    weights = tmp_path / "a.safetensors"
    write_safetensors(SRResNet(num_features=4, num_blocks=1), weights, {})
    with pytest.raises(SRError, match=r"a\.png: 1x1 pixels are too few for SRResNet"):
        upscale(compose("upscale", [f"input={tmp_path / 'a.png'}", f"checkpoint={weights}", "device=cpu"]))


def test_png_is_written_at_a_level_that_takes_little_time(tmp_path: Path) -> None:
    assert b"IDATx\x5e" in run(save(tmp_path / "a.png"))[0].read_bytes()  # zlib's mark of levels 2 to 5


def test_large_photographs_take_half_the_time_and_drawings_stay_small(tmp_path: Path) -> None:
    """Pillow's own files tell which strategy of zlib a picture was written by."""
    photo = read_photo(photograph("astronaut.png")).pixels
    stripes = np.zeros_like(photo)
    stripes[:, ::3] = stripes[::7] = 255
    for pixels, strategy in ((photo, zlib.Z_RLE), (photo[..., :1], zlib.Z_RLE), (stripes, zlib.Z_FILTERED)):
        write_photo(tmp_path / "a.png", Photo(pixels))
        assert (read_photo(tmp_path / "a.png").pixels == pixels).all()
        image = Image.fromarray(pixels.squeeze())
        sizes = {}
        for each in (zlib.Z_FILTERED, zlib.Z_RLE):
            image.save(tmp_path / "b.png", compress_level=4, compress_type=each)
            sizes[each] = (tmp_path / "b.png").stat().st_size
        assert (tmp_path / "a.png").stat().st_size == sizes[strategy] <= 1.02 * min(sizes.values())


def test_results_are_not_enlarged_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    for name in ("a.png", "deep/b.png", "deep/c_x2.png", ".hidden/d.png"):
        save(folder / name)
    run(folder)
    assert set(jobs(folder)) == {"a.png", "b.png", "c_x2.png"}  # of no picture c
    assert "3 files skipped: they are results of other pictures" in capsys.readouterr().err
    with pytest.raises(SRError, match=r"3 of 3 pictures(.|\n)*is there already"):
        run(folder)
    run(folder, f"output={folder / 'large'}")
    assert len(list((folder / "large").rglob("*.png"))) == 3
    assert set(jobs(folder, f"output={folder / 'large'}")) == {"a.png", "b.png", "c_x2.png"}
    assert set(jobs(folder / "*.png")) == {"a.png"}
    assert set(jobs(folder / "deep", f"output={folder}")) == {"b.png", "c_x2.png"}  # a folder around it


@pytest.mark.parametrize(
    ("pattern", "names", "results"),
    [
        ("%name_%model", ["a", "a_edsr_small", "a_fsrcnn", "a_sunset"], {"a_edsr_small", "a_fsrcnn"}),
        ("%name_%ext", ["cat", "cat_sitting", "cat_png"], {"cat_png"}),
        ("%name_x%factor", ["a", "a_x2.5", "b_x2", "a_xmas"], {"a_x2.5"}),
    ],
)
def test_what_is_called_like_a_result(pattern: str, names: list[str], results: set[str]) -> None:
    pictures = {Path(name) for name in names}
    assert {name for name in names if is_result(Path(f"{name}.png"), pattern, pictures)} == results


def test_a_folder_is_taken_up_where_it_was_left(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / f"{name}.png")
    (first,) = run(tmp_path / "a.png")
    first.write_bytes(b"precious")
    (tmp_path / "a.png").write_bytes(b"is not even read")
    assert run(tmp_path, "overwrite=skip") == [tmp_path / "b_x2.png"]
    assert first.read_bytes() == b"precious"


def test_a_picture_that_cannot_be_done_costs_itself_alone(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png", "c.jpg"):
        save(tmp_path / name)
    with pytest.raises(SRError, match=r"1 of 3 pictures(.|\n)*b\.png: the result would replace its own picture"):
        run(tmp_path, "pattern=%name", "format=png", "overwrite=true")
    assert (tmp_path / "a.png").is_file() and (tmp_path / "c.png").is_file()


def test_a_factor_stands_in_the_name_as_it_was_typed(tmp_path: Path) -> None:
    assert run(save(tmp_path / "a.png", np.zeros((7, 15, 3), np.uint8)), "factor=2.5")[0].name == "a_x2.5.png"


def test_damaged_resolution_costs_the_resolution_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = IFDRational(0, 0), 72.0
    exif[ExifTags.Base.Make] = "Maker"
    (written,) = run(save(tmp_path / "a.jpg", exif=exif), "format=tif", "bits=16")
    with Image.open(written) as image:
        assert image.getexif()[ExifTags.Base.Make] == "Maker"


def test_exif_is_kept(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "raw" / "derived_dng" / "nikon_dsc1339_rggb.dng"
    before = Image.Exif()
    with source.open("rb") as file:
        before.load_from_fp(file)
    (written,) = run(source, f"output={tmp_path}", "format=jpg", "bits=8", "factor=0.1")
    with Image.open(written) as image:
        after = image.getexif()
    assert {0x010F, 0x0110} <= before.keys() and all(after[tag] == before[tag] for tag in (0x010F, 0x0110))
    assert not {0xC612, 0x0111, 0x0112} & after.keys()  # neither DNG's tags nor a turn


def test_a_pattern_keeps_the_tree(tmp_path: Path) -> None:
    for name in ("in/a.png", "in/deep/a.png", "in/deep/b.jpg"):
        save(tmp_path / name)
    written = run(tmp_path / "in" / "**" / "*.png", f"output={tmp_path / 'out'}")
    assert [str(path.relative_to(tmp_path / "out")) for path in written] == ["a_x2.png", "deep/a_x2.png"]


def test_two_results_of_one_name(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        save(tmp_path / name)
    with pytest.raises(SRError, match=r"(?s)1 of 2 .*a\.png: its result would have the name of that of a\.jpg; .*%ext"):
        run(tmp_path, "format=png", "overwrite=true")
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.jpg", "a_x2.png"}
    (tmp_path / "a_x2.png").unlink()
    written = run(tmp_path, "format=png", "pattern=%name_%ext")
    assert [path.name for path in written] == ["a_jpg.png", "a_png.png"]


def test_larger_than_pillow_takes_from_strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    assert run(source) == [tmp_path / "a_x2.png"]
    with pytest.raises(PictureError, match="exceeds limit of 40 pixels"):  # as the demo reads uploads
        read_photo(source)


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appeared_meanwhile_stays(links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, other = save(tmp_path / "a.png"), tmp_path / "a_x2.png"

    def compute(self: Upscaler, photo: Photo, **_: Any) -> Photo:
        other.write_bytes(b"precious")
        return photo

    def refuse(*_: Any) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    assert run(source) == [other]
    other.unlink()
    monkeypatch.setattr(Upscaler, "photo", compute)
    with pytest.raises(SRError, match=r"a_x2\.png: cannot be written \(File exists\)"):
        run(source)
    assert other.read_bytes() == b"precious"
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a_x2.png"}
    assert run(source, "overwrite=true") == [other] and other.read_bytes() != b"precious"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["format=docx"], "format=docx: cannot be written"),
        (["output={}/a.png/below"], r"a\.png: nothing can be written here"),
        (["pattern=x/%name"], "folders go into output="),
        (["pattern=null"], "folders go into output="),
    ],
)
def test_refused_before_the_work(
    overrides: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sr_lightning.inference.upscaler.Upscaler.array", None)
    with pytest.raises(SRError, match=message):
        run(save(tmp_path / "a.png"), *(o.format(tmp_path) for o in overrides))


def test_a_folder_where_nothing_can_be_written_does_not_end_the_job(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png"):
        save(tmp_path / "in" / name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").write_text("a file, not a folder")
    with pytest.raises(SRError, match=r"1 of 2 pictures.*\n.*out/a: nothing can be written here"):
        run(tmp_path / "in", f"output={tmp_path / 'out'}")
    assert [path.name for path in (tmp_path / "out/b").iterdir()] == ["2_x2.png"]


def test_formats_with_a_largest_size() -> None:
    refuse_too_large(Path("a.png"), 70_000, 10)
    refuse_too_large(Path("a.webp"), 16_383, 10)
    with pytest.raises(PictureError, match=r"a\.webp: 10x16384 pixels, and webp holds 16383 a side; choose format=png"):
        refuse_too_large(Path("a.webp"), 16_384, 10)


@pytest.mark.parametrize("ending", ["png", "tif", "ppm"])
def test_16_bit_of_every_format(ending: str, tmp_path: Path) -> None:
    deep = np.full((6, 9, 3), (1000, 30_001, 65_000), np.uint16)
    cv2.imwrite(str(tmp_path / f"a.{ending}"), deep)
    result = read_photo(run(tmp_path / f"a.{ending}")[0]).pixels
    assert result.dtype == np.uint16 and (result == (65_000, 30_001, 1000)).all()


def make_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x0132] = "a camera", orientation, "2020:01:02 03:04:05"
    exif.get_ifd(0x8769).update({0xA002: 9, 0xA003: 6, 0x829A: 0.01, 0x9003: "2020:01:02 03:04:05"})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 30.0, 0.0)})
    return exif


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("source", "ending"), [("tif", "tif"), ("jpg", "tif"), ("tif", "png"), ("tif", "webp")])
def test_exif_from_and_to_tiff(source: str, ending: str, bits: int, tmp_path: Path) -> None:
    path = save(tmp_path / f"a.{source}", exif=make_exif(orientation=6).tobytes())
    (written,) = run(path, f"format={ending}", f"bits={bits}", "pattern=b")
    photo = read_photo(written)
    assert photo.pixels.shape == (18, 12, 3) and photo.pixels.dtype == (np.uint8 if ending == "webp" else f"uint{bits}")
    with Image.open(path) as image:  # which Pillow turns as a TIFF, and not as a JPEG
        small = np.asarray(image.convert("RGB") if source == "tif" else image.transpose(Image.Transpose.ROTATE_270))
    assert np.array_equal(read_photo(path).pixels, small)
    with Image.open(written) as image:
        kept = image.getexif()
        assert kept[0x010F] == "a camera" and kept[0x0132] == "2020:01:02 03:04:05" and kept.get(0x0112, 1) == 1
        details, place = kept.get_ifd(0x8769), kept.get_ifd(0x8825)
    assert (details[0xA002], details[0xA003], float(details[0x829A])) == (12, 18, 0.01)
    assert details[0x9003] == "2020:01:02 03:04:05" and place[1] == "N" and place[2] == (48, 30, 0)


def test_text_in_exif_keeps_its_bytes(tmp_path: Path) -> None:
    exif, name = make_exif(), "Müller".encode()
    exif[0x013B] = exif[0x010E] = exif[0x0131] = exif.get_ifd(0x8769)[0xA434] = "M??ller"
    path = save(tmp_path / "a.jpg", exif=exif.tobytes().replace(b"M??ller", name))
    for step, options in enumerate(["tif bits=16", "tif bits=8", "png bits=16", "png bits=8", "webp", "jpg"]):
        (path,) = run(path, *f"format={options} factor=1 pattern={step}".split())
        assert path.read_bytes().count(name) == 4, options
    assert Upscaler(Bicubic(scale=2)).upscale(path).info["exif"].count(name) == 4


def test_the_thumbnail_of_the_small_picture_goes(tmp_path: Path) -> None:
    thumbnail = save(tmp_path / "t.jpg").read_bytes()
    tiff = make_exif().tobytes().removeprefix(b"Exif\0\0")
    order = "<" if tiff[:2] == b"II" else ">"
    end = 8 + 2 + 12 * struct.unpack_from(f"{order}H", tiff, 8)[0]  # where the next directory's address is
    tiff = tiff[:end] + struct.pack(f"{order}I", len(tiff)) + tiff[end + 4 :]
    address = len(tiff) + 2 + 2 * 12 + 4
    entries = [(0x0201, 4, 1, address), (0x0202, 4, 1, len(thumbnail))]
    second = struct.pack(f"{order}H", 2) + b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    path = save(tmp_path / "a.jpg", exif=b"Exif\0\0" + tiff + second + bytes(4) + thumbnail)
    with Image.open(path) as image:
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1)[0x0202] == len(thumbnail)
    (written,) = run(path)
    assert thumbnail not in written.read_bytes()
    with Image.open(written) as image:
        assert image.getexif()[0x010F] == "a camera" and not image.getexif().get_ifd(ExifTags.IFD.IFD1)


def test_ctrl_c_leaves_nothing_half_done(tmp_path: Path) -> None:
    for i in range(40):
        save(tmp_path / "in" / f"{i:02d}.png", np.random.default_rng(i).integers(0, 256, (400, 500, 3), dtype=np.uint8))
    argv = ["model=bicubic", "device=cpu", "scale=4", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}"]
    process = Forked("from sr_lightning.upscale import main; main()", *argv, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 300
        while not list((tmp_path / "out").glob("0*.png")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.returncode == 130 and "interrupted" in err and "Traceback" not in err
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files and len(files) < 40 and not any(name.startswith(".") for name in files)
    assert out.split() == [str(tmp_path / "out" / name) for name in files]
    for name in files:
        assert read_photo(tmp_path / "out" / name).pixels.shape == (1600, 2000, 3)


def test_one_picture_too_small_for_the_size_does_not_end_the_others(tmp_path: Path) -> None:
    for name, size in (("icon", (8, 8)), ("photo", (80, 60))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    with pytest.raises(SRError, match=r"icon.png: 8x8 pixels are 75 times too few for size=800x600"):
        upscale(compose("upscale", ["model=bicubic", f"input={tmp_path}", "size=800x600", "device=cpu"]))
    assert [path.name for path in tmp_path.glob("*_x*")] == ["photo_x10.png"]


def test_a_gif_and_a_png_of_one_name(tmp_path: Path) -> None:
    for ending in ("gif", "png"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"a.{ending}")
    with pytest.raises(SRError, match=r"a\.png: its result would have the name of that of a\.gif"):
        upscale(compose("upscale", ["model=bicubic", f"input={tmp_path}", "overwrite=true", "device=cpu"]))


def test_two_raw_files_of_one_name_do_not_stop_a_folder(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "raw/derived_dng/nikon_dsc1339_rggb.dng"
    for name in ("a.dng", "a.raw", "b.dng"):
        (tmp_path / name).symlink_to(source)
    with pytest.raises(SRError, match=r"1 of 3 .*\n.*a\.raw: its result would have the name of that of a\.dng"):
        run(tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {"a_x2.png", "b_x2.png"}


def test_damaged_metadata_does_not_cost_the_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "camera"
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=exif.tobytes())

    def damaged(*_: Any) -> bytes:
        raise TypeError("required argument is not an integer")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image.Exif, "tobytes", damaged)
        photo = read_photo(tmp_path / "a.jpg")
    assert photo.metadata.exif is None
    assert photo.pixels.shape == (6, 8, 3)


def test_a_folder_goes_on_where_memory_is_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of failures names the picture, whatever the library that ran out of memory says."""
    for name in ("a", "b"):
        Image.new("RGB", (9, 8)).save(tmp_path / f"{name}.png")
    real = Upscaler.photo

    def photo(self: Upscaler, photo: Photo, **options: Any) -> Photo:
        if photo.pixels.shape[0] == 8 and not seen:
            seen.append(1)
            raise MemoryError("Unable to allocate 3.35 GiB")
        return real(self, photo, **options)

    seen: list[int] = []
    monkeypatch.setattr(Upscaler, "photo", photo)
    with pytest.raises(SRError, match=r"a\.png: not enough memory for the result \(Unable to allocate"):
        upscale(compose("upscale", [f"input={tmp_path}", "model=bicubic", f"output={tmp_path}/out", "device=cpu"]))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b_x2.png"]


def test_the_longest_names_have_room(tmp_path: Path) -> None:
    name = 82 * "\u5b57" + ".png"
    Image.new("RGB", (9, 8)).save(tmp_path / name)
    upscale(compose("upscale", [f"input={tmp_path}", "model=bicubic", f"output={tmp_path}/out", "device=cpu"]))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [82 * "\u5b57" + "_x2.png"]


def test_a_name_for_the_results_is_no_other_network(tmp_path: Path) -> None:
    words = ["model=fsrcnn", "name=holiday", "device=cpu", "pattern=%name_%model", f"input={save(tmp_path / 'a.png')}"]
    assert upscale(compose("upscale", words))[0].name == "a_holiday.png"


def test_a_place_where_nothing_can_be_written_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before torch is imported, and once for a whole folder; a checkpoint that is not there, too."""
    monkeypatch.setitem(sys.modules, "sr_lightning.inference.files.jobs", None)  # it does not come that far
    picture = save(tmp_path / "in" / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(PictureError, match=r"file: nothing can be written here; choose another output="):
        run(tmp_path / "in", f"output={tmp_path}/file/below")
    with pytest.raises(PictureError, match=r"cannot be used \(File name too long\); choose another output="):
        run(picture, f"output={tmp_path}/{'x' * 300}")
    with pytest.raises(CheckpointError, match=r"absent\.ckpt: no such file of weights"):
        run(picture, "checkpoint=absent.ckpt")
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != picture.parent)
    with pytest.raises(PictureError, match="in: nothing can be written here"):
        run(picture)
