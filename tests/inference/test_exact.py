"""``Upscaler`` takes strips for large pictures, and tiles where there can be none, and both equal the whole."""

from typing import Any

import numpy as np
import pytest
import torch

from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.raw import RawPicture
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.inference import exact
from sr_lightning.inference.sizes import bytes_of
from sr_lightning.inference.tiles.tile_size import tile_size
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import EDSR, IMDN, SRCNN
from tiny_networks import make

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 90, 50), dtype=np.uint8)
WHOLE = 100_000


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "SMALL", 1000)
    monkeypatch.setattr("sr_lightning.strips.memory.ENOUGH", 600)


def edsr(**arguments: Any) -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=2, num_features=8, num_blocks=2, **arguments)


def strips_taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each part that strips give."""
    rows: list[int] = []
    upscale_strips = exact.upscale_strips

    def seen(*args: Any, **kwargs: Any) -> Any:
        for box, values in upscale_strips(*args, **kwargs):
            rows.append(values.shape[1])
            yield box, values

    monkeypatch.setattr(exact, "upscale_strips", seen)
    return rows


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("network", [edsr, lambda: SRCNN(scale=2)])
def test_a_large_picture_comes_in_strips(network: Any, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, done = strips_taken(monkeypatch), []
    torch.manual_seed(0)
    options: dict[str, Any] = {"precision": "float32"}
    whole = Upscaler(network(), tile=WHOLE, **options).array(PIXELS[:channels], bits=16).astype(int)
    assert not rows
    torch.manual_seed(0)
    result = Upscaler(network(), **options).array(PIXELS[:channels], bits=16, on_progress=done.append)
    assert len(rows) > 5 and sum(rows) == 180
    assert result.shape == whole.shape and np.abs(result - whole).max() <= 1
    assert done == sorted(done) and done[-1] == 1


@pytest.mark.parametrize("size", [None, (200, 111), (41, 23)])
def test_sizes_opacity_and_ensembles(size: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    opacity = np.random.default_rng(1).integers(0, 256, (90, 50, 1), dtype=np.uint8)
    photo = Photo(np.ascontiguousarray(PIXELS.transpose(1, 2, 0)), opacity)
    rows = strips_taken(monkeypatch)
    for ensemble, strips in ((None, True), ("mean", True), ("median", False)):
        options: dict[str, Any] = {"precision": "float32", "ensemble": ensemble, "back_projection": 1}
        whole = Upscaler(edsr(), tile=WHOLE, **options).photo(photo, size=size, bits=16)
        rows.clear()
        result = Upscaler(edsr(), **options).photo(photo, size=size, bits=16)
        assert bool(rows) is strips
        seen = result.alpha.astype(int)  # type: ignore[union-attr]
        assert (seen == whole.alpha).all()
        assert (np.abs(result.pixels.astype(int) - whole.pixels) * seen).max() <= 2 * 65535


@pytest.mark.filterwarnings("ignore:.* of the picture may be wrong")  # random weights
def test_mosaics(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, rows = np.random.default_rng(0), strips_taken(monkeypatch)
    model = make("edsr_raw", 2)
    results = []
    for gains, tile in (((1.0, 1.0, 1.0), None), ((2.0, 1.0, 1.5), None), ((2.0, 1.0, 1.5), WHOLE)):
        raw = RawPicture(torch.from_numpy(rng.random((1, 87, 51), np.float32)), "GRBG", gains, 5)
        rng = np.random.default_rng(0)
        results.append(Upscaler(model, tile=tile).raw(raw, np.zeros((87, 51, 3), np.uint8)).astype(int))
    assert len(rows) > 6
    assert np.abs(results[1] - results[2]).max() <= 1 and np.abs(results[0] - results[2]).max() > 100


def test_half_precision_out_of_range_begins_anew_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Upscaler(edsr(), tile=WHOLE, precision="float32").array(PIXELS)
    upscaler, programs = Upscaler(edsr(), precision="bf16"), []
    upscale_strips = exact.upscale_strips

    def broken(program: Any, *args: Any, **kwargs: Any) -> Any:
        programs.append(program)
        for number, part in enumerate(upscale_strips(program, *args, **kwargs)):
            if len(programs) == 1 and number == 2:
                raise CheckpointError("NaN")
            yield part

    monkeypatch.setattr(exact, "upscale_strips", broken)
    result = upscaler.array(PIXELS)
    assert np.abs(result.astype(int) - whole).max() <= 1
    assert [any(v.dtype == torch.bfloat16 for v in program.values) for program in programs] == [True, False]


def test_strips_that_do_not_fit_become_smaller_and_then_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Upscaler(edsr(), tile=WHOLE, precision="float32").array(PIXELS)
    budgets: list[float] = []
    upscale_strips = exact.upscale_strips

    def poor(*args: Any, budget: float, **kwargs: Any) -> Any:
        budgets.append(budget)
        if budget > most:
            raise MemoryError
        yield from upscale_strips(*args, budget=budget, **kwargs)

    monkeypatch.setattr(exact, "upscale_strips", poor)
    for most in (30e6, 1e6):
        budgets.clear()
        result = Upscaler(edsr(), precision="float32").array(PIXELS)
        assert np.abs(result.astype(int) - whole).max() <= 1
        assert len(budgets) > 2 and (budgets[-1] <= most) is (most == 30e6)


def test_an_ensemble_that_begins_anew_counts_no_part_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"ensemble": "mean", "precision": "float32"}
    whole = Upscaler(edsr(), tile=WHOLE, **options).array(PIXELS)
    calls: list[float] = []
    upscale_strips = exact.upscale_strips

    def poor(*args: Any, budget: float, **kwargs: Any) -> Any:
        calls.append(budget)
        for number, part in enumerate(upscale_strips(*args, budget=budget, **kwargs)):
            if len(calls) % 2 and number == 2:
                raise MemoryError
            yield part

    monkeypatch.setattr(exact, "upscale_strips", poor)
    result = Upscaler(edsr(), **options).array(PIXELS)
    assert len(calls) == 16 and np.abs(result.astype(int) - whole).max() <= 1


def test_a_new_beginning_forgets_where_the_network_ran_away(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Upscaler(edsr(), tile=WHOLE, precision="float32").array(PIXELS)
    upscale_strips, calls = exact.upscale_strips, [0]

    def broken(*args: Any, look: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        for number, (box, values) in enumerate(upscale_strips(*args, look=look, **kwargs)):
            if calls[0] == 1:
                look(values + 9, box, (180, 100))
                if number == 3:
                    raise CheckpointError("NaN")
            yield box, values

    monkeypatch.setattr(exact, "upscale_strips", broken)
    result = Upscaler(edsr(), precision="bf16").array(PIXELS)
    assert calls == [2] and np.abs(result.astype(int) - whole).max() <= 1


def test_an_ensemble_tells_how_far_it_is() -> None:
    done: list[float] = []
    Upscaler(edsr(), ensemble="mean", precision="float32").array(PIXELS, on_progress=done.append)
    assert done == sorted(done) and done[-1] == 1 and sum(share < 0.5 for share in done) > 5


def test_options_and_weights_of_now_are_used() -> None:
    upscaler = Upscaler(edsr(), precision="float32")
    upscaler.array(PIXELS)
    upscaler.back_projection = 3
    with torch.no_grad():
        for weight in upscaler.model.parameters():
            weight.mul_(0.9)
    whole = Upscaler(upscaler.model, tile=WHOLE, precision="float32", back_projection=3).array(PIXELS)
    assert np.abs(upscaler.array(PIXELS).astype(int) - whole).max() <= 1


def test_networks_that_look_everywhere_get_the_largest_tiles_that_fit(recwarn: pytest.WarningsRecorder) -> None:
    torch.manual_seed(0)
    model = IMDN(scale=2, num_features=16, num_blocks=2, reduction=4)
    pixels = np.tile(PIXELS, (1, 2, 3))
    whole = Upscaler(model, tile=WHOLE, precision="float32").array(pixels)
    assert (Upscaler(model, precision="float32").array(pixels) == whole).all()
    assert not recwarn
    upscaler = Upscaler(model, precision="float32", memory="0.1MB")
    with pytest.warns(UserWarning, match=r"tiles of 64 pixels, .*\(mean over rows or columns\).* tile=180, which"):
        assert (upscaler.array(pixels) != whole).any()
    recwarn.clear()
    upscaler.array(pixels)
    assert not recwarn  # once


def test_tiles_grow_with_the_memory() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.Conv2d(16, 3, 3, padding=1))
    features = 2 * (16 + 3) * 4  # bytes of a pixel in float32, and what layers take inside
    assert tile_size(net, [3], features * (512 + 2 * 7) ** 2, lambda: 7, (4000, 3000)) == 512
    assert tile_size(net, [3], features * (511 + 2 * 7) ** 2, lambda: 7, (4000, 3000)) == 256
    assert tile_size(net, [3], 1, lambda: 7, (4000, 3000)) == 64
    assert tile_size(net, [3], 1e12, lambda: 7, (900, 300)) == 900


@pytest.mark.parametrize("memory", [0, -1, True, "much", "5", "0GB", "nanGB", "infGB", "1TB", "GB", "1 TiB"])
def test_memory_that_cannot_be(memory: Any) -> None:
    with pytest.raises(ConfigError, match=r"memory=.*: must be a number of GB above 0, or such as 500MB"):
        bytes_of(memory)
