"""Animations and files of several pages through the command: what goes in comes out, larger."""

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw, ImageSequence

from running import run_here
from sr_lightning.config import compose
from sr_lightning.data.files.io import Photo
from sr_lightning.errors import ConfigError, SRError
from sr_lightning.inference.files.animations import several_of
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import Bicubic
from sr_lightning.upscale import upscale

UPSCALER = Upscaler(Bicubic(scale=2))
TIMES = [40, 120, 70, 200]


def drawn(transparent: bool = False) -> list[Image.Image]:
    rng = np.random.default_rng(1)
    ground = Image.fromarray(rng.integers(0, 256, (14, 18, 3), dtype=np.uint8))
    frames = []
    for number in range(4):
        frame = Image.new("RGBA", (18, 14)) if transparent else ground.convert("RGBA")
        ImageDraw.Draw(frame).ellipse((number * 3, 2, number * 3 + 7, 9), fill=(250, 20 * number, 0, 255))
        frames.append(frame if transparent else frame.convert("RGB"))
    return frames


def save(path: Path, frames: list[Image.Image] | None = None, **options: Any) -> Path:
    first, *others = frames or drawn()
    first.save(path, save_all=True, append_images=others, **options)
    return path


def run(source: Path | str, *overrides: str) -> list[Path]:
    return upscale(compose("upscale", ["model=bicubic", "device=cpu", f'input="{source}"', *overrides]))


def frames_of(path: Path) -> list[np.ndarray]:
    with Image.open(path) as image:
        return [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]


def enlarged(frame: np.ndarray) -> np.ndarray:
    alpha = frame[..., 3:] if frame[..., 3].min() < 255 else None
    photo = UPSCALER.photo(Photo(frame[..., :3], alpha))
    opaque = np.full((*photo.pixels.shape[:2], 1), 255, np.uint8)
    return np.concatenate([photo.pixels, opaque if photo.alpha is None else photo.alpha], axis=-1)


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("ending", ["png", "webp"])
def test_frames_are_the_enlarged_frames(ending: str, transparent: bool, tmp_path: Path) -> None:
    options = {"lossless": True} if ending == "webp" else {"disposal": 1}
    source = save(tmp_path / f"a.{ending}", drawn(transparent), duration=TIMES, loop=3, **options)
    (written,) = run(source)
    assert written.name == f"a_x2.{ending}"
    for before, after in zip(frames_of(source), frames_of(written), strict=True):
        wanted = enlarged(before)
        np.testing.assert_array_equal(wanted * (wanted[..., 3:] > 0), after * (after[..., 3:] > 0))
    with Image.open(written) as image:
        assert image.info["loop"] == 3
        assert [frame.load() and frame.info["duration"] for frame in ImageSequence.Iterator(image)] == TIMES


def test_a_gif_stays_one_near_its_enlarged_frames(tmp_path: Path) -> None:
    source = save(tmp_path / "a.gif", drawn(True), duration=TIMES, loop=2, disposal=2, comment=b"hello")
    (written,) = run(source)
    assert written.name == "a_x2.gif"
    for before, after in zip(frames_of(source), frames_of(written), strict=True):
        wanted = enlarged(before)
        np.testing.assert_array_equal(after[..., 3] == 255, wanted[..., 3] >= 128)
        assert np.abs(wanted[..., :3].astype(int) - after[..., :3])[after[..., 3] == 255].mean() < 4
    with Image.open(written) as image:
        assert (image.info["loop"], image.info["comment"]) == (2, b"hello")
        assert [frame.info["duration"] for frame in ImageSequence.Iterator(image)] == TIMES


def test_pages_keep_their_sizes_depths_and_resolutions(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    pages = [rng.integers(0, 65536, (9, 12, 3), np.uint16), rng.integers(0, 256, (7, 5), np.uint8)]
    pages.append(rng.integers(0, 256, (6, 6, 4), np.uint8))
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for number, page in enumerate(pages):
            file.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", resolution=(300 + number,) * 2,
                       resolutionunit=2, extrasamples=["unassalpha"] if page.shape[-1] == 4 else None,
                       metadata=None)  # fmt: skip
    (written,) = run(tmp_path / "a.tif")
    with tifffile.TiffFile(written) as file:
        assert len(file.pages) == 3
        for number, (page, after) in enumerate(zip(pages, file.pages, strict=True)):
            values = page if page.ndim == 3 else page[..., None]
            photo = UPSCALER.photo(Photo(values[..., :3], values[..., 3:] if values.shape[-1] == 4 else None))
            found: Any = after.asarray()
            np.testing.assert_array_equal(found[..., :3] if page.ndim == 3 else found[..., None], photo.pixels)
            assert found.dtype == page.dtype and after.tags[282].value == (300 + number, 1)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("pages", "ending", "count"),
    [("all", "gif", 4), ("2-3", "gif", 2), ("3", "png", 1), ("first", "png", 1), ("last", "png", 1), ("1-1", "png", 1)],
)
def test_pages_picks(pages: str, ending: str, count: int, tmp_path: Path) -> None:
    source = save(tmp_path / "a.gif", duration=TIMES)
    (written,) = run(source, f"pages={pages}")
    first = {"2-3": 1, "3": 2, "last": 3}.get(pages, 0)
    found = frames_of(written)
    assert written.name == f"a_x2.{ending}" and len(found) == count
    if count == 1:
        np.testing.assert_array_equal(found[0], enlarged(frames_of(source)[first]))


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "avif", "tif"])
def test_an_animation_in_another_format(ending: str, tmp_path: Path) -> None:
    source = save(tmp_path / "a.webp", duration=TIMES, loop=0, lossless=True)
    if ending == "tif":
        with pytest.warns(UserWarning, match=r"a\.webp: the result is without the times of its frames"):
            (written,) = run(source, f"format={ending}")
    else:
        (written,) = run(source, f"format={ending}")
    assert written.name == f"a_x2.{ending}" and len(frames_of(written)) == 4


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("a.gif", ["format=jpg"], "holds 4 frames, and a jpg holds one; choose pages=first, or format=gif, png"),
        ("a.tif", ["format=png"], "holds 4 pages, and a png holds one; choose pages=first, or format=tif"),
        ("a.gif", ["pages=5"], "holds 4 pictures, and pages=5 is not among them; choose pages=last or all"),
        ("a.gif", ["pages=3-5"], "pages=3-5 is not among them"),
        ("a.webp", ["memory=500kB"], "memory=500kB: must be"),
        ("a.webp", ["memory=0.000001"], r"a\.webp: 18x14 pixels and 36x28 of its result need"),
        ("a.tif", ["memory=0.000001"], "pixels and 36x28 of its result need"),
        ("a.gif", ["model=zssr"], r"zero-shot training takes minutes for each of its pictures; .* or pages=first"),
    ],
)
def test_what_cannot_be_is_one_sentence(name: str, overrides: list[str], message: str, tmp_path: Path) -> None:
    source = save(tmp_path / name)
    with pytest.raises(SRError, match=message):
        run(source, *overrides)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("pages", ["0", "x", "3-2", "-1", "1,2"])
def test_pages_that_are_none(pages: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be all, first, last, a number from 1 on, or a range such as 2-5"):
        run(save(tmp_path / "a.gif"), f"pages='{pages}'")


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif", "a.avif"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_nothing_is_left_of_what_ends_early(
    name: str, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, usual, calls = save(tmp_path / name), Upscaler.photo, 0

    def third_fails(self: Upscaler, *args: Any, **options: Any) -> Photo:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise error
        return usual(self, *args, **options)

    monkeypatch.setattr(Upscaler, "photo", third_fails)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else SRError):
        run(source)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_frame_of_another_size_than_its_canvas_is_checked_too(tmp_path: Path) -> None:
    """A few bytes may declare a frame of 4 gigapixels."""
    data = bytearray(save(tmp_path / "a.gif").read_bytes())
    place = data.rfind(b"\x21\xf9\x04") + 8
    assert data[place] == ord(",")
    data[place + 5 : place + 9] = struct.pack("<HH", 65535, 65535)
    (tmp_path / "a.gif").write_bytes(data)
    with pytest.raises(SRError, match=r"a\.gif, frame 4: 65535x65535 pixels need 12\.9 GB of memory"):
        run(tmp_path / "a.gif", "memory=1")


def test_a_damaged_one_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    save(tmp_path / "in/a.gif")
    save(tmp_path / "in/b.png")
    data = save(tmp_path / "in/c.gif").read_bytes()
    (tmp_path / "in/c.gif").write_bytes(data[:-300])
    drawn()[0].save(tmp_path / "in/d.png")
    result = run_here("upscale", "in", "model=bicubic", "device=cpu", "-o", "out", cwd=tmp_path)
    assert result.returncode == 1 and "c.gif: is damaged (it ends within frame" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_x2.gif", "b_x2.png", "d_x2.png"]


def test_names_beside_each_other(tmp_path: Path) -> None:
    """An animated GIF stays a GIF; a still one becomes a PNG, as does its first frame."""
    save(tmp_path / "a.gif")
    drawn()[0].save(tmp_path / "a.png")
    assert {path.name for path in run(tmp_path)} == {"a_x2.gif", "a_x2.png"}
    with pytest.raises(SRError, match=r"its result would have the name of that of a\.gif"):
        run(tmp_path, "pages=first", "overwrite=true")


def test_a_warning_names_its_frames_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Upscaler.photo

    def warns(self: Upscaler, *args: Any, **options: Any) -> Photo:
        self.on_warning("something is odd")
        return usual(self, *args, **options)

    monkeypatch.setattr(Upscaler, "photo", warns)
    with pytest.warns(UserWarning, match=r"a\.gif: 4 frames, the first of them 1: something is odd"):
        run(save(tmp_path / "a.gif"))


def test_from_python_the_first_comes_with_a_warning(tmp_path: Path) -> None:
    source = save(tmp_path / "a.gif")
    with pytest.warns(UserWarning, match=r"a\.gif: holds 4 frames; the result is the first"):
        large = UPSCALER.upscale(source)
    np.testing.assert_array_equal(np.asarray(large.convert("RGBA")), enlarged(frames_of(source)[0]))
    with Image.open(source) as image:
        every = [UPSCALER.upscale(frame) for frame in ImageSequence.Iterator(image)]
    assert len(every) == 4


def test_progress_runs_once_over_all_frames(tmp_path: Path) -> None:
    from sr_lightning.inference.files.enlarging import upscale_file
    from sr_lightning.inference.files.targets import Job

    told: list[float] = []
    cfg = compose("upscale", ["model=bicubic"])
    upscale_file(Job(save(tmp_path / "a.png"), tmp_path), UPSCALER, cfg, told.append)
    assert told == sorted(told) and told[-1] == 1 and len(set(told)) >= 4


def test_metadata_of_an_animated_png(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", dpi=(300, 300), icc_profile=b"profile" * 30)
    data = source.read_bytes()
    text = b"tEXtTitle\0a ball"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    source.write_bytes(data[:33] + chunk + data[33:])
    (written,) = run(source)
    with Image.open(written) as image:
        image.load()
        assert image.info["Title"] == "a ball" and image.info["icc_profile"] == b"profile" * 30
        assert round(image.info["dpi"][0]) == 300 and image.n_frames == 4  # type: ignore[attr-defined]


def test_a_raw_file_has_no_pages(tmp_path: Path) -> None:
    """Cameras chain a thumbnail and the mosaic, as pages of a TIFF are chained."""
    from sr_lightning.inference.files.uploads import page_sizes

    source, cfg = tmp_path / "a.tif", compose("upscale", [])
    tifffile.imwrite(source, np.zeros((2, 9, 9), np.uint8), photometric="minisblack")
    assert several_of(source, cfg) and len(page_sizes(source)) == 2
    raw = source.rename(tmp_path / "a.dng")
    assert several_of(raw, cfg) is None and not page_sizes(raw)


def test_the_network_is_chosen_for_the_largest_factor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factors = []

    def chosen_for(self: Upscaler, photos: object, factor: float) -> Upscaler:
        factors.append(factor)
        return self

    monkeypatch.setattr(Upscaler, "chosen_for", chosen_for)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for side in (10, 40, 20, 40):
            file.write(np.zeros((side, side, 3), np.uint8), photometric="rgb")
    run(tmp_path / "a.tif", "pages=2-4", "size=80x80")
    assert factors == [4]


@pytest.mark.parametrize(("ending", "told"), [("gif", True), ("webp", False), ("png", False)])
def test_times_that_a_format_cannot_hold_are_told(ending: str, told: bool, tmp_path: Path) -> None:
    source = save(tmp_path / "a.webp", duration=[100, 700_000, 100, 100])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        (result,) = run(source, f"format={ending}", "overwrite=true")
    assert any("the result is without times of frames beyond 655.35 s" in str(line.message) for line in said) == told
    with Image.open(result) as image:
        image.seek(1)
        image.load()
        assert image.info["duration"] == (655_350 if told else 700_000)
