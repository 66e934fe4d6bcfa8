"""Pictures in memory: PIL, NumPy and tensors come back as what they were."""

import io
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional import imresize
from sr_lightning.inference.images import from_pil
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import Bicubic

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def double() -> Upscaler:
    return Upscaler(Bicubic(scale=2))


def expected(values: np.ndarray, factor: float = 2) -> np.ndarray:
    """``(H, W, C)`` in [0, 1], enlarged by the function of the same name."""
    size = ceil(values.shape[0] * factor), ceil(values.shape[1] * factor)
    planes = torch.from_numpy(values.astype(np.float64)).permute(2, 0, 1)
    return imresize(planes, size=size).clamp(0, 1).permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("kind", "top", "error"), [(np.uint8, 255, 1), (np.uint16, 65535, 2), (np.float32, 1, 3e-5), (np.float16, 1, 1e-3)]
)
@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 1), (9, 14, 3)])
def test_arrays_keep_type_shape_and_range(
    double: Upscaler, kind: Any, top: int, error: float, shape: tuple[int, ...]
) -> None:
    image = (RNG.random(shape) * top).astype(kind)
    out = double.upscale(image)
    assert out.dtype == image.dtype
    assert out.shape == (18, 28, *shape[2:])
    truth = expected(image.reshape(9, 14, -1) / top) * top
    assert np.abs(out.reshape(18, 28, -1) - truth).max() <= error


@pytest.mark.parametrize("channels", [2, 4])
def test_opacity_is_the_last_channel(double: Upscaler, channels: int) -> None:
    image = np.full((8, 10, channels), 200, np.uint8)
    image[:, 5:, -1] = 0
    image[:, 5:, :-1] = 0  # what does not show must not darken what does
    out = double.upscale(image)
    assert out.shape == (16, 20, channels)
    assert np.abs(out[:, :8, :-1].astype(int) - 200).max() <= 1
    assert out[0, 0, -1] == 200
    assert out[0, -1, -1] == 0


@pytest.mark.parametrize("shape", [(3, 8, 11), (2, 3, 8, 11), (1, 1, 8, 11)])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.uint8])
def test_tensors_keep_type_and_batch(double: Upscaler, shape: tuple[int, ...], kind: torch.dtype) -> None:
    values = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    image = (values * 255).to(kind) if kind == torch.uint8 else values.to(kind)
    out = double.upscale(image)
    assert out.dtype == kind
    assert out.shape == (*shape[:-2], 16, 22)
    top = 255 if kind == torch.uint8 else 1
    truth = imresize(image.double() / top, 2).clamp(0, 1) * top
    assert (out.double() - truth).abs().max() <= (1 if top == 255 else 3e-5)


@pytest.mark.parametrize(
    ("mode", "result"),
    [("RGB", "RGB"), ("L", "L"), ("1", "L"), ("LA", "LA"), ("RGBA", "RGBA"), ("P", "RGB"), ("CMYK", "RGB")],
)
def test_pil_pictures(double: Upscaler, mode: str, result: str) -> None:
    image = Image.fromarray((RNG.random((9, 7, 4)) * 255).astype(np.uint8)).convert(mode)
    out = double.upscale(image, factor=1.5)
    assert (out.mode, out.size) == (result, (11, 14))


def test_pil_keeps_16_bit_grey(double: Upscaler) -> None:
    deep = (RNG.random((9, 7)) * 65535).astype(np.uint16)
    out = double.upscale(Image.fromarray(deep))
    assert out.mode == "I;16"
    assert np.array_equal(np.asarray(out), double.upscale(deep))


def test_pil_keeps_profile_and_exif_and_turns_once(double: Upscaler) -> None:
    pixels = (RNG.random((6, 9, 3)) * 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif, icc_profile=b"profile")
    out = double.upscale(Image.open(file))
    assert out.size == (12, 18)  # stands upright now
    assert np.array_equal(np.asarray(out), double.upscale(np.rot90(pixels, -1)))
    again = io.BytesIO()
    out.save(again, "PNG", exif=out.info["exif"], icc_profile=out.info["icc_profile"])
    saved = Image.open(again)
    assert saved.info["icc_profile"] == b"profile"
    assert saved.getexif().get(0x0112, 1) == 1
    assert saved.getexif()[0x010F] == "camera"


def test_a_path(double: Upscaler, tmp_path: Path) -> None:
    pixels = (RNG.random((6, 9, 3)) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert np.array_equal(np.asarray(double.upscale(path)), double.upscale(pixels))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 3), int), "array of int64: must be uint8, uint16, or floating point"),
        (np.full((4, 4), 200.0), "values from 200 to 200: floating point must be in"),
        (np.full((4, 4), np.nan), "floating point must be in"),
        (np.zeros((2, 4, 4, 3), np.uint8), "array of 2x4x4x3"),
        (np.zeros((0, 4), np.uint8), "array of 0x4"),
        (torch.zeros(4, 4), r"tensor of \(4, 4\)"),
        (Image.fromarray(np.zeros((4, 4), np.float32)), "mode F has no known range"),
    ],
)
def test_what_is_no_picture(double: Upscaler, image: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        double.upscale(image)


def test_what_is_of_no_known_kind(double: Upscaler) -> None:
    with pytest.raises(TypeError, match="int: must be a PIL picture, a NumPy array, a tensor, a path, bytes"):
        double.upscale(3)
    with pytest.raises(ConfigError, match="factor=0: must be a number above 0"):
        double.upscale(np.zeros((4, 4), np.uint8), factor=0)


def test_a_palette_may_be_transparent() -> None:
    image = Image.new("P", (4, 3))
    image.info["transparency"] = 0
    photo = from_pil(image)
    assert photo.alpha is not None
    assert photo.alpha.max() == 0


def test_a_size_holds_the_picture(double: Upscaler) -> None:
    picture = np.zeros((30, 40, 3), np.uint8)
    for size in ((100, 100), "100x100"):
        assert double.upscale(picture, size=size).shape == (75, 100, 3)
    for wrong in ("big", (1,), (0, 5), 7):
        with pytest.raises(ConfigError, match="must be WIDTHxHEIGHT"):
            double.upscale(picture, size=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="both given"):
        double.upscale(picture, factor=2, size="100x100")
