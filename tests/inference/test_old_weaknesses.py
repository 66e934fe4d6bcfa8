"""What users of other projects complain of: black pictures, colour casts, seams, checkerboards, bleeding edges."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import mse_loss as mse

from sr_lightning.data.files.photographs import photograph
from sr_lightning.degradations import JPEG, Compose, Noise
from sr_lightning.functional import imresize
from sr_lightning.inference.loading import load
from sr_lightning.weights.shipped import RAW, pretrained_networks

SHIPPED = [(name, scale) for name, scales in pretrained_networks().items() for scale in scales if name != RAW]
CAT = np.asarray(Image.open(photograph("chelsea.png")))[60:188, 120:280]
DAMAGE = Compose([Noise(sigma=12), JPEG(quality=50)])


def damaged() -> NDArray[np.uint8]:
    lr = DAMAGE(torch.from_numpy(CAT.copy()).permute(2, 0, 1)[None] / 255, 1, seed=1)
    return (lr[0] * 255).round().byte().permute(1, 2, 0).numpy()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize(("name", "scale"), [("photo", 2), ("photo", 4), ("span", 2)])
def test_half_precision_is_neither_black_nor_grey(name: str, scale: int, precision: str) -> None:
    picture = damaged()[:64, :64]
    exact, half = (
        load(name, scale, device="cpu", precision=each).upscale(picture).astype(float)  # type: ignore[arg-type]
        for each in ("float32", precision)
    )
    assert np.abs(exact - half).mean() < 0.5
    assert half.std() > 0.9 * exact.std()


@pytest.mark.parametrize(("name", "scale"), SHIPPED)
def test_colours_do_not_drift(name: str, scale: int) -> None:
    """The mean colour of every square of 32 LR pixels stays within 2.5 levels, and that of the picture within one."""
    picture = damaged()
    made = load(name, scale, device="cpu", precision="float32").upscale(picture)
    drift = _means(made, 32 * scale) - _means(picture, 32)
    assert np.abs(drift).max() < 2.5
    assert np.abs(made.mean((0, 1)) - picture.mean((0, 1))).max() < 1


@pytest.mark.parametrize("scale", [2, 4])
def test_tiles_of_the_photo_network_have_no_seams(scale: int) -> None:
    picture = damaged()
    whole, tiled = (
        load("photo", scale, device="cpu", precision="float32", tile=tile).upscale(picture) for tile in (512, 32)
    )
    assert np.abs(whole.astype(int) - tiled).max() <= 1


@pytest.mark.parametrize(("name", "scale"), SHIPPED)
@pytest.mark.parametrize("level", [20, 128, 235])
def test_a_plain_area_gets_no_checkerboard(name: str, scale: int, level: int) -> None:
    plain = np.full((24, 24, 3), level, np.uint8)
    made = load(name, scale, device="cpu", precision="float32").upscale(plain)
    inside = made[8 * scale : -8 * scale, 8 * scale : -8 * scale].astype(int)
    assert np.ptp(inside, axis=(0, 1)).max() <= 2
    assert np.abs(inside - level).max() <= 3


def test_noise_is_removed_not_drawn_sharper() -> None:
    truth = torch.from_numpy(CAT.copy()).permute(2, 0, 1)[None] / 255
    lr = Noise(sigma=25)(imresize(truth.double(), 1 / 2).float().clamp(0, 1), 1, seed=1)
    errors = {
        name: float(mse(load(name, 2, device="cpu", precision="float32").upscale(lr[0]), truth[0]))
        for name in ("bicubic", "span", "photo")
    }
    assert errors["photo"] < 0.6 * errors["bicubic"]
    assert errors["bicubic"] < errors["span"]


@pytest.mark.parametrize("scale", [2, 4])
def test_what_a_transparent_pixel_hides_does_not_bleed(scale: int) -> None:
    """A white square on transparent green is enlarged as one on transparent black is."""
    green = np.zeros((32, 32, 4), np.uint8)
    green[..., 1] = 255
    green[8:24, 8:24] = 255
    black = green * (green[..., 3:] > 0)
    network = load("photo", scale, device="cpu", precision="float32")
    assert np.array_equal(network.upscale(green), network.upscale(black))


@pytest.mark.parametrize("name", ["span", "photo"])
def test_the_edge_of_a_shape_keeps_its_colour(name: str) -> None:
    """A red square on nothing: no dark rim, where the network ends sooner than opacity does."""
    picture = np.zeros((32, 32, 4), np.uint8)
    picture[8:24, 8:24] = 220, 30, 30, 255
    made = load(name, 2, device="cpu", precision="float32").upscale(picture)
    rim = (made[..., 3] > 8) & (made[..., 3] < 200)
    assert rim.any()
    assert np.abs(made[rim][:, :3].astype(int) - (220, 30, 30)).max() <= 12


def _means(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    squares = pixels[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
    return squares.astype(float).mean((1, 3))
