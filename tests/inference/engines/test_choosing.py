"""``engine=auto``: the fastest engine that computes what torch computes, measured once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sr_lightning.inference import upscaler as upscaler_module
from sr_lightning.inference.engines import choosing
from sr_lightning.inference.engines.engine import with_engine
from sr_lightning.inference.engines.onnx_network import OnnxNetwork
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models.edsr import EDSR

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty memory of measurements."""
    monkeypatch.setenv("SR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "measured"


@pytest.fixture(scope="module")
def model() -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=2, num_features=4, num_blocks=1).eval()


class Timed(nn.Module):
    """A network that takes so many seconds of a clock of its own, and adds an error to the result."""

    now = 0.0

    def __init__(self, net: nn.Module, seconds: float, error: float) -> None:
        super().__init__()
        self.net, self.seconds, self.error = net, seconds, error

    def forward(self, *inputs: Tensor) -> Tensor:
        Timed.now += self.seconds
        return self.net(*inputs) + self.error  # type: ignore[no-any-return]


@pytest.fixture
def choose(model: EDSR, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The choice among engines of which each takes so many seconds."""

    def chosen(
        *, halo: int = 0, tile: int | None = None, error: float = 0.0, broken: str = "", **seconds: float
    ) -> str:
        def engine(network: EDSR, name: str, *_: Any) -> tuple[nn.Module, None]:
            if name == broken:
                raise RuntimeError("no such\ninstruction")
            return Timed(network.net, seconds[name], error if name != "torch" else 0.0), None

        monkeypatch.setattr(choosing, "engines_here", lambda device: dict.fromkeys(seconds, "1.0"))
        monkeypatch.setattr(choosing, "with_engine", engine)
        return choosing.fastest_engine(model, "float32", CPU, tile, lambda: halo, clock=lambda: Timed.now)

    return chosen


@pytest.mark.parametrize(
    ("onnxruntime", "openvino", "expected"),
    [(2.0, 3.0, "torch"), (0.95, 2.0, "torch"), (0.85, 2.0, "onnxruntime"), (0.85, 0.5, "openvino")],
)
def test_another_engine_must_be_clearly_faster(
    onnxruntime: float, openvino: float, expected: str, choose: Any, capsys: Any
) -> None:
    assert choose(torch=1.0, onnxruntime=onnxruntime, openvino=openvino) == expected
    line = capsys.readouterr().err.splitlines()[-1]
    seconds = {"torch": 1.0, "onnxruntime": onnxruntime, "openvino": openvino}[expected]
    assert line.startswith(f"engine: {expected} {seconds * 1e3:.3g} ms (prepared in ")
    assert line.endswith("for 256x256 pixels; the first is used (engine=auto)")


def test_the_halo_of_tiles_is_work(choose: Any) -> None:
    """64 pixels around tiles of 256 are 2.25 times the pixels; where torch has the same tiles, they do not matter."""
    assert choose(torch=1.0, onnxruntime=0.5, halo=64) == "torch"
    assert choose(torch=1.0, onnxruntime=0.5, halo=64, tile=128) == "onnxruntime"
    assert choose(torch=1.0, openvino=0.3, halo=64) == "openvino"


def test_what_fails_or_computes_something_else_is_left_out(choose: Any, capsys: Any) -> None:
    assert choose(torch=1.0, compile=0.1, broken="compile") == "torch"
    assert choose(torch=1.0, onnxruntime=0.1, error=0.01) == "torch"
    assert choose(torch=1.0, openvino=0.1, error=1e-7) == "openvino"
    told = capsys.readouterr().err.splitlines()
    broken, different = (line for line in told if line.startswith("engine=auto without"))
    assert broken == "engine=auto without compile: no such instruction"
    assert different.startswith("engine=auto without onnxruntime: it computes something else (")


def test_it_is_measured_once(choose: Any, memory: Path) -> None:
    assert choose(torch=1.0, onnxruntime=0.5) == "onnxruntime"
    assert choose(torch=0.5, onnxruntime=1.0) == "onnxruntime"  # remembered
    assert len([*memory.iterdir()]) == 1
    assert choose(torch=0.5, onnxruntime=1.0, openvino=2.0) == "torch"  # installed since


def test_a_slow_network_is_measured_for_a_short_time(choose: Any) -> None:
    before = Timed.now
    choose(torch=10.0, onnxruntime=10.0)
    assert Timed.now - before < 100  # a round, and what is compared


def test_without_a_compiler_none_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing.shutil, "which", lambda name: None)
    assert "compile" not in choosing.engines_here(CPU)
    monkeypatch.setattr(choosing.shutil, "which", lambda name: name)
    assert "compile" in choosing.engines_here(CPU)


def test_on_a_gpu_torch_alone_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "find_spec", lambda name: name)
    assert [*choosing.engines_here(torch.device("cuda"))] == ["torch", "compile"]


def test_files_of_onnx_stay_with_onnxruntime(memory: Path) -> None:
    network = OnnxNetwork(b"", {"scale": 2}, runner=lambda arrays: arrays[0])
    assert choosing.fastest_engine(network, "auto", CPU, 256, lambda: 0) == "onnxruntime"
    assert not memory.exists()


@pytest.mark.parametrize(("engine", "tile"), [("torch", None), ("onnxruntime", 256)])
def test_upscaler_computes_with_the_choice(
    engine: str, tile: int | None, model: EDSR, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """torch or onnxruntime itself, beside a slow one."""
    pytest.importorskip("onnxruntime")

    def other_is_slow(network: EDSR, name: Any, *rest: Any) -> Any:
        return with_engine(network, name, *rest) if name == engine else (Timed(network.net, 9.0, 0.0), None)

    monkeypatch.setattr(choosing, "engines_here", lambda device: {"torch": "1", "onnxruntime": "1"})
    monkeypatch.setattr(choosing, "with_engine", other_is_slow)
    monkeypatch.setattr(
        upscaler_module,
        "fastest_engine",
        lambda *args: choosing.fastest_engine(*args, clock=lambda: Timed.now),
    )
    picture = np.random.default_rng(0).integers(0, 256, (3, 270, 260), dtype=np.uint8)
    upscaler = Upscaler(model, engine="auto", precision="float32")
    result = upscaler.array(picture).astype(int)
    assert (upscaler.engine, upscaler.tile) == (engine, tile)
    assert np.abs(result - Upscaler(model, precision="float32").array(picture)).max() <= 1
    assert capsys.readouterr().err.count("engine=auto") == 1
