import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sr_lightning.config import compose
from sr_lightning.data.files.io import Photo, read_photo
from sr_lightning.data.files.photographs import photograph
from sr_lightning.errors import ConfigError
from sr_lightning.inference.auto import AutoUpscaler
from sr_lightning.inference.condition import Condition, condition_of
from sr_lightning.inference.loading import load, load_upscaler
from sr_lightning.train import train
from sr_lightning.upscale import upscale

ASTRONAUT = np.asarray(Image.open(photograph("astronaut.png")).resize((256, 256), Image.Resampling.BICUBIC))


def noisy(sigma: float) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, sigma, ASTRONAUT.shape)
    return (ASTRONAUT + noise).round().clip(0, 255).astype(np.uint8)


def jpeg(quality: int) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(ASTRONAUT).save(file, "JPEG", quality=quality)
        return file.getvalue()


@pytest.fixture
def auto() -> AutoUpscaler:
    upscaler = load("auto", 2, device="cpu", precision="float32")
    assert isinstance(upscaler, AutoUpscaler)
    return upscaler


@pytest.mark.parametrize("sigma", [5, 10, 20, 40])
def test_noise_is_estimated(sigma: float) -> None:
    assert condition_of([Photo(noisy(sigma))]).noise == pytest.approx(sigma, rel=0.3)


def test_a_clean_picture_has_little_noise() -> None:
    assert condition_of([Photo(ASTRONAUT)]).noise < 2


@pytest.mark.parametrize("quality", [30, 60])
def test_compression_is_estimated_without_a_table(quality: int) -> None:
    decoded = np.asarray(Image.open(io.BytesIO(jpeg(quality))))
    assert condition_of([Photo(decoded)]).quality == pytest.approx(quality, abs=20)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (33, 20)])
def test_any_size_has_a_condition(size: tuple[int, int]) -> None:
    assert np.isfinite(condition_of([Photo(np.full((*size, 1), 90, np.uint16))]).noise)


def test_the_network_follows_the_picture(auto: AutoUpscaler) -> None:
    auto.upscale(ASTRONAUT)
    assert auto.noted is not None
    assert "enlarged with span" in auto.noted
    auto.upscale(noisy(20))
    assert "enlarged with photo" in auto.noted


def test_the_table_of_a_jpeg_tells(auto: AutoUpscaler) -> None:
    auto.upscale(jpeg(40))
    assert auto.noted is not None
    assert "JPEG of quality 40: enlarged with photo" in auto.noted


def test_the_result_is_that_of_the_network(auto: AutoUpscaler) -> None:
    picture = noisy(20)
    chosen = load("photo", 2, device="cpu", precision="float32")
    assert np.array_equal(auto.upscale(picture), chosen.upscale(picture))


def test_every_scale_of_the_clean_network_is_there_for_the_other() -> None:
    """photo is not shipped for x3: its x4 is reduced."""
    picture = noisy(20)[:60, :80]
    assert load("auto", 3, device="cpu", precision="float32").upscale(picture).shape == (180, 240, 3)


def test_frames_of_one_clip_get_one_network(auto: AutoUpscaler) -> None:
    chosen = auto.chosen_for(Photo(noisy(20)) for _ in range(3))
    assert not isinstance(chosen, AutoUpscaler)
    assert chosen.photo(Photo(ASTRONAUT)).pixels.shape == (512, 512, 3)


def test_the_command_says_which_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.jpg").write_bytes(jpeg(30))
    (tmp_path / "new.png").write_bytes(_png(ASTRONAUT))
    upscale(compose("upscale", [f"input={tmp_path}", "device=cpu"]))
    said = capsys.readouterr().err
    assert "old.jpg: noise" in said
    assert "enlarged with photo" in said
    assert "new.png: noise" in said
    assert "enlarged with span" in said
    assert read_photo(tmp_path / "old_x2.jpg").pixels.shape == (512, 512, 3)


def test_a_typed_size_is_kept(tmp_path: Path) -> None:
    (tmp_path / "old.jpg").write_bytes(jpeg(30))
    written = upscale(compose("upscale", [f"input={tmp_path / 'old.jpg'}", "size=640x900", "model=auto", "device=cpu"]))
    assert read_photo(written[0]).pixels.shape == (640, 640, 3)


def test_weights_leave_nothing_to_choose(tmp_path: Path) -> None:
    assert not isinstance(load_upscaler(compose("upscale", ["weights=espcn", "device=cpu"])), AutoUpscaler)


def test_there_is_no_training_it() -> None:
    with pytest.raises(ConfigError, match="here, type model=span or model=photo"):
        train(compose("train", ["model=auto", "data=samples"]))


@pytest.mark.parametrize(
    ("quality", "gain", "photo"), [(79, -0.1, True), (81, -0.1, False), (79, -0.3, False), (95, 0.1, True)]
)
def test_a_strong_jpeg_is_restored_where_that_costs_little(quality: float, gain: float, photo: bool) -> None:
    assert Condition(noise=1, quality=quality, gains=(gain, 0.0)).is_for_photo(2) is photo


def test_drawings_text_and_plain_pictures_are_clean() -> None:
    """Lossless ones: JPEG leaves traces beside every edge."""
    page = Image.new("RGB", (320, 200), "white")
    ImageDraw.Draw(page).text(
        (20, 20), "Words in black\nand more of them", fill="black", font=ImageFont.load_default(32)
    )
    drawn = np.asarray(page)
    for picture in (drawn, drawn[::2, ::2], np.full((200, 200, 3), 255, np.uint8)):
        assert not condition_of([Photo(picture)]).is_for_photo(2)
    with io.BytesIO() as file:
        page.save(file, "JPEG", quality=30)
        assert not condition_of([Photo(np.asarray(Image.open(file)))]).drawn


def test_arrays_of_channels_first_are_looked_at_too(auto: AutoUpscaler) -> None:
    assert auto.array(noisy(20).transpose(2, 0, 1)).shape == (3, 512, 512)
    assert auto.noted is not None
    assert "enlarged with photo" in auto.noted


@pytest.mark.parametrize("strength", [float("nan"), -1, 2, "a", None, True])
def test_a_wrong_strength_is_told_at_once(strength: Any) -> None:
    with pytest.raises(ConfigError, match="strength"):
        load("auto", 2, strength=strength)
    with pytest.raises(ConfigError, match="strength"):
        upscale(compose("upscale", [f"input={photograph('chelsea.png')}", f"strength={strength}", "model=zssr"]))


def test_a_condition_is_told_in_words() -> None:
    assert str(Condition(noise=7.25, quality=62, from_file=True)) == "noise 7.2, JPEG of quality 62"
    assert str(Condition(noise=0.4, quality=100)) == "noise 0.4"


def _png(pixels: NDArray[np.uint8]) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()
