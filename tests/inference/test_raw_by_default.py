"""A RAW file that is named without a network goes to the one for mosaics, where that is measured to be better."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sr_lightning as sr
from sr_lightning.config import compose
from sr_lightning.data.files.io import read_photo
from sr_lightning.data.files.raw import Development, camera_rendering, read_raw, write_mosaic_dng
from sr_lightning.errors import ConfigError, SRError
from sr_lightning.upscale import upscale

CROP = slice(200, 264)


@pytest.fixture
def source(real_data: Path, tmp_path: Path) -> Path:
    raw = read_raw(real_data / "raw/derived_dng/nikon_dsc1339_gbrg.dng")
    write_mosaic_dng(tmp_path / "a.dng", raw.mosaic[:, CROP, CROP], pattern=raw.pattern, like=raw)
    return tmp_path / "a.dng"


def run(source: Path, *arguments: str) -> list[str]:
    return [path.name for path in upscale(compose("upscale", [f"input={source}", "device=cpu", *arguments]))]


def test_a_mosaic_goes_to_its_own_network_and_that_is_said(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source) == ["a_x2.png"]
    assert "a.dng: a Bayer mosaic: enlarged with rawsr_tiny, at least " in capsys.readouterr().err
    result = read_photo(source.with_name("a_x2.png")).pixels
    by_name = [*run(source, "model=rawsr_tiny", "pattern=%name_%model")]
    assert by_name == ["a_rawsr_tiny.png", "a_camera.png", "a_rawsr_tiny_bicubic.png"]
    assert np.array_equal(result, read_photo(source.with_name("a_rawsr_tiny.png")).pixels)
    camera = camera_rendering(source).astype(float)
    assert np.abs(result[::2, ::2] / 257.0 - camera).mean() < 6  # the colours are the camera's


@pytest.mark.parametrize(
    "typed", [["factor=3"], ["size=100x100"], ["colour=display_p3"], ["highlights=blend"], ["strength=0.5"],
              ["ensemble=mean"], ["model=span"], ["model=bicubic"]]
)  # fmt: skip
def test_what_it_cannot_follow_goes_to_networks_for_pictures(
    source: Path, typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(run(source, *typed)) == 1
    assert "rawsr_tiny" not in capsys.readouterr().err


def test_exposure_and_balance_reach_the_mosaic(source: Path) -> None:
    for name, typed in {"shot": [], "dark": ["exposure=-1"], "red": ["white_balance=8,1,1"]}.items():
        run(source, *typed, f"pattern={name}")
    shot, dark, red = (
        read_photo(source.with_name(f"{name}.png")).pixels.mean((0, 1)) for name in ("shot", "dark", "red")
    )
    assert (dark < 0.85 * shot).all() and red[0] / red[1] > 1.2 * shot[0] / shot[1]
    with pytest.raises(SRError, match="highlights=blend: is for networks that enlarge LibRaw's picture"):
        run(source, "model=rawsr_tiny", "highlights=blend", "overwrite=true")


def test_a_dng_in_the_cameras_colours(source: Path) -> None:
    assert run(source, "format=dng") == ["a_x2.dng"]
    run(source)
    again = camera_rendering(source.with_name("a_x2.dng"), bits=16).astype(float)
    assert np.abs(again - read_photo(source.with_name("a_x2.png")).pixels).mean() < 30


def test_in_python(source: Path) -> None:
    enlarged = sr.load("auto").upscale(source)
    run(source)
    assert np.abs(np.asarray(enlarged) * 257.0 - read_photo(source.with_name("a_x2.png")).pixels).max() <= 129
    assert np.array_equal(enlarged, sr.load("rawsr_tiny").upscale(source, factor=2))
    with pytest.raises(ConfigError, match="factor and size are for networks that enlarge pictures"):
        sr.load("rawsr_tiny").upscale(source, factor=3)


def test_networks_from_raw_to_raw_write_mosaics(source: Path) -> None:
    assert run(source, "model=packed_bicubic") == ["a_x2.dng"]
    small, large = read_raw(source), read_raw(source.with_name("a_x2.dng"))
    assert large.mosaic.shape[-1] == 2 * small.mosaic.shape[-1] and large.pattern == "RGGB"
    assert large.gains == pytest.approx(small.gains, rel=1e-4)
    before, after = camera_rendering(source).astype(float), camera_rendering(source.with_name("a_x2.dng"))
    assert np.abs(after.reshape(64, 2, 64, 2, 3).mean((1, 3)) - before).mean() < 4
    with pytest.raises(SRError, match="exposure=1: this network gives a mosaic, not developed; leave exposure= out"):
        run(source, "model=packed_bicubic", "exposure=1", "overwrite=true")
    with pytest.raises(SRError, match="format=png: this network gives a mosaic, which a DNG alone holds"):
        run(source, "model=packed_bicubic", "format=png")
    picture = source.with_name("b.png")
    picture.write_bytes(b"")
    with pytest.raises(SRError, match=r"b\.png: no camera's RAW file, which PackedBicubic reads"):
        run(picture, "model=packed_bicubic")


def test_advice_that_works(source: Path) -> None:
    with pytest.raises(SRError, match="leave model= out and say factor=3"):
        run(source, "model=rawsr_tiny", "scale=3")
    assert run(source, "factor=3") == ["a_x3.png"]
    with pytest.raises(ConfigError, match="colour=prophoto: a DNG holds the camera's own colours; leave colour= out"):
        run(source, "format=dng", "colour=prophoto")
    assert run(source, "format=tif", "colour=prophoto") == ["a_x2.tif"]


@pytest.mark.parametrize("model", [[], ["model=bicubic"], ["model=packed_bicubic"]])
def test_a_limit_of_memory_holds_for_raw_files(source: Path, model: list[str]) -> None:
    with pytest.raises(SRError, match=r"a.dng: 64x64 pixels .*need .* of memory, and memory=1e-05 allows less"):
        run(source, *model, "memory=0.00001")


@pytest.mark.parametrize("choice", [{"exposure": -1.0}, {"colour": "linear"}, {"colour": "display_p3"}])
def test_development_in_python_is_that_of_the_command(source: Path, choice: dict[str, Any]) -> None:
    run(source, *(f"{key}={value}" for key, value in choice.items()))
    enlarged = sr.load("auto").upscale([source], development=Development(**choice))[0]
    photo = read_photo(source.with_name("a_x2.png"))
    assert np.abs(np.asarray(enlarged) * 257.0 - photo.pixels).max() <= 257 * (1 if "exposure" in choice else 3)
    assert enlarged.info["icc_profile"] == photo.metadata.icc
