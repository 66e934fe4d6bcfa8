"""What ``upscale`` makes of large pictures: the whole's result, whatever the tiles, the memory and the size wanted."""

from typing import Any

import numpy as np
import pytest
import torch

from sr_lightning.data.files.io import Photo
from sr_lightning.errors import ConfigError
from sr_lightning.functional import imresize
from sr_lightning.inference import upscaler as upscaler_module
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models.bicubic import Bicubic
from sr_lightning.models.edsr import EDSR
from sr_lightning.models.rawsr import RawSR

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 70, 50), dtype=np.uint8)


def edsr() -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=2, num_features=8, num_blocks=2)  # looks at 8 pixels


@pytest.mark.parametrize("tiling", ["chop", "average"])
def test_tiles_of_papers(tiling: Any) -> None:
    whole = Upscaler(edsr(), precision="float32").array(PIXELS, bits=16).astype(int)
    result = Upscaler(edsr(), precision="float32", tile=32, tiling=tiling).array(PIXELS, bits=16)
    difference = np.abs(result - whole)
    # Quarters overlap by more than the network looks at; averaged tiles show their edges.
    assert difference.max() <= 1 if tiling == "chop" else difference.max() > 100 and difference.mean() < 500


def test_tilings_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="tiling=none: must be exact, chop or average"):
        Upscaler(edsr(), tiling="none")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="tiling=chop: quarters"):
        Upscaler(RawSR(scale=2, num_features=8, growth_rate=2, num_layers=2), tiling="chop")


def test_a_whole_picture_that_does_not_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Upscaler(edsr(), precision="float32").array(PIXELS, bits=16).astype(int)
    model = edsr()
    forward, sizes = model.forward, []

    def poor(lr: torch.Tensor) -> torch.Tensor:
        sizes.append(lr.shape[-2] * lr.shape[-1])
        if sizes[-1] > 60 * 50:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")
        return forward(lr)

    monkeypatch.setattr(model, "forward", poor)
    result = Upscaler(model, precision="float32").array(PIXELS, bits=16)
    assert sizes[0] == 70 * 50 and max(sizes[1:]) <= 60 * 50
    assert np.abs(result - expected).max() <= 1


@pytest.mark.parametrize("size", [(175, 125), (100, 71), (210, 160)])
def test_other_sizes_are_rounded_once(size: tuple[int, int]) -> None:
    """MATLAB's resize of the network's result in floating point, and not of its 8-bit levels."""
    photo = Photo(PIXELS.transpose(1, 2, 0))
    result = Upscaler(Bicubic(scale=2)).photo(photo, size=size).pixels.transpose(2, 0, 1)
    exact = imresize(imresize(torch.from_numpy(PIXELS).double() / 255, 2).clamp(0, 1), size=size).clamp(0, 1) * 255
    assert result.dtype == np.uint8 and result.shape[1:] == size
    assert np.abs(result - exact.numpy()).max() < 0.501  # half a level, and the 16 bit between


@pytest.mark.parametrize("size", [(140, 100), (175, 125), (101, 71), (9, 7), (1, 1), (700, 33)])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_of_any_size_and_with_opacity_equal_the_whole(size: tuple[int, int], channels: int) -> None:
    """Both stages behind the network are MATLAB's of the whole picture, whatever the tiles."""
    opacity = np.random.default_rng(1).integers(0, 256, (70, 50, 1), dtype=np.uint8)
    photo = Photo(np.ascontiguousarray(PIXELS.transpose(1, 2, 0)[..., :channels]), opacity)
    colours, alpha = (torch.from_numpy(p / 255).permute(2, 0, 1) for p in (photo.pixels, opacity))
    with torch.inference_mode():
        network = edsr().double()((colours * alpha).expand(3, -1, -1)[None])[0].clamp(0, 1)
    network = network if channels == 3 else network.mean(0, keepdim=True)
    shown, seen = imresize(network, size=size).clamp(0, 1), imresize(alpha, size=size).clamp(0, 1)
    bicubic = imresize(colours * alpha, size=size).clamp(0, 1)
    shown = torch.lerp(shown, bicubic, (10 * (1 - seen)).clamp(0, 1))  # where opacity is partial
    exact = (shown / seen.clamp(min=1 / 255)).clamp(0, 1) * 65535
    for tile in (16, 256):
        result = Upscaler(edsr(), precision="float32", tile=tile).photo(photo, size=size, bits=16)
        assert (
            result.alpha is not None and result.alpha.shape == (*size, 1) and result.pixels.shape == (*size, channels)
        )
        assert np.abs(result.alpha[..., 0] - seen[0].numpy() * 65535).max() < 1
        difference = np.abs(result.pixels - exact.permute(1, 2, 0).numpy()) * seen[0, ..., None].numpy()
        assert difference.max() < 1


def test_edges_of_opacity_keep_their_colour() -> None:
    """Bicubic opacity leaves [0, 1] beside an edge, and is 0 far from it: neither darkens nor makes up a colour."""
    opacity = np.zeros((12, 16, 1), np.uint8)
    opacity[:, :8] = 255
    result = Upscaler(Bicubic(scale=2)).photo(Photo(np.full((12, 16, 3), 255, np.uint8), opacity))
    assert result.alpha is not None and (result.alpha[:, :14] == 255).all() and (result.alpha[:, 18:] == 0).all()
    assert (result.pixels[result.alpha[..., 0] > 0] == 255).all()
    assert (result.pixels[:, 20:] == 0).all()


@pytest.mark.parametrize("size", [(140, 100), (175, 125)])
@pytest.mark.parametrize("opaque", [True, False])
def test_no_stage_holds_the_picture_in_floating_point(
    size: tuple[int, int], opaque: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[int] = []
    photo = Photo(PIXELS.transpose(1, 2, 0), None if opaque else np.full((70, 50, 1), 200, np.uint8))
    expected = Upscaler(Bicubic(scale=2)).photo(photo, size=size).pixels.astype(int)
    monkeypatch.setattr("sr_lightning.inference.tiles.resizing._SIDE", 32)
    monkeypatch.setattr(
        "sr_lightning.inference.upscaler._put_levels",
        lambda values, place, put=upscaler_module._put_levels: (parts.append(values[0].numel()), put(values, place)),
    )
    result = Upscaler(Bicubic(scale=2), tile=16).photo(photo, size=size).pixels
    assert max(parts) <= 36 * 36 and np.abs(result - expected).max() <= 1
