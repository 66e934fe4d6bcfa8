"""Folders: every picture becomes a result or a failure with its reason, and what cannot work is told first."""

import errno
import os
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from sr_lightning.config import compose
from sr_lightning.data.files.io import Photo, read_photo
from sr_lightning.errors import ConfigError, DataError, PictureError, SRError
from sr_lightning.inference.files.jobs import find_jobs
from sr_lightning.inference.memory import free_memory, refuse_without_room
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import Bicubic
from sr_lightning.upscale import upscale

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def save(path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PIXELS).save(path, **options)
    return path


def run(source: Path, *overrides: str) -> list[Path]:
    return upscale(compose("upscale", ["model=bicubic", "device=cpu", f'input="{source}"', *overrides]))


def bomb(path: Path, width: int = 3_000_000, height: int = 2_000_000) -> Path:
    """A BMP that declares a picture which it does not have."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    path.write_bytes(b"BM" + struct.pack("<IHHI", 100, 0, 0, 54) + header + bytes(64))
    return path


def test_nothing_that_is_called_or_begins_like_a_picture_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.jpg", "b.jfif", "c.jpe", "d.avif", "deep/e.jp2"):
        save(tmp_path / "in" / name)
    (tmp_path / "in" / "f").write_bytes((tmp_path / "in" / "a.jpg").read_bytes())
    (tmp_path / "in" / "g.psd").write_bytes(b"8BPS\0\1" + bytes(40))
    (tmp_path / "in" / "h.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    (tmp_path / "in" / "clip.mp4").write_bytes(b"a video")
    (tmp_path / "in" / "linked").symlink_to(tmp_path)
    with pytest.raises(SRError, match=r"2 of 8 pictures(.|\n)*g\.psd: a Photoshop(.|\n)*h\.png: no such file"):
        run(tmp_path / "in", f"output={tmp_path / 'out'}")
    written = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert written == ["a_x2.jpg", "b_x2.jfif", "c_x2.jpe", "d_x2.avif", "e_x2.png", "f_x2.png"]
    assert "in: left out: 1 linked folder and 1 video; name one as input=" in capsys.readouterr().err


def test_phone_pictures(cases: Path, tmp_path: Path) -> None:
    pytest.importorskip("pi_heif", reason='pip install "sr_lightning[heic]"')
    pytest.importorskip("pillow_jxl", reason='pip install "sr_lightning[jxl]"')
    assert len(run(cases / "phone", f"output={tmp_path}")) == 6


def test_a_picture_that_nothing_reads_is_no_twin(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "a.psd").write_bytes(b"8BPS\0\1" + bytes(40))
    assert len(find_jobs(compose("upscale", [f"input={tmp_path}"]))) == 2


def test_folders_that_cannot_be_looked_into_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "closed").mkdir()
    usual = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return usual(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(SRError, match=r"1 of 2 pictures(.|\n)*closed: a folder that cannot be looked into"):
        run(tmp_path / "in", f"output={tmp_path / 'out'}")
    assert (tmp_path / "out" / "a_x2.png").is_file()


def test_a_name_of_250_bytes_costs_itself_alone(tmp_path: Path) -> None:
    save(tmp_path / f"{'a' * 250}.png")
    save(tmp_path / "b.png")
    with pytest.raises(
        SRError, match=r"1 of 2 pictures(.|\n)*aaa_x2\.png: cannot be written \(File name too long\); choose"
    ):
        run(tmp_path)
    assert (tmp_path / "b_x2.png").is_file()
    assert run(tmp_path / f"{'a' * 250}.png", "pattern=short")[0].name == "short.png"  # the advice


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ENOSPC])
@pytest.mark.parametrize(
    "where", ["sr_lightning.data.files.io.Image.open", "sr_lightning.inference.files.enlarging.write_photo"]
)
def test_a_disk_that_fails_costs_one_picture(
    where: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        save(tmp_path / "in" / f"{name}.png")
    module, _, name = where.rpartition(".")
    usual = Image.open if name == "open" else sys.modules[module].write_photo

    def fails(path: Any, *rest: Any, **options: Any) -> Any:
        if "a" in Path(path).stem:
            raise OSError(code, os.strerror(code), str(path))
        return usual(path, *rest, **options)

    monkeypatch.setattr(where, fails)
    with pytest.raises(SRError, match=rf"1 of 2 pictures(.|\n)*{os.strerror(code)}") as caught:
        run(tmp_path / "in", f"output={tmp_path / 'out'}")
    assert str(caught.value).count("\n") == 1 and (tmp_path / "out" / "b_x2.png").is_file()


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = bomb(tmp_path / "a.bmp")
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    need = (
        r"a\.bmp: 3000000x2000000 pixels and 6000000x4000000 of its result need 90000\.0 GB of memory, and .*are free"
    )
    for way in (lambda: run(source), lambda: Upscaler(Bicubic(scale=2)).upscale(source)):
        with pytest.raises(SRError, match=need + "; memory=90001 allows"):
            way()
    with pytest.raises(PictureError, match=r"need 18000\.0 GB of memory, and memory=5 allows less"):
        refuse_without_room(source, memory=5)
    refuse_without_room(source, memory=18001)  # the advice
    with pytest.raises(PictureError, match="cannot be decoded"):
        Upscaler(Bicubic(scale=2)).upscale(source, memory=90001)
    for wrong in (0, True, "much"):
        with pytest.raises(ConfigError, match=r"memory=.*: must be a number of GB"):
            refuse_without_room(source, memory=wrong)  # type: ignore[arg-type]
    assert 1e6 < free_memory() < 1e15


def test_bombs_of_strangers(cases: Path) -> None:
    for path in (cases / "bombs").iterdir():
        with pytest.raises(PictureError, match=r"need \d+\.\d GB of memory, and memory=2 allows less"):
            refuse_without_room(path, memory=2)


def test_the_memory_of_a_result_counts_too(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png")
    with pytest.raises(SRError, match=r"9x6 pixels and 288x192 of its result need 166 kB.*memory=1e-05 allows less"):
        run(source, "factor=32", "memory=1e-5")
    assert run(source, "factor=32", "memory=1")


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Upscaler, "photo", None)
    Image.new("RGBA", (9, 6), (1, 2, 3, 4)).save(tmp_path / "a.png")
    with pytest.raises(SRError, match=r"a_x2\.jpg: this format holds no transparency; choose format=png"):
        run(tmp_path / "a.png", "format=jpg")
    Image.new("L", (40_000, 1)).save(tmp_path / "b.png")
    with pytest.raises(SRError, match=r"80000x2 pixels, and jpg holds 65500"):
        run(tmp_path / "b.png", "format=jpg")


def test_a_missing_input_is_told_before_torch_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sr_lightning.inference.files.jobs", "sr_lightning.inference.loading"):
        monkeypatch.setitem(sys.modules, module, None)  # importing it fails
    for given in ("nowhere.png", "no*.png", f"{'a' * 300}.png"):
        with pytest.raises(DataError, match=r"no such picture|File name too long"):
            run(tmp_path / given)


def test_an_opaque_channel_is_no_hindrance(tmp_path: Path) -> None:
    Image.new("RGBA", (9, 6), (1, 2, 3, 255)).save(tmp_path / "a.png")
    assert read_photo(run(tmp_path / "a.png", "format=jpg")[0]).alpha is None


def test_what_the_result_is_without_is_told_once(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    save(tmp_path / "a.jpg", comment=b"a comment")
    run(tmp_path / "a.jpg", "format=webp")
    assert [str(w.message) for w in recwarn] == [f"{tmp_path / 'a.jpg'}: the result is without its comment"]


@pytest.mark.parametrize("quality", ["0", "101", "high", "true"])
def test_quality_is_a_number(quality: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"quality=(?i:{quality}): must be a whole number from 1 to 100"):
        run(save(tmp_path / "a.jpg"), f"quality={quality}")
    assert (
        run(tmp_path / "a.jpg", "quality=5")[0].stat().st_size < run(tmp_path / "a.jpg", "pattern=b")[0].stat().st_size
    )


def test_public_functions_take_words(tmp_path: Path) -> None:
    from sr_lightning.data.files.io import find_pictures, picture_size, read_picture, write_picture
    from sr_lightning.data.files.writing import write_photo

    name = str(tmp_path / "a.png")
    write_picture(name, PIXELS)
    write_photo(name, Photo(PIXELS))
    assert picture_size(name) == (6, 9) and read_picture(name).shape == read_photo(name).pixels.shape
    assert find_pictures(str(tmp_path)) == [Path(name)]
    assert Upscaler(Bicubic(scale=2)).accepts(name)


def test_pipes_in_a_folder_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    (job,) = find_jobs(compose("upscale", [f"input={tmp_path}"]))
    assert job.source.name == "a.png" and "left out: 1 special file" in capsys.readouterr().err


@pytest.mark.parametrize("size", [(50_000, 6), (250_000, 1)])
def test_large_pictures_of_few_rows(size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", (size[0] // 2, size[1])).save(tmp_path / "a.png")
    (written,) = upscale(
        compose("upscale", [f"input={tmp_path / 'a.png'}", "model=bicubic", f"size={size[0]}x{2 * size[1]}"])
    )
    assert read_photo(written).pixels.shape[:2] == (2 * size[1], size[0])


def test_all_missing_names_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "there.png").touch()
    names = [str(tmp_path / name) for name in ("there.png", "gone.png", "lost.png")]
    with pytest.raises(DataError, match=r"gone\.png: no such picture(.|\n)*lost\.png: no such picture"):
        upscale(compose("upscale", [f"input=[{','.join(names)}]"]))
