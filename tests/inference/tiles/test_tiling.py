"""Tiled equals whole, whatever the network; memory and half precision may fail, the result may not."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sr_lightning.config import build, compose
from sr_lightning.errors import CheckpointError
from sr_lightning.functional import imresize
from sr_lightning.inference import receptive_radius, upscale_tiles
from sr_lightning.inference.engines.agreement import photographs, tolerance
from sr_lightning.inference.tiles.boxes import Box, tiles

# Small, of the layers that the full networks have.
LOCAL = {
    "srcnn": [],
    "fsrcnn": [],
    "espcn": [],
    "vdsr": ["model.num_features=8", "model.num_layers=6"],
    "edsr_baseline": ["model.num_features=16", "model.num_blocks=3"],
    "rdn": ["model.num_features=8", "model.growth_rate=8", "model.num_blocks=2", "model.num_layers=2"],
    "lapsrn": ["model.num_features=8", "model.num_layers=2"],
    "wdsr_b": ["model.num_features=16", "model.num_blocks=2"],
    "drrn_b1u9": ["model.num_features=8"],
    "drcn": ["model.num_features=8", "model.num_recursions=3"],
    "span": ["model.num_features=8", "model.num_blocks=2"],
    "pan": ["model.num_features=8", "model.up_features=8", "model.num_blocks=2"],
    "carn": ["model.scales=[2]", "model.num_features=8"],
    "bicubic": [],
}


def whole_from_tiles(forward: Any, pictures: list[Any], scale: int, **options: Any) -> Tensor:
    height, width = pictures[0].shape[-2:]
    parts = list(upscale_tiles(forward, pictures, scale, **options))
    out = torch.full((parts[0][1].shape[0], height * scale, width * scale), torch.nan)
    for box, part in parts:
        assert out[:, box.top : box.bottom, box.left : box.right].isnan().all()  # no pixel twice
        out[:, box.top : box.bottom, box.left : box.right] = part
    return out


def make(name: str) -> Any:
    torch.manual_seed(0)
    model = build(compose("train", [f"model={name}", "scale=2", *LOCAL[name]]).model).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=(1 / parameter[0].numel()) ** 0.5)
    return model


@pytest.mark.parametrize("name", LOCAL)
def test_tiled_equals_whole(name: str) -> None:
    model = make(name)
    channels = 1 if model.luma else 3
    radius = receptive_radius(model.net, (channels,), 2)
    assert radius is not None
    (pictures,) = photographs(model, 1, 75, 61)
    with torch.inference_mode():
        expected = model(pictures)[0]
    result = whole_from_tiles(model, [pictures[0]], 2, halo=radius, tile=20)
    assert (result - expected).abs().max() <= tolerance(model.net, [pictures])


@pytest.mark.parametrize("name", ["vdsr", "edsr_baseline", "srcnn"])
def test_a_smaller_halo_shows(name: str) -> None:
    """The radius is no larger than it must be: two pixels less, and the seams are there."""
    model = make(name)
    channels = 1 if model.luma else 3
    radius = receptive_radius(model.net, (channels,), 2)
    assert radius is not None
    picture = torch.rand(channels, 64, 64)
    with torch.inference_mode():
        expected = model(picture[None])[0]
    result = whole_from_tiles(model, [picture], 2, halo=radius - 2, tile=16)
    assert (result - expected).abs().max() > 0


def test_radius_of_known_networks() -> None:
    convs = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, (5, 1), padding=(2, 0)), nn.Conv2d(4, 1, 1)]
    assert receptive_radius(nn.Sequential(*convs), (1,)) == 3
    dilated = nn.Conv2d(1, 1, 3, padding=20, dilation=20)
    assert receptive_radius(dilated, (1,)) == 20
    deep = nn.Sequential(*(nn.Conv2d(1, 1, 9, padding=4) for _ in range(30)))
    assert receptive_radius(deep, (1,)) == 120
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Upsample(600), nn.Conv2d(4, 3, 1))
    assert receptive_radius(pooled) is None


def test_weights_of_zero_see_as_far_as_others() -> None:
    """Networks begin with layers of zeros, and trained ones have taps of zero: what they may see is what counts."""
    for kept in ((), (2, 2)):
        conv = nn.Conv2d(3, 3, 5, padding=2)
        weight = torch.zeros_like(conv.weight)
        weight[:, :, *kept] = 1.0 if kept else 0.0
        conv.weight = nn.Parameter(weight)
        assert receptive_radius(conv) == 2


def test_a_grid_that_moves_with_the_edge_looks_everywhere() -> None:
    class EveryOtherColumn(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * (1 + torch.arange(x.shape[-1]) % 2)

    assert receptive_radius(EveryOtherColumn(), (1,)) is None
    assert receptive_radius(EveryOtherColumn(), (1,), multiple=2) == 0


def test_an_input_that_is_not_used_is_not_seen() -> None:
    class First(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 5, padding=2)

        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return self.conv(one)

    assert receptive_radius(First(), (1, 3)) == 2


def test_attention_looks_everywhere() -> None:
    model = build(compose("train", ["model=edsr_small", "model.attention=channel"]).model)
    assert receptive_radius(model.net, (3,), 2) is None


def double(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_whole_numbers_become_fractions(dtype: Any, top: int) -> None:
    pixels = np.random.default_rng(0).integers(0, top + 1, (3, 40, 30)).astype(dtype)
    result = whole_from_tiles(double, [pixels], 2, halo=0, tile=16)
    assert np.allclose(result[:, ::2, ::2].numpy(), pixels / top)


def test_what_does_not_fit_into_memory_is_halved() -> None:
    sizes = []

    def forward(x: Tensor) -> Tensor:
        sizes.append(x.shape[-2] * x.shape[-1])
        if sizes[-1] > 50 * 50:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return double(x)

    picture = torch.rand(3, 150, 200)
    assert torch.equal(whole_from_tiles(forward, [picture], 2, halo=3, tile=128), double(picture))
    assert sum(size > 50 * 50 for size in sizes) <= 3  # learnt for the tiles that follow


@pytest.mark.parametrize("size", [(75, 121), (40, 70)])
def test_another_size_is_resized_tile_by_tile(size: tuple[int, int]) -> None:
    def forward(x: Tensor) -> Tensor:
        return 1.6 * double(x) - 0.3  # outside [0, 1] on either side

    picture = torch.rand(3, 50, 70, generator=torch.Generator().manual_seed(0))
    result = torch.zeros(3, *size)
    for box, values in upscale_tiles(forward, [picture], 2, halo=0, tile=16, size=size):
        result[:, *box.slices] = values
    expected = imresize(forward(picture).clamp(0, 1), size=size)
    assert (result - expected).abs().max() < 1e-5


def test_a_halo_is_not_below_zero() -> None:
    with pytest.raises(ValueError, match="halo=-1 not below 0"):
        list(upscale_tiles(double, [torch.rand(3, 8, 8)], 2, halo=-1))


def test_other_errors_and_hopeless_memory_are_raised() -> None:
    def broken(x: Tensor) -> Tensor:
        raise RuntimeError("shapes do not match")

    def greedy(x: Tensor) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    for forward, kind, words, side in (
        (broken, RuntimeError, "shapes", 64),
        (greedy, MemoryError, "not even a tile of 32 pixels", 64),
        (greedy, MemoryError, "not even a tile of 1[67] pixels", 33),  # 32 would have been the last to be tried
    ):
        with pytest.raises(kind, match=words):
            list(upscale_tiles(forward, [torch.rand(3, side, side)], 2, halo=0))


def test_overflow_in_half_precision_is_computed_again() -> None:
    seen = []

    def forward(x: Tensor) -> Tensor:
        half = torch.is_autocast_enabled("cpu")
        seen.append(half)
        return double(x) * (torch.inf if half and x.max() > 0.99 else 1)

    picture = torch.rand(1, 32, 64) * 0.5
    picture[0, 3, 50] = 1.0
    result = whole_from_tiles(forward, [picture], 2, halo=0, tile=32, autocast=torch.bfloat16)
    assert torch.equal(result, double(picture))
    assert seen == [True, True, False]


def test_mosaics_keep_their_phase() -> None:
    phase = torch.arange(4.0).view(1, 2, 2).repeat(1, 30, 25)

    def forward(raw: Tensor, rgb: Tensor) -> Tensor:
        assert raw[0, 0, 0, 0] == 0
        return double(rgb)

    picture = torch.rand(3, 60, 50)
    result = whole_from_tiles(forward, [phase, picture], 2, halo=5, tile=17, multiple=2)
    assert torch.equal(result, double(picture))


@pytest.mark.parametrize(("tile", "halo"), [(48, 0), (48, 5), (7, 30), (1, 0), (300, 3)])
def test_tiles_cover_everything_once_and_have_one_size(tile: int, halo: int) -> None:
    for height, width in [(100, 40), (1, 1), (256, 257), (61, 97)]:
        count = np.zeros((height, width), int)
        sizes = set()
        for box, window in tiles(height, width, tile, halo):
            count[box.top : box.bottom, box.left : box.right] += 1
            around = box.grown(halo, height, width)
            assert window.top <= around.top and window.bottom >= around.bottom
            assert window.left <= around.left and window.right >= around.right
            sizes.add((window.bottom - window.top, window.right - window.left))
        assert (count == 1).all()
        ((high, wide),) = sizes
        assert high <= min(height, tile + 2 * halo) and wide <= min(width, tile + 2 * halo)
    assert all(window.left % 4 == window.area % 4 == 0 for _, window in tiles(64, 100, 24, 5, multiple=4))
    assert Box(4, 9, 5, 7).grown(2, 10, 8, 2) == Box(2, 10, 2, 8)


def test_networks_that_give_no_numbers_are_refused() -> None:
    picture = np.zeros((3, 8, 8), np.uint8)
    with pytest.raises(CheckpointError, match="NaN or infinity"):
        list(upscale_tiles(lambda lr: lr / 0, [picture], 1, tile=4, halo=0))
