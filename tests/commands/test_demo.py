"""The page enlarges as the command does, refuses what is too large before it is decoded, and leaves nothing behind."""

import io
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig
from PIL import Image, ImageCms

from running import run_here
from sr_lightning.config import compose
from sr_lightning.data.files.io import read_photo
from sr_lightning.data.files.raw import camera_rendering, raw_size
from sr_lightning.demo_page import work
from sr_lightning.demo_page.networks import Network, offered_networks
from sr_lightning.demo_page.sessions import Sessions, Stopped
from sr_lightning.errors import PictureError, SRError
from sr_lightning.upscale import upscale
from sr_lightning.weights.shipped import weights_file


@pytest.fixture(scope="module")
def cfg() -> DictConfig:
    return compose("demo", ["device=cpu"])


@pytest.fixture(scope="module")
def networks(cfg: DictConfig) -> dict[str, Network]:
    return offered_networks(cfg)


def scene(height: int = 40, width: int = 52, top: int = 255) -> np.ndarray:
    y, x, c = np.mgrid[:height, :width, :3]
    return ((np.sin(x / 3 + c) * np.cos(y / 4) / 2 + 0.5) * top).round()


def photograph(path: Path) -> Path:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", 6
    Image.fromarray(scene().astype(np.uint8)).save(path, quality=95, icc_profile=profile, exif=exif.tobytes())
    return path


def deep(path: Path) -> Path:
    import cv2

    cv2.imwrite(str(path), scene(top=65535).astype(np.uint16))
    return path


def transparent(path: Path) -> Path:
    pixels = np.concatenate([scene(), scene()[..., :1]], axis=-1).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def run(source: Path, folder: Path, networks: dict[str, Network], cfg: DictConfig, **options: Any) -> work.Result:
    folder.mkdir(exist_ok=True)
    given = {"name": "fsrcnn", "scale": 2, "on_progress": lambda done: None} | options
    return work.enlarge(source, folder, networks[given["name"]], networks["bicubic"], cfg, **given)


@pytest.mark.parametrize(
    ("make", "name", "options", "overrides"),
    [
        (photograph, "a.jpg", {}, ()),
        (deep, "a.png", {"ending": "tif"}, ("format=tif",)),
        (transparent, "a.png", {"name": "bicubic"}, ("model=bicubic",)),
        (photograph, "a.jpg", {"wanted": "2.5", "ending": "png"}, ("factor=2.5", "format=png")),
        (photograph, "a.jpg", {"wanted": "100 × 90", "ensemble": True}, ("size=100x90", "ensemble=mean")),  # noqa: RUF001
    ],
)
def test_the_page_writes_what_the_command_writes(
    make: Any, name: str, options: dict[str, Any], overrides: tuple[str, ...], tmp_path: Path,
    networks: dict[str, Network], cfg: DictConfig,
) -> None:  # fmt: skip
    source = make(tmp_path / name)
    result = run(source, tmp_path / "page", networks, cfg, **options)
    (expected,) = upscale(
        compose(
            "upscale",
            ["model=fsrcnn", f"input={source}", f"output={tmp_path}/command", "device=cpu", *overrides],
        )
    )
    assert result.target.name == expected.name
    assert result.target.read_bytes() == expected.read_bytes()
    before, after = Image.open(result.before), Image.open(result.after)
    assert before.size == after.size == read_photo(expected).pixels.shape[1::-1]
    assert before.info.get("icc_profile") == after.info.get("icc_profile") == Image.open(source).info.get("icc_profile")
    difference = np.abs(np.asarray(before.convert("RGB")).astype(int) - np.asarray(after.convert("RGB")))
    assert difference.mean() < 12  # the same picture at the same place


def test_raw_files(tmp_path: Path, networks: dict[str, Network], cfg: DictConfig, real_data: Path) -> None:
    source = real_data / "raw" / "derived_dng" / "nikon_dsc1339_rggb.dng"
    assert raw_size(source) == camera_rendering(source).shape[:2]
    result = run(source, tmp_path / "page", networks, cfg, name="bicubic")
    (expected, *_) = upscale(
        compose("upscale", ["model=bicubic", f"input={source}", f"output={tmp_path}/command", "device=cpu"])
    )
    assert result.target.read_bytes() == expected.read_bytes()
    assert result.target.suffix == ".png" and read_photo(result.target).pixels.dtype == np.uint16
    assert any("16 bit PNG" in fact for fact in result.facts)
    assert max(Image.open(work.preview(source, tmp_path / "page")).size) <= work.PREVIEW


def test_large_results_are_shown_smaller_and_side_by_side(
    tmp_path: Path, networks: dict[str, Network], cfg: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "VIEW_MEGAPIXELS", 0.002)
    result = run(photograph(tmp_path / "a.jpg"), tmp_path / "page", networks, cfg)
    assert Image.open(result.before).size == Image.open(result.after).size == (39, 51)
    assert Image.open(result.target).size == (80, 104)


def header(path: Path, width: int, height: int) -> Path:
    """A PNG that ends after its header: who decodes it, fails otherwise."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    ending = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + ending
    )
    return path


def test_limits_are_those_of_the_header(tmp_path: Path, networks: dict[str, Network], cfg: DictConfig) -> None:
    large = header(tmp_path / "large.png", 8000, 7000)
    with pytest.raises(
        PictureError, match=r"large\.png: has 8000 . 7000 pixels, 56\.0 megapixels, and this page takes 50"
    ):
        work.check_upload(large, cfg)
    bomb = header(tmp_path / "bomb.png", 60000, 60000)
    with pytest.raises(PictureError, match=r"bomb\.png"):
        work.check_upload(bomb, cfg)
    fits = tmp_path / "fits.png"
    Image.new("1", (6000, 5000)).save(fits)
    assert work.check_upload(fits, cfg) == (5000, 6000)
    with pytest.raises(PictureError, match="truncated"):
        work.check_upload(header(tmp_path / "half.png", 6000, 5000), cfg)
    with pytest.raises(PictureError, match=r"The result would have 12000 . 10000 pixels, 120\.0 megapixels"):
        run(fits, tmp_path / "page", networks, cfg)
    with pytest.raises(PictureError, match=r"fits.png: has 2 MB, and this page takes 1\.5 MB at most"):
        fits.write_bytes(fits.read_bytes() + bytes(2_000_000))
        work.check_upload(fits, compose("demo", ["max_upload_mb=1.5"]))


@pytest.mark.parametrize("wanted", ["large", "0", "-2", "3x", "10xx", "65", "1e400"])
def test_sizes_that_cannot_be(wanted: str, tmp_path: Path, networks: dict[str, Network], cfg: DictConfig) -> None:
    source = photograph(tmp_path / "a.jpg")
    if wanted == "3x":
        assert run(source, tmp_path / "page", networks, cfg, wanted=wanted).target.name == "a_x3.jpg"
        return
    with pytest.raises(SRError) as error:
        run(source, tmp_path / "page", networks, cfg, wanted=wanted)
    assert "\n" not in str(error.value)


def test_a_gif_is_for_animations(tmp_path: Path, networks: dict[str, Network], cfg: DictConfig) -> None:
    with pytest.raises(SRError, match=r"a\.jpg: holds one picture, and GIF is for animations; choose another file"):
        run(photograph(tmp_path / "a.jpg"), tmp_path / "page", networks, cfg, ending="gif")


def test_work_stops_between_tiles(tmp_path: Path, networks: dict[str, Network], cfg: DictConfig) -> None:
    told = []

    def on_progress(done: float) -> None:
        told.append(done)
        if done > 0:
            raise Stopped("enough")

    in_tiles = {**networks, "fsrcnn": Network(networks["fsrcnn"].with_options(tile=32), (2,))}
    with pytest.raises(Stopped):
        run(photograph(tmp_path / "a.jpg"), tmp_path / "page", in_tiles, cfg, on_progress=on_progress)
    assert len(told) == 2 and told[1] < 1  # of four tiles
    assert not any((tmp_path / "page").iterdir())


def test_files_go_with_their_page(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, keep=100)
    shared, own = tmp_path / "shared.png", tmp_path / "own.png"
    for path in (shared, own):
        path.write_bytes(b"")
    one, two = sessions.of("one"), sessions.of("two")
    one.uploads |= {shared, own}
    two.uploads |= {shared}
    (one.folder / "result.png").write_bytes(b"")
    assert sessions.of("one") is one and one.folder != two.folder
    sessions.close("one")
    assert one.stop.is_set() and not two.stop.is_set()
    assert not own.exists() and shared.exists() and not one.folder.exists()
    (two.folder / "result.png").write_bytes(b"")
    sessions.sweep()
    assert (two.folder / "result.png").exists()
    sessions.keep = -1
    sessions.sweep()
    assert not shared.exists() and not two.folder.exists()


def test_jobs_have_folders_of_their_own(tmp_path: Path) -> None:
    session = Sessions(tmp_path, keep=100).of("a page")
    with session.job("result") as first:
        (first / "result.png").write_bytes(b"")
        with session.job("preview") as other, session.job("preview") as failed:
            assert len({first, other, failed}) == 3 and (first / "result.png").exists()
        with pytest.raises(Stopped), session.job("result") as failed:
            raise Stopped("enough")
        assert not failed.exists() and first.exists()
    with session.job("result") as second:
        assert first.exists()  # the page shows it still
    assert second.exists() and not first.exists()


def test_what_comes_after_the_page_closed_leaves_nothing(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, keep=100)
    session, upload = sessions.of("a page"), sessions.uploads / "late.png"
    with pytest.raises(Stopped, match="This page was closed"), session.job("result") as folder:
        sessions.close("a page")
        (folder / "result.png").write_bytes(b"")  # fails as its folder is gone
    with pytest.raises(Stopped), session.job("result") as folder:
        pass
    with sessions.of("another").job("result") as folder:
        sessions.stop("another")
    upload.write_bytes(b"")
    with pytest.raises(Stopped, match="reload it"):
        sessions.of("a page", upload)
    assert not upload.exists() and list(sessions.results.iterdir()) == [folder.parent]
    with pytest.raises(Stopped), sessions.of("another").job("result") as folder:
        sessions.close("another")
        folder.mkdir(parents=True)  # as what writes results does
    assert not any(sessions.results.iterdir())


def test_a_network_of_ones_own_comes_first() -> None:
    offered = offered_networks(compose("demo", [f"checkpoint={weights_file('span', 3)}", "device=cpu"]))
    assert next(iter(offered)) == "span_x3" and offered["span_x3"].scales == (3,)
    assert {"fsrcnn", "bicubic"} < set(offered)
    published = offered_networks(compose("demo", ["model=span", f"weights={weights_file('span', 4)}", "scale=4"]))
    assert next(iter(published.values())).upscaler(4).model.scale == 4


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_here("demo", f"port={port}", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: host=127.0.0.1 port={port}: cannot listen there")
    assert len(io.StringIO(ended.stderr).readlines()) == 1


def test_a_picture_whose_colours_jpeg_cannot_name_is_shown_as_png(tmp_path: Path) -> None:
    chunk = b"gAMA" + struct.pack(">I", 100000)
    Image.new("RGB", (9, 6)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(
        data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    )
    shown = work.preview(tmp_path / "a.png", tmp_path)
    assert shown.suffix == ".png" and read_photo(shown).metadata.chunks == ((b"gAMA", chunk[4:]),)
