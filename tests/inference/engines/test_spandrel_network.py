"""Networks of spandrel behind our tiles, and spandrel imported whatever torchvision is."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.inference.engines import spandrel_network as engine
from sr_lightning.inference.engines.spandrel_network import SpandrelNetwork, read_spandrel, spandrel_network
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import Compact


def network(name: str, **arguments: Any) -> SpandrelNetwork:
    """A network of spandrel with random weights, through its names."""
    torch.manual_seed(0)
    module = import_module(f"spandrel.architectures.{name}")
    return spandrel_network(getattr(module, name)(**arguments).state_dict(), "file.pth")


def safmn(scale: int = 2) -> SpandrelNetwork:
    return network("SAFMN", dim=12, n_blocks=2, ffn_scale=2.0, upscaling_factor=scale)


def drunet() -> SpandrelNetwork:
    return network("DRUNet", in_nc=2, out_nc=1, nc=(8, 8, 8, 8), nb=2)


def craft() -> SpandrelNetwork:
    return network(
        "CRAFT", window_size=16, embed_dim=12, depths=(2,), num_heads=(2,), split_size_0=4, split_size_1=8, mlp_ratio=2,
        upscale=2, resi_connection="1conv",
    )  # fmt: skip


def compact() -> SpandrelNetwork:
    torch.manual_seed(0)
    return spandrel_network(Compact(scale=2, num_features=8, num_convs=2).net.state_dict(), "file.pth")


@pytest.mark.parametrize(("make", "scale", "channels"), [(compact, 2, 3), (safmn, 2, 3), (craft, 2, 3), (drunet, 1, 1)])
@pytest.mark.parametrize("size", [(16, 16), (13, 21)])
def test_any_size(spandrel: Any, make: Any, scale: int, channels: int, size: tuple[int, int]) -> None:
    model = make()
    assert model.scale == scale and model.luma == (channels == 1)
    with torch.inference_mode():
        sr = model(torch.rand(2, 3, *size))
    assert sr.shape == (2, 3, scale * size[0], scale * size[1]) and sr.isfinite().all()


def test_it_is_what_spandrel_computes(spandrel: Any) -> None:
    model, lr = craft(), torch.rand(1, 3, 19, 30)
    state = {name.removeprefix("net.model."): value for name, value in model.state_dict().items()}
    theirs = spandrel.ModelLoader().load_from_state_dict(state)
    assert theirs.size_requirements.multiple_of == model.tile_multiple == 16
    with torch.inference_mode():
        torch.testing.assert_close(model(lr).clamp(0, 1), theirs(lr))


def test_a_network_of_convolutions_in_tiles_is_the_whole(spandrel: Any) -> None:
    model = compact()
    assert model.halo == 4
    picture = torch.rand(3, 50, 41, generator=torch.Generator().manual_seed(0))
    whole, tiled = (Upscaler(model, tile=tile, precision="float32").upscale(picture) for tile in (64, 16))
    torch.testing.assert_close(tiled, whole, atol=1.01 / 65535, rtol=0)  # results are rounded to 16 bits


def test_networks_that_look_far_are_not_measured(spandrel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "receptive_radius", lambda *_: 7)
    assert (craft().halo, compact().halo) == (64, 7)
    monkeypatch.setattr(engine, "receptive_radius", lambda *_: 1 / 0)
    assert compact().halo == 64  # what cannot be measured


def test_tiles_begin_where_a_network_asks(spandrel: Any) -> None:
    sizes: list[tuple[int, ...]] = []
    model = craft()
    model.net.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape[-2:])))
    model._measured = 16
    Upscaler(model, tile=32, precision="float32").upscale(torch.rand(3, 64, 96))
    assert len(sizes) > 1 and all(side % 16 == 0 for size in sizes for side in size)


def test_files(spandrel: Any, tmp_path: Path, real_data: Path) -> None:
    model = read_spandrel(real_data / "weights_2/realesr-animevideov3_x4_fp16.safetensors")
    assert (model.title, model.scale) == ("RealESRGAN Compact", 4)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    with pytest.raises(CheckpointError, match=r"RLFN_x2\.pth: spandrel does not recognise this network"):
        read_spandrel(real_data / "weights_2/RLFN_x2.pth")


def test_what_is_no_network_for_pictures(spandrel: Any) -> None:
    state = Compact(scale=2, num_features=8, num_convs=1).net.state_dict()
    with pytest.raises(CheckpointError, match=r"a\.pth: body\.0\.weight holds NaN"):
        spandrel_network({**state, "body.0.weight": state["body.0.weight"] * torch.nan}, "a.pth")
    with pytest.raises(CheckpointError, match=r"a\.pth: spandrel cannot load it \("):
        spandrel_network({**state, "body.2.weight": state["body.2.weight"][:3]}, "a.pth")
    wide = nn.Conv2d(6, 8, 3).state_dict()
    with pytest.raises(CheckpointError, match=r"a\.pth: is RealESRGAN Compact of 6 channels in and \d+ out"):
        spandrel_network({**state, "body.0.weight": wide["weight"], "body.0.bias": wide["bias"]}, "a.pth")


# --- importing it -----------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages, in which spandrel needs what the real one needs of torchvision."""
    hidden = {
        name: sys.modules.pop(name) for name in [*sys.modules] if name.split(".")[0] in ("spandrel", "torchvision")
    }
    (tmp_path / "spandrel").mkdir()
    (tmp_path / "spandrel/__init__.py").write_text(
        "from torchvision.transforms.functional import InterpolationMode, rotate\nmode = InterpolationMode.NEAREST\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] in ("spandrel", "torchvision")]:
        del sys.modules[name]
    sys.modules.update(hidden)


def torchvision_in(folder: Path, content: str, functional: str = "") -> None:
    (folder / "torchvision/transforms").mkdir(parents=True)
    (folder / "torchvision/__init__.py").write_text(content)
    (folder / "torchvision/transforms/__init__.py").write_text("")
    (folder / "torchvision/transforms/functional.py").write_text(functional)


def loaded() -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] == "torchvision"]


def test_without_torchvision(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)  # as Python marks what must not be imported
    module = engine.import_spandrel()
    assert sys.modules["torchvision"] is None and loaded() == ["torchvision"]
    with pytest.raises(ConfigError, match=r"this network needs torchvision\.transforms\.functional\.rotate"):
        module.rotate(torch.zeros(1))


def test_with_a_broken_torchvision(package: Path) -> None:
    torchvision_in(
        package, "import torchvision.transforms\nraise RuntimeError('operator torchvision::nms does not exist')"
    )
    engine.import_spandrel()
    assert loaded() == []
    with pytest.raises(RuntimeError, match="nms"):  # still what it was
        import_module("torchvision")


def test_with_a_working_torchvision(package: Path) -> None:
    torchvision_in(package, "", "class InterpolationMode:\n    NEAREST = 7\n\nrotate = 8\n")
    module = engine.import_spandrel()
    assert (module.mode, module.rotate) == (7, 8)
    assert "torchvision.transforms.functional" in loaded()


def test_a_broken_spandrel(package: Path) -> None:
    (package / "spandrel/__init__.py").write_text("import nothing_of_this_name")
    with pytest.raises(
        ConfigError, match=r"spandrel is installed, but cannot be imported \(No module named 'nothing_of"
    ):
        engine.import_spandrel()
    assert loaded() == []


def test_no_spandrel(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"need spandrel: pip install --no-deps "):
        engine.import_spandrel()
