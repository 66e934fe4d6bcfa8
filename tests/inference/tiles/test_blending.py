"""Neighbouring tiles pass into each other, every pixel comes once, and what all tiles agree on stays as it is."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sr_lightning.data.files.io import Photo
from sr_lightning.errors import CheckpointError
from sr_lightning.functional import imresize
from sr_lightning.inference.engines.network import Field, field_of
from sr_lightning.inference.tiles import blending, tiling
from sr_lightning.inference.tiles.blending import blend_tiles
from sr_lightning.inference.tiles.boxes import spans
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import Bicubic
from sr_lightning.models.base import SuperResolutionModule
from sr_lightning.models.liif import LIIF
from tiny_networks import make


def whole_from(parts: Any, channels: int, height: int, width: int) -> Tensor:
    out = torch.full((channels, height, width), torch.nan)
    for box, values in parts:
        assert box.area and out[:, *box.slices].isnan().all()  # no pixel twice, and no part of none
        out[:, *box.slices] = values
    return out


def double(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


@pytest.mark.parametrize("multiple", [1, 4, 8, 32])
@pytest.mark.parametrize(("tile", "halo"), [(16, 0), (16, 3), (24, 12), (8, 20), (300, 5), (32, 32), (40, 20)])
@pytest.mark.parametrize("size", [(61, 90), (24, 24), (1, 77), (129, 200)])
def test_what_tiles_agree_on_stays(size: tuple[int, int], tile: int, halo: int, multiple: int) -> None:
    picture = torch.rand(3, *size)
    parts = blend_tiles(double, [picture], 2, halo=lambda: halo, tile=tile, multiple=multiple)
    result = whole_from(parts, 3, 2 * size[0], 2 * size[1])
    assert torch.allclose(result, double(picture), atol=1e-6)


def test_from_one_tile_to_the_next_in_equal_steps() -> None:
    """Each tile of another grey: what is between them lies on a straight line, in both directions."""
    seen = 0

    def forward(x: Tensor) -> Tensor:
        nonlocal seen
        seen += 1
        return torch.full_like(x, float(seen))

    result = whole_from(blend_tiles(forward, [torch.zeros(1, 40, 40)], 1, halo=lambda: 5, tile=16), 1, 40, 40)[0]
    (_, _, begin, end), (_, _, after, _) = spans(40, 16, 5, 1)[:2]
    assert seen == 4 and (begin, end, after) == (0, 25, 15)
    assert (result[:15, :15] == 1).all() and (result[25:, 25:] == 4).all()
    steps = torch.tensor([0, 0, 0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1])
    assert torch.allclose(result[0, 15:25], 1 + steps) and torch.allclose(result[15:25, 39], 2 + 2 * steps)
    assert result.diff(dim=0).abs().max() < 0.41 and result.diff(dim=1).abs().max() < 0.21


def test_windows_of_attention_are_those_of_the_whole() -> None:
    for length, tile, halo in ((333, 64, 32), (320, 100, 20), (65, 16, 3)):
        parts = spans(length, tile, halo, 16)
        assert len(parts) > 1
        assert all(begin % 16 == 0 and (end % 16 == 0 or end == length) for _, _, begin, end in parts)
        assert len({end - begin for _, _, begin, end in parts[:-1]}) == 1
        assert all(first == 0 or first - begin >= halo for first, _, begin, _ in parts)
        assert all(last == length or end - last >= halo for _, last, _, end in parts)


def test_what_does_not_fit_begins_anew_in_smaller_tiles() -> None:
    sides: list[int] = []

    def forward(x: Tensor) -> Tensor:
        sides.append(max(x.shape))
        if len(sides) > 3 and sides[-1] > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return double(x)

    picture, out = torch.rand(3, 90, 90), torch.zeros(3, 180, 180)
    for box, values in blend_tiles(forward, [picture], 2, halo=lambda: 4, tile=48):
        out[:, *box.slices] = values
    assert torch.allclose(out, double(picture)) and max(sides[4:]) <= 40
    with pytest.raises(MemoryError, match="not even a tile of 32 pixels"):
        list(blend_tiles(_greedy, [picture], 2, halo=lambda: 4, tile=32))
    with pytest.raises(CheckpointError, match="is said to be for scale 3"):
        list(blend_tiles(double, [picture], 3, halo=lambda: 4, tile=32))


def _greedy(x: Tensor) -> Tensor:
    raise MemoryError


class Mean(nn.Module):
    """Looks at the whole picture: half of each pixel is the mean."""

    def forward(self, x: Tensor) -> Tensor:
        return (double(x) + x.mean((2, 3), keepdim=True)) / 2


def everywhere() -> SuperResolutionModule:
    return SuperResolutionModule(Mean(), scale=2)


PIXELS = np.random.default_rng(0).integers(0, 256, (3, 150, 170), dtype=np.uint8) // 2
PIXELS[:, :, 85:] += 100


def test_no_seam_where_tiles_meet() -> None:
    """Flat, but for what the mean of each tile is: cut tiles jump, blended ones do not."""
    flat = np.full((3, 300, 300), 80, np.uint8)
    flat[:, :, 200:] = 180
    result = Upscaler(everywhere(), tile=64).array(flat).astype(int)[:, :, :390]
    assert np.abs(np.diff(result, axis=2)).max() <= 1 and np.ptp(result) > 15


@pytest.mark.parametrize("size", [(300, 340), (225, 255), (400, 500)])
def test_other_sizes_and_opacity(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The resize of the blended result, which never exists as a whole."""
    upscaler = Upscaler(everywhere(), tile=32)
    native = upscaler.array(PIXELS, bits=16).astype(float) / 65535
    expected = imresize(torch.from_numpy(native), size=size).clamp(0, 1).numpy() * 65535
    opaque = np.full((150, 170, 1), 255, np.uint8)
    photo = upscaler.photo(Photo(PIXELS.transpose(1, 2, 0), opaque), size=size, bits=16)
    assert photo.alpha is not None and (photo.alpha == 65535).all()
    assert np.abs(photo.pixels.transpose(2, 0, 1) - expected).max() <= 2
    monkeypatch.setattr(blending, "_pass", lambda before, after, dim: None)
    assert np.abs(upscaler.photo(Photo(PIXELS.transpose(1, 2, 0)), size=size, bits=16).pixels - photo.pixels).max() > 99


def test_who_is_blended() -> None:
    assert field_of(Bicubic(scale=2)) == Field(2, False)
    assert field_of(everywhere()) == Field(32, True)


def test_a_word_about_tiles_also_where_strips_are_not_tried() -> None:
    """Sides that are no multiple of SMFANet's cells leave no choice."""
    upscaler = Upscaler(make("smfanet"), precision="float32", memory="0.1MB")
    with pytest.warns(UserWarning, match=r"tiles of 64 pixels, .* whole picture; the result may differ"):
        upscaler.array(np.zeros((3, 257, 259), np.uint8))


def liif() -> LIIF:
    torch.manual_seed(0)
    arguments = {"num_features": 12, "num_groups": 1, "num_blocks": 2, "num_heads": 3, "window": 4}
    return LIIF(scale=2, trunk="swinir", trunk_args=arguments, hidden_features=8, hidden_layers=1).eval()


def test_any_scale_of_a_trunk_that_looks_everywhere() -> None:
    model = liif()
    assert field_of(model) == Field(32, True)
    picture = np.random.default_rng(0).integers(0, 256, (120, 130, 3), dtype=np.uint8)
    whole, tiled = (Upscaler(model, tile=tile, precision="float32").upscale(picture, factor=1.7) for tile in (999, 64))
    assert whole.shape == tiled.shape == (204, 221, 3)
    assert np.abs(whole.astype(int) - tiled).max() <= 2


@pytest.mark.parametrize("network", [everywhere, liif])
def test_what_resizes_begins_anew_with_the_tiles(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever tile does not fit: rows of the larger ones are not mixed with those of the smaller ones."""
    upscaler, calls = Upscaler(network(), tile=64, precision="float32"), 0

    def poor(*args: Any, **kwargs: Any) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise MemoryError
        return compute(*args, **kwargs)

    monkeypatch.setattr(blending, "compute", poor)
    compute, failing = tiling.compute, 0
    upscaler.upscale(PIXELS.transpose(1, 2, 0), factor=1.5)
    tiles = calls
    smaller = Upscaler(upscaler.model, tile=32, precision="float32").upscale(PIXELS.transpose(1, 2, 0), factor=1.5)
    assert tiles > 3 and calls > 2 * tiles
    for failing in range(1, tiles + 1):
        calls = 0
        assert (upscaler.upscale(PIXELS.transpose(1, 2, 0), factor=1.5) == smaller).all()
        assert calls > failing
