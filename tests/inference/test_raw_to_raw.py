"""A RAW picture is enlarged to the mosaic of a finer sensor: sites, phases, tiles, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sr_lightning.data.files.raw import RawPicture, read_raw
from sr_lightning.errors import ConfigError
from sr_lightning.functional.bayer import PATTERNS, mosaic
from sr_lightning.inference.raw_to_raw import enlarge_mosaic
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import Bicubic, Packed, PackedBicubic


def view(height: int, width: int, pixel: float) -> torch.Tensor:
    """A ramp in each colour, at the centres of pixels of this width."""
    y, x = ((torch.arange(n) + 0.5) * pixel for n in (height, width))
    slopes = torch.tensor([[0.30, 0.004, 0.001], [0.50, -0.002, 0.003], [0.20, 0.001, 0.004]])
    return torch.stack([a + b * y[:, None] + c * x for a, b, c in slopes])


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_finer_sensor_of_the_same_view(pattern: str, scale: int) -> None:
    raw = RawPicture(mosaic(view(23, 18, float(scale)), pattern), pattern, gains=(2.0, 1.0, 1.5), flip=6)
    large = enlarge_mosaic(Upscaler(PackedBicubic(scale=scale)), raw)
    expected = mosaic(view(23 * scale, 18 * scale, 1.0), large.pattern)
    inside = slice(6 * scale, -6 * scale)
    assert large.mosaic.shape == expected.shape
    assert large.pattern == ("RGGB" if scale % 2 == 0 else pattern)
    torch.testing.assert_close(large.mosaic[:, inside, inside], expected[:, inside, inside], atol=1e-5, rtol=0)
    assert (large.gains, large.flip) == (raw.gains, 6)


def test_noise_below_black_and_light_above_white_are_clipped() -> None:
    raw = RawPicture(torch.tensor([-0.1, 1.2]).repeat(1, 8, 4), "RGGB")
    large = enlarge_mosaic(Upscaler(PackedBicubic(scale=2)), raw)
    assert large.mosaic.min() == 0 and large.mosaic.max() == 1


def test_tiles_are_the_whole_mosaic() -> None:
    raw = RawPicture(torch.rand(1, 60, 84), "GBRG")
    whole, tiled = (enlarge_mosaic(Upscaler(PackedBicubic(scale=2), tile=tile), raw).mosaic for tile in (None, 16))
    assert (whole - tiled).abs().max() <= 1.5 / 65535


def test_a_cameras_file_through_a_network(real_data: Path) -> None:
    torch.manual_seed(0)
    raw = read_raw(real_data / "raw" / "derived_dng" / "nikon_dsc1339_grbg.dng")
    height, width = raw.mosaic.shape[-2:]
    shares: list[float] = []
    upscaler = Upscaler(Packed(scale=2, num_features=8, num_blocks=1), precision="float32")
    large = enlarge_mosaic(upscaler, raw, on_progress=shares.append)
    assert large.mosaic.shape == (1, 2 * height, 2 * width) and large.pattern == "RGGB" and shares[-1] == 1


def test_other_networks_and_pictures_are_refused() -> None:
    raw = RawPicture(torch.rand(1, 8, 8), "RGGB")
    with pytest.raises(ConfigError, match="Bicubic gives pictures: a RAW file needs"):
        enlarge_mosaic(Upscaler(Bicubic(scale=2)), raw)
    with pytest.raises(ConfigError, match=r"learnt mosaics on the grid cells.*train with data.camera.grid=sensor"):
        enlarge_mosaic(Upscaler(PackedBicubic(scale=2, grid="cells")), raw)
    with pytest.raises(ConfigError, match="gives mosaics: use sr-upscale"):
        Upscaler(PackedBicubic(scale=2)).upscale(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ConfigError, match="ensemble=mean: flips and turns would change the mosaic"):
        Upscaler(PackedBicubic(scale=2), ensemble="mean")
