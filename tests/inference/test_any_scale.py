"""Networks of any scale compute at the factor that is asked for, and a picture's parts have the values of the whole."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import sr_lightning as sr
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional.coordinates import Axis, size_at
from sr_lightning.inference import any_scale
from sr_lightning.inference.tiles.boxes import Box
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models.liif import LIIF

TRUNKS: dict[str, dict[str, Any]] = {
    "edsr": {"num_features": 8, "num_blocks": 1},
    "rdn": {"num_features": 8, "growth_rate": 8, "num_blocks": 2, "num_layers": 2},
    "rcan": {"num_features": 16, "num_groups": 1, "num_blocks": 1, "reduction": 2},
    "rrdb": {"num_features": 8, "growth_rate": 4, "num_blocks": 1},
}


def liif(trunk: str = "edsr") -> LIIF:
    torch.manual_seed(0)
    model = LIIF(trunk=trunk, trunk_args=TRUNKS[trunk], hidden_features=16, hidden_layers=2)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=(1 / parameter[0].numel()) ** 0.5)
    return model.eval()


def picture(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@torch.inference_mode()
def values(model: LIIF, pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float64]:
    """All of the result at once, where white is 65535."""
    lr = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255
    net: Any = model.net
    out = net.pixels(net.features(lr), Axis(size[0], lr.shape[2]), Axis(size[1], lr.shape[3]))
    return out[0].permute(1, 2, 0).double().numpy() * 65535


def whole(model: LIIF, pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float64]:
    return values(model, pixels, size).clip(0, 65535)


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 13)])
def test_every_trunk_takes_every_size(trunk: str, size: tuple[int, int]) -> None:
    model, lr = liif(trunk), torch.rand(2, 3, *size)
    for scale in (1, 1.3, 2, 3.7, 12.5):
        with torch.inference_mode():
            out = model(lr, scale=scale)
        assert out.shape == (2, 3, *(size_at(length, scale) for length in size))
        assert out.isfinite().all()


@pytest.mark.parametrize("factor", [1, 1.4, 2, 3.7, 8, 12.5])
@pytest.mark.parametrize("options", [{"tile": 16}, {"tile": 31}, {}], ids=str)
def test_parts_have_the_values_of_the_whole(
    factor: float, options: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In tiles and in strips, to a level of 16 bit: places are counted in whole numbers, from the picture's corner."""
    monkeypatch.setattr("sr_lightning.inference.exact.SMALL", 0)
    monkeypatch.setattr("sr_lightning.strips.whole.SMALL", 0)
    model, pixels = liif(), picture(70, 53)
    size = Upscaler(model).upscale(pixels, factor=factor).shape[:2]
    upscaler = Upscaler(model, precision="float32", **options)
    result = upscaler.upscale(pixels.astype(np.uint16) * 257, factor=factor)
    assert np.abs(result - whole(model, pixels, size)).max() <= 1


def test_strips_are_what_computes_large_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_lightning.inference.exact.SMALL", 0)
    upscaler = Upscaler(liif(), precision="float32")
    upscaler.upscale(picture(60, 40), factor=1.5)
    (programs,) = upscaler._programs.values()
    assert not any(isinstance(program, str) for program in programs.values())


def test_no_result_is_resized(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("resized")

    monkeypatch.setattr("sr_lightning.inference.tiles.resizing.resize_part", refuse)
    Upscaler(liif()).upscale(picture(20, 30), size="77x77")


def test_parts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more pixels at once than a square of 128, whatever the factor."""
    asked: list[Box] = []
    part = any_scale.Decoding.part

    def seen(self: Any, one: Any, window: Any, shape: Any, box: Box, size: Any) -> Any:
        asked.append(box)
        return part(self, one, window, shape, box, size)

    monkeypatch.setattr(any_scale.Decoding, "part", seen)
    Upscaler(liif()).upscale(picture(20, 30), factor=12.5)
    assert sum(box.area for box in asked) == 250 * 375
    assert max(box.area for box in asked) == 128**2


def test_flips_are_the_mean_of_eight_results() -> None:
    model, pixels, size = liif(), picture(18, 25), (45, 63)
    total = np.zeros((*size, 3))
    for turn in range(8):
        view = np.rot90(pixels, turn % 4)
        view = view[:, ::-1] if turn >= 4 else view
        back = values(model, view, size[::-1] if turn % 2 else size)
        total += np.rot90(back[:, ::-1] if turn >= 4 else back, -(turn % 4)) / 8
    result = Upscaler(model, precision="float32", ensemble="mean").upscale(pixels.astype(np.uint16) * 257, factor=2.5)
    assert np.abs(result - total.clip(0, 65535)).max() <= 1


def test_what_is_for_one_scale_is_refused() -> None:
    model: Any = liif()
    for options in ({"engine": "onnxruntime"}, {"tiling": "chop"}, {"back_projection": 1}, {"ensemble": "median"}):
        with pytest.raises(ConfigError, match=r"is for networks of one scale, not for LIIF; choose \w+=\w+"):
            Upscaler(model, **options)
    with pytest.raises(DataError, match="only makes pictures larger"):
        Upscaler(model).upscale(picture(20, 30), factor=0.5)


def test_opacity_and_grey_and_many_bits() -> None:
    pixels = picture(14, 17)
    upscaler = Upscaler(liif())
    assert upscaler.upscale(pixels[..., 0], factor=2.3).shape == (33, 40)
    both = np.concatenate([pixels, np.full((14, 17, 1), 255, np.uint8)], axis=2)
    opaque = upscaler.upscale(both, factor=2.3)
    assert (opaque[..., 3] == 255).all()
    assert np.abs(opaque[..., :3].astype(int) - upscaler.upscale(pixels, factor=2.3)).max() <= 1


@pytest.mark.filterwarnings("ignore:.*below bicubic")
def test_the_command(tmp_path: Path) -> None:
    from sr_lightning.config import compose
    from sr_lightning.upscale import upscale

    Image.fromarray(picture(20, 30)).save(tmp_path / "a.png")
    sr.save_pretrained(liif(), tmp_path / "net")
    options = [f"input={tmp_path / 'a.png'}", f"weights={tmp_path / 'net'}", "device=cpu", "precision=float32"]
    for typed, name, size in (("factor=3.7", "a_x3.7", (111, 74)), ("size=100x400", "a_x3.333", (100, 67))):
        (written,) = upscale(compose("upscale", [*options, typed]))
        result = Image.open(written)
        assert (written.stem, result.size) == (name, size)
        expected = whole(liif(), picture(20, 30), size[::-1])
        assert np.abs(np.asarray(result) - expected / 257).max() <= 1
