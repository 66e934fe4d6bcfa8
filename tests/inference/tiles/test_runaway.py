"""Where a network's values explode, the result is bicubic, in whatever tiles; nowhere else does it change a level."""

import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch

from sr_lightning.data.files.io import Photo, read_photo
from sr_lightning.functional import imresize
from sr_lightning.inference.tiles.boxes import Box
from sr_lightning.inference.tiles.runaway import BLOCK, OVERSHOOT, Runaway
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import Bicubic
from sr_lightning.weights.shipped import RAW, load_pretrained, pretrained_networks


def photograph(side: int = 96) -> np.ndarray:
    return np.ascontiguousarray(skimage.data.chelsea()[60 : 60 + side, 100 : 100 + side])


def noisy(pixels: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, sigma, pixels.shape)
    return (pixels + noise).round().clip(0, 255).astype(np.uint8)


def clipped(levels: np.ndarray) -> float:
    return float(((levels == 0) | (levels == 255)).mean())


class Exploding(Bicubic):
    """Bicubic, but for one pixel in the middle of a white square, which it throws far away."""

    def __init__(self, scale: int = 2) -> None:
        super().__init__(scale=scale)
        self.net = torch.nn.Sequential(self.net, _Throw(scale))


class _Throw(torch.nn.Module):
    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, sr: torch.Tensor) -> torch.Tensor:
        return torch.where(sr > 0.9, 50.0, 1 - sr)  # elsewhere a negative, which nobody takes for bicubic


def with_square() -> np.ndarray:
    pixels = np.full((96, 112, 3), 100, np.uint8)
    pixels[40:44, 52:56] = 255  # in the blocks of rows 32 to 48, columns 48 to 64
    return pixels


@pytest.fixture
def loud() -> Callable[..., tuple[np.ndarray, list[str]]]:
    """Enlarges, and hears what is told."""

    def enlarge(model: object, pixels: np.ndarray, **options: object) -> tuple[np.ndarray, list[str]]:
        told: list[str] = []
        size = options.pop("size", None)
        upscaler = Upscaler(model, **options)  # type: ignore[arg-type]
        upscaler.on_warning = told.append
        return upscaler.photo(Photo(pixels), size=size).pixels, told  # type: ignore[arg-type]

    return enlarge


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("sigma", [10, 50])
def test_noise_is_not_clipped_more_than_by_bicubic(
    scale: int, sigma: int, loud: Callable[..., tuple[np.ndarray, list[str]]]
) -> None:
    """Of the default network, and without what stands in for one that runs away."""
    pixels = noisy(photograph(), sigma)
    bicubic, silent = loud(Bicubic(scale=scale), pixels)
    result, told = loud(load_pretrained("span", scale), pixels)
    assert silent == told == [] and clipped(result) < clipped(bicubic) + 0.10


def test_uniform_noise_does_not_explode() -> None:
    lr = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert all((load_pretrained("span", s)(lr) - 0.5).abs().max() < 0.5 + OVERSHOOT for s in (2, 3, 4))


@pytest.mark.parametrize("options", [{"tile": 32}, {"tile": 37}, {"tiling": "average", "tile": 48}])
def test_tiles_change_nothing(options: dict[str, object], loud: Callable[..., tuple[np.ndarray, list[str]]]) -> None:
    pixels = with_square()
    whole, told = loud(Exploding(), pixels, tile=1000)
    tiled, again = loud(Exploding(), pixels, **options)
    assert np.array_equal(whole, tiled) and told == again == [
        "2.4% of the picture is enlarged bicubically: Exploding gives values far from any colour there, as on strong "
        "noise; another network may do better"
    ]


@pytest.mark.parametrize("size", [(192, 224), (250, 291), (90, 105)])
def test_it_is_bicubic_there_and_passes_over_without_a_seam(
    size: tuple[int, int], loud: Callable[..., tuple[np.ndarray, list[str]]]
) -> None:
    pixels = with_square()
    result, _ = loud(Exploding(), pixels, size=size)
    expected, _ = loud(Bicubic(scale=2), pixels, size=size)
    factor = size[0] / 96
    fired = tuple(slice(round(first * factor) + 1, round((first + 16) * factor) - 1) for first in (32, 48))
    exact = np.asarray(imresize(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255, size=size)[0].permute(1, 2, 0))
    assert np.abs(result[fired] - (exact[fired] * 255).clip(0, 255)).max() <= 0.51
    assert np.abs(result[0].astype(int) - (255 - expected[0])).max() <= 1  # far away it is the network's alone
    row = result[round(36 * factor), :, 0].astype(int)  # across the block, where the picture itself is even
    assert np.abs(np.diff(row)).max() <= 55 / (BLOCK * factor) + 1


def test_opacity_is_respected() -> None:
    pixels, alpha = with_square(), np.full((96, 112, 1), 255, np.uint8)
    alpha[:48] = 128
    upscaler = Upscaler(Exploding())
    upscaler.on_warning = lambda _: None
    result = upscaler.photo(Photo(pixels, alpha))
    expected = Upscaler(Bicubic(scale=2)).photo(Photo(pixels, alpha))
    assert result.alpha is not None and expected.alpha is not None and np.array_equal(result.alpha, expected.alpha)
    whole = Upscaler(Exploding(), tile=1000)
    whole.on_warning = lambda _: None
    assert np.array_equal(whole.photo(Photo(pixels, alpha)).pixels, result.pixels)


def test_16_bit_and_grey(loud: Callable[..., tuple[np.ndarray, list[str]]]) -> None:
    deep = with_square()[..., :1].astype(np.uint16) * 257
    result, told = loud(Exploding(), deep)
    eight, _ = loud(Exploding(), with_square()[..., :1])
    assert result.dtype == np.uint16 and len(told) == 1
    assert np.abs(result / 257 - eight).max() <= 1


def test_a_network_that_reads_mosaics_or_is_foreign_is_left_alone() -> None:
    class Foreign(Exploding):
        zero_shot = True  # as any that bicubic is no way out of

    told: list[str] = []
    upscaler = Upscaler(Foreign())
    upscaler.on_warning = told.append
    result = upscaler.array(with_square().transpose(2, 0, 1))
    assert result[0, 82, 106] == 255 and told == [
        "2.4% of the picture may be wrong: Foreign gives values far from any colour there, as on strong noise"
    ]


def test_python_hears_it_as_a_warning() -> None:
    with pytest.warns(UserWarning, match="of the picture is enlarged bicubically") as told:
        result = Upscaler(Exploding()).upscale(with_square())
    assert len(told) == 1
    expected = Upscaler(Bicubic(scale=2)).upscale(with_square())
    assert np.array_equal(result[64:96, 96:128], expected[64:96, 96:128])  # the block that ran away
    assert not np.array_equal(result, expected)


def test_photographs_are_far_from_the_bound(real_data: Path) -> None:
    """Of every network and scale that comes with the package; docs/upscale.md has the largest of all pictures."""
    for name, scales in pretrained_networks().items():
        if name == RAW:
            continue
        for scale, picture in product(scales, ("Set14/ppt3.png", "BSD100/302008.png")):
            pixels = torch.from_numpy(read_photo(real_data / picture).pixels.copy()).permute(2, 0, 1)[None] / 255
            pixels = pixels[..., 48:240, 48:240]
            lr = (imresize(pixels, 1 / scale) * 255).round().clamp(0, 255) / 255
            with torch.inference_mode():
                far = (load_pretrained(name, scale)(lr) - 0.5).abs().max() - 0.5
            assert far < OVERSHOOT / 4, (name, scale, picture)


def test_share_counts_pixels() -> None:
    runaway = Runaway(20, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runaway.look(torch.full((3, 8, 32), 5.0), Box(32, 40, 0, 32), (40, 32))
    assert runaway.share == pytest.approx(4 / 20)
