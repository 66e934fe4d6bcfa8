"""Exported files compute what the network does, or are not there; engines and precisions agree."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_lightning.config import compose
from sr_lightning.errors import CheckpointError, ConfigError, ExportError
from sr_lightning.inference.engines import exporting
from sr_lightning.inference.engines.agreement import max_difference, photographs, tolerance
from sr_lightning.inference.engines.half_precision import in_half_precision, psnr_between
from sr_lightning.inference.engines.onnx_network import OnnxNetwork, read_onnx
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models.edsr import EDSR
from sr_lightning.models.fsrcnn import FSRCNN
from sr_lightning.models.lapsrn import LapSRN
from sr_lightning.models.liif import LIIF
from sr_lightning.upscale import upscale
from sr_lightning.weights.card import KEY
from sr_lightning.weights.load import load_model
from sr_lightning.weights.shipped import load_pretrained
from tiny_networks import make

onnx = pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def model() -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=2, num_features=8, num_blocks=1).eval()


@pytest.fixture(scope="module")
def over_squares(tmp_path_factory: pytest.TempPathFactory) -> tuple[EDSR, Path]:
    """A network with SRNet's attention, whose squares divide the picture."""
    torch.manual_seed(0)
    net = EDSR(scale=2, num_features=8, num_blocks=1, attention="mpr_sa").eval()
    path = tmp_path_factory.mktemp("squares") / "net.onnx"
    exporting.export_network(net, path, "onnx")
    return net, path


@pytest.fixture(scope="module")
def file(model: EDSR, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    exporting.export_network(model, path, "onnx")
    return path


def test_onnx_knows_what_it_is(file: Path) -> None:
    """Read by onnx itself, as any other program would."""
    entries = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
    card = json.loads(entries[KEY])
    assert (card["network"], card["scale"], card["colour"], card["range"]) == ("EDSR", 2, "rgb", [0, 1])
    assert card["halo"] == Upscaler(EDSR(scale=2, num_features=8, num_blocks=1)).halo()


@pytest.mark.parametrize(("height", "width", "tile"), [(31, 57, 256), (61, 47, 20), (33, 80, 40)])
def test_onnx_equals_torch_in_tiles(height: int, width: int, tile: int, model: EDSR, file: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8)
    expected = Upscaler(model, precision="float32").array(picture, bits=16)
    result = Upscaler(read_onnx(file), tile=tile).array(picture, bits=16)
    assert np.abs(expected.astype(int) - result).max() <= 2


@pytest.mark.filterwarnings("ignore:.*dB below bicubic")
def test_upscale_takes_onnx(model: EDSR, file: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (21, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (written,) = upscale(compose("upscale", [f"input={tmp_path / 'a.png'}", f"checkpoint={file}", "device=cpu"]))
    expected = Upscaler(model, precision="float32").array(pixels.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert np.abs(np.asarray(Image.open(written)).astype(int) - expected).max() <= 1


def test_onnx_of_others(file: Path, tmp_path: Path) -> None:
    foreign = onnx.load(file)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "theirs.onnx")
    assert read_onnx(tmp_path / "theirs.onnx", {"scale": None}).scale == 2
    (tmp_path / "no.onnx").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="no ONNX network, or damaged"):
        read_onnx(tmp_path / "no.onnx")


@pytest.mark.parametrize("kind", ["torchscript", "pt2", "safetensors"])
def test_other_formats(kind: str, model: EDSR, tmp_path: Path) -> None:
    again = exporting.export_network(model, tmp_path / f"net{exporting.ENDINGS[kind]}", kind)
    lr = torch.rand(3, 3, 17, 29)
    with torch.inference_mode():
        assert torch.allclose(again(lr), model(lr), atol=1e-5)


def test_pyramids_keep_the_size_open(tmp_path: Path) -> None:
    net = LapSRN(scale=4, num_features=4, num_layers=1).eval()
    assert exporting.export_network(net, tmp_path / "net.pt2", "pt2")(torch.rand(1, 1, 9, 12)).shape == (1, 1, 36, 48)


@pytest.mark.parametrize("scale", [2, 3])
def test_a_network_of_any_scale_is_written_at_one(scale: int, tmp_path: Path) -> None:
    """At odd scales, pixels lie on the centres of LR's: two neighbours at no distance are no division by zero."""
    torch.manual_seed(0)
    net = LIIF(scale=scale, trunk_args={"num_features": 8, "num_blocks": 1}, hidden_features=16).eval()
    exporting.export_network(net, tmp_path / "net.onnx", "onnx")
    again = read_onnx(tmp_path / "net.onnx")
    for size in ((9, 25), (25, 9), (1, 1)):
        lr = torch.rand(1, 3, *size)
        with torch.inference_mode():
            assert torch.allclose(again(lr), net(lr), atol=1e-5)
    with pytest.raises(ConfigError, match=r"scale=2\.5: only networks of a whole scale"):
        exporting.export_network(LIIF(scale=2.5, trunk_args={"num_blocks": 1}), tmp_path / "no.onnx", "onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dat", "atd", "pft"])
def test_attention_in_windows_keeps_the_size_open(name: str, tmp_path: Path) -> None:
    """What is written was compared at three sizes."""
    exporting.export_network(make(name), tmp_path / "net.onnx", "onnx")
    read = read_onnx(tmp_path / "net.onnx")
    assert read(torch.rand(2, 3, 17, 5)).shape == (2, 3, 34, 10)


@pytest.mark.parametrize("size", [(9, 25), (25, 9), (12, 12)])
def test_attention_over_squares_keeps_the_size_open(over_squares: tuple[EDSR, Path], size: tuple[int, int]) -> None:
    net, path = over_squares
    lr = torch.rand(1, 3, *size)
    with torch.inference_mode():
        assert torch.allclose(read_onnx(path)(lr), net(lr), atol=1e-5)


@pytest.mark.parametrize("name", ["bsrn", "rlfn", "smfanet", "realplksr_dysample"])
def test_small_pictures_stay_open_where_a_coarse_map_is_computed(name: str, tmp_path: Path) -> None:
    """Without branches by the size of the picture that it was exported with."""
    net = make(name).eval()
    again = exporting.export_network(net, tmp_path / "net.onnx", "onnx")
    for size in ((1, 1), (3, 5), (7, 40), (114, 33)):
        lr = torch.rand(1, 3, *size)
        with torch.inference_mode():
            expected = net(lr)
            assert (again(lr) - expected).abs().max() < 1e-4 * expected.abs().max(), size


@pytest.mark.parametrize(
    ("name", "kind"),
    [("rfdn", "torchscript"), ("rfdn", "pt2"), ("bsrn", "torchscript"), ("swinir_light", "torchscript")],
)
def test_programs_of_torch_stay_open_as_well(name: str, kind: str, tmp_path: Path) -> None:
    """For smaller and larger pictures than the program was made with."""
    net = make(name).eval()
    again = exporting.export_network(net, tmp_path / f"net{exporting.ENDINGS[kind]}", kind)
    for size in ((1, 1), (5, 16), (9, 12), (40, 7), (114, 33)):
        lr = torch.rand(1, 3, *size)
        with torch.inference_mode():
            expected = net(lr)
            assert (again(lr) - expected).abs().max() < 1e-4 * expected.abs().max(), size


def test_half_precision_in_the_file(model: EDSR, tmp_path: Path) -> None:
    exporting.export_network(model, tmp_path / "net.onnx", "onnx", precision="fp16")
    kinds = {
        tensor.data_type for tensor in onnx.load(tmp_path / "net.onnx").graph.initializer if tensor.dims[2:] == [3, 3]
    }
    assert kinds == {onnx.TensorProto.FLOAT16}
    lr = torch.rand(1, 3, 13, 18)
    with torch.inference_mode():
        max_difference = (read_onnx(tmp_path / "net.onnx")(lr) - model(lr)).abs().max()
    assert 0 < max_difference < 0.01


def test_luma_takes_one_channel_and_keeps_colour(tmp_path: Path) -> None:
    net = FSRCNN(scale=3).eval()
    exporting.export_network(net, tmp_path / "net.onnx", "onnx")
    lr = torch.rand(1, 3, 13, 18)
    with torch.inference_mode():
        assert torch.allclose(read_onnx(tmp_path / "net.onnx")(lr), net(lr), atol=1e-5)


@pytest.mark.parametrize("kind", ["torchscript", "pt2"])
def test_programs_are_no_checkpoints(kind: str, model: EDSR, tmp_path: Path) -> None:
    path = tmp_path / f"net{exporting.ENDINGS[kind]}"
    exporting.export_network(model, path, kind)
    with pytest.raises(CheckpointError, match=r"is (a TorchScript|an exported) program, not weights"):
        upscale(compose("upscale", [f"input={Path(__file__)}", f"checkpoint={path}"]))


@pytest.mark.filterwarnings("ignore:.*dB below bicubic")
def test_another_scale_than_the_file_s_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"scale=3: .*net\.onnx is for scale 2; factor=3 resizes its result"):
        upscale(compose("upscale", [f"input={Path(__file__)}", f"checkpoint={file}", "scale=3"]))


def test_a_file_that_differs_is_not_written(
    model: EDSR, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "load_safetensors", lambda path: lambda lr: model.net(lr) + 1e-3)
    with pytest.raises(ExportError, match=r"differs from this one by 0\.001; not written"):
        exporting.export_network(model, tmp_path / "net.safetensors", "safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "precision", "message"),
    [("tflite", "float32", "format=tflite"), ("pt2", "int8", "precision=int8"), ("onnx", "int4", "precision=int4")],
)
def test_mistakes(kind: str, precision: Any, message: str, model: EDSR, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        exporting.export_network(model, tmp_path / "net", kind, precision)


def test_int8_is_near(model: EDSR, tmp_path: Path) -> None:
    pictures = [photographs(model)[0], photographs(model)[0].flip(-1)]
    again = exporting.export_network(model, tmp_path / "net.onnx", "onnx", "int8", pictures)
    kinds = {node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert isinstance(again, OnnxNetwork) and 30 < psnr_between(model, again, photographs(model)) < 90


def test_half_precision_only_where_it_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_lightning.inference.engines.half_precision.fastest_precision", lambda device: "bf16")
    cpu = torch.device("cpu")
    torch.manual_seed(0)
    model = EDSR(scale=2, num_features=8, num_blocks=1).eval()
    assert in_half_precision(model, "float32", cpu)[1] is None
    assert in_half_precision(model, "bf16", cpu)[1] is torch.bfloat16
    monkeypatch.setattr("sr_lightning.inference.engines.half_precision.NEGLIGIBLE", 200.0)
    assert in_half_precision(model, "auto", cpu)[1] is None
    monkeypatch.setattr("sr_lightning.inference.engines.half_precision.NEGLIGIBLE", 20.0)
    net, half = in_half_precision(model, "auto", cpu)
    assert half is torch.bfloat16

    def in_half(lr: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return net(lr)  # type: ignore[no-any-return]

    def plain(lr: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return model.net(lr)  # type: ignore[no-any-return]

    inputs = photographs(model)
    assert psnr_between(model, in_half, inputs) > psnr_between(model, plain, inputs) + 1  # what exact ends are for


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "tensorrt"}, "engine=tensorrt: there are torch, compile, onnxruntime, openvino"),
        ({"precision": "int8"}, "precision=int8: there are auto"),
        ({"engine": "onnxruntime", "precision": "bf16"}, "in the precision of the exported file"),
    ],
)
def test_engines_and_precisions_that_are_none(options: dict[str, Any], message: str, model: EDSR) -> None:
    with pytest.raises(ConfigError, match=message):
        Upscaler(model, **options).array(np.zeros((3, 8, 8), np.uint8))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_engines_agree(engine: Any, model: EDSR) -> None:
    pytest.importorskip(engine)
    picture = np.random.default_rng(0).integers(0, 256, (3, 45, 38), dtype=np.uint8)
    expected = Upscaler(model, precision="float32").array(picture, bits=16)
    result = Upscaler(model, engine=engine, precision="float32", tile=20).array(picture, bits=16)
    assert np.abs(expected.astype(int) - result).max() <= 4


@pytest.mark.parametrize(
    ("name", "kind"), [("espcn", "onnx"), ("fsrcnn", "onnx"), *(("span", k) for k in exporting.ENDINGS)]
)
def test_networks_of_the_package_export(name: str, kind: str, tmp_path: Path) -> None:
    network, path = load_pretrained(name, 2), tmp_path / f"net{exporting.ENDINGS[kind]}"
    exporting.export_network(network, path, kind)
    read = {"onnx": read_onnx, "torchscript": torch.jit.load, "safetensors": load_model,
            "spandrel": load_model, "pt2": lambda file: torch.export.load(file).module()}[kind]  # fmt: skip
    inputs = photographs(network, 1, 33, 47)
    with torch.inference_mode():
        assert torch.allclose(read(path)(*inputs), network(*inputs), atol=1e-3)


def test_and_on_a_processor_without_avx512(tmp_path: Path) -> None:
    """Which is one of another order of adding up; both variables are read when torch is imported."""
    code = "from sr_lightning.export import main; main()"
    command = [sys.executable, "-c", code, "model=span", "format=onnx", f"output={tmp_path / 'net.onnx'}"]
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    assert read_onnx(tmp_path / "net.onnx").scale == 2


def test_rounding_is_no_difference_and_little_else_is() -> None:
    """On noise, SPAN differs by a hundredth between two processors: it is no measure of anything."""
    model = load_pretrained("span", 2)
    inputs = photographs(model, 1, 33, 47)
    allowed = tolerance(model.net, inputs)
    order = copy.deepcopy(model.net).double()  # any other order of adding up is nearer than this
    assert 0 < max_difference(lambda x: order(x.double()).float(), model.net, inputs) < allowed < 1e-3
    weight = next(p for p in order.parameters() if p.ndim == 4).data
    weight[0, 0, 1, 1] += 0.01 * weight.abs().max()
    assert max_difference(lambda x: order(x.double()).float(), model.net, inputs) > allowed
