"""ONNX files that this library did not write, made by onnx itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.inference.engines.onnx_network import OnnxNetwork, read_onnx, runner_of
from sr_lightning.inference.upscaler import Upscaler

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

WEIGHT = np.random.default_rng(0).normal(size=(12, 3, 5, 5)).astype(np.float32) / 20


def write(
    path: Path,
    shape: list[int | str],
    *,
    kind: int = TensorProto.FLOAT,
    weight: Any = WEIGHT,
    inputs: int = 1,
    outputs: int = 1,
) -> Path:
    """A convolution that sees two pixels around each, and a pixel shuffle to twice the size."""
    weight = numpy_helper.from_array(weight.astype(helper.tensor_dtype_to_np_dtype(kind)), "w")
    nodes = [
        helper.make_node("Conv", ["x0", "w"], ["y"], pads=[2, 2, 2, 2]),
        helper.make_node("DepthToSpace", ["y"], ["z0"], blocksize=2, mode="CRD"),
        helper.make_node("Identity", ["z0"], ["z1"]),
    ]
    ins = [helper.make_tensor_value_info(f"x{i}", kind, shape) for i in range(inputs)]
    outs = [helper.make_tensor_value_info(f"z{i}", kind, None) for i in range(outputs)]
    graph = helper.make_graph(nodes, "theirs", ins, outs, [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def whole(picture: torch.Tensor, weight: Any = WEIGHT) -> torch.Tensor:
    return torch.pixel_shuffle(torch.conv2d(picture, torch.from_numpy(weight), padding=2), 2)


@pytest.mark.parametrize("size", [(40, 52), (24, 32), (9, 70), (7, 5)])
def test_one_size_serves_all(size: tuple[int, int], tmp_path: Path) -> None:
    """Exactly where the picture is as large as the window; smaller ones continue with their last pixels."""
    net = read_onnx(write(tmp_path / "a.onnx", [1, 3, 24, 32]), {"halo": 2})
    x = torch.rand(2, 3, *size)
    height, width = max(24, size[0]), max(32, size[1])
    filled = torch.nn.functional.pad(x, (0, width - size[1], 0, height - size[0]), mode="replicate")
    torch.testing.assert_close(net(x), whole(filled)[..., : 2 * size[0], : 2 * size[1]])


def test_one_size_in_tiles(tmp_path: Path) -> None:
    net = read_onnx(write(tmp_path / "a.onnx", [1, 3, 24, 32]), {"halo": 2})
    picture = np.random.default_rng(0).integers(0, 256, (3, 81, 67), dtype=np.uint8)
    expected = whole(torch.from_numpy(picture)[None] / 255)[0].clamp(0, 1) * 255
    result = Upscaler(net, tile=40, ensemble=None).array(picture)
    assert np.abs(expected.numpy() - result).max() <= 0.501


def test_sides_that_must_be_divisible(tmp_path: Path) -> None:
    net = read_onnx(write(tmp_path / "a.onnx", [1, 3, "h", "w"]), {"halo": 2, "multiple": 4})
    run, seen = net.run, []

    def strict(arrays: list[Any]) -> Any:
        seen.append(arrays[0].shape[-2:])
        return run(arrays)

    net.run = strict
    picture = np.random.default_rng(0).integers(0, 256, (3, 41, 67), dtype=np.uint8)
    result = Upscaler(net, tile=30).array(picture)
    assert len(seen) > 1 and not any(side % 4 for shape in seen for side in shape)
    inside = np.s_[:, :78, :130]  # the last two pixels of LR see what fills it up
    expected = whole(torch.from_numpy(picture)[None] / 255)[0].clamp(0, 1) * 255
    assert np.abs(expected.numpy()[inside] - result[inside]).max() <= 0.501


def test_half_precision_and_255(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", ["n", 3, "h", "w"], kind=TensorProto.FLOAT16)
    net, x = read_onnx(path, {"white": 255}), torch.rand(1, 3, 12, 14)
    assert net.scale == 2 and net(x).dtype is torch.float32
    torch.testing.assert_close(net(x), whole(x), atol=2e-3, rtol=0)


def test_one_channel_is_luma(tmp_path: Path) -> None:
    weight = WEIGHT[:4, :1]
    net, x = read_onnx(write(tmp_path / "a.onnx", [1, 1, "h", "w"], weight=weight)), torch.rand(1, 1, 12, 14)
    assert net.luma and net(torch.rand(1, 3, 6, 7)).shape == (1, 3, 12, 14)
    torch.testing.assert_close(net(x), whole(x, weight))


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ([1, "h", "w", 3], {}, "channels before height"),
        ([4, 3, "h", "w"], {}, r"with a batch of one"),
        ([1, 4, "h", "w"], {"weight": WEIGHT[:, [0, 1, 2, 0]]}, r"\(1, 1 or 3, height, width\)"),
        ([1, 3, "h", "w"], {"inputs": 2}, r"reads x0 tensor\(float\)\[1, 3, 'h', 'w'\], x1 .* networks of one picture"),
        ([1, 3, "h", "w"], {"outputs": 2}, "gives 2 outputs"),
        ([1, 3, "h", "w"], {"weight": WEIGHT[:8]}, "no enlargement by a whole factor"),
    ],
)
def test_networks_of_other_kinds(shape: list[int | str], options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_onnx(write(tmp_path / "a.onnx", shape, **options))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"scale": 3}, "foreign.scale=3: .* enlarges by 2"),
        ({"colour": "luma"}, "foreign.colour=luma: .* reads 3 channels"),
        ({"colour": "cmyk"}, "must be rgb or luma"),
        ({"white": 0}, "foreign.white=0"),
        ({"halo": -1}, "foreign.halo=-1"),
        ({"halo": 12}, "leaves nothing"),
    ],
)
def test_what_cannot_be_said(said: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read_onnx(write(tmp_path / "a.onnx", [1, 3, 24, 32]), said)


def test_a_halo_that_is_assumed_is_told(tmp_path: Path) -> None:
    net = Upscaler(read_onnx(write(tmp_path / "a.onnx", [1, 3, "h", "w"])), tile=30)
    net.array(np.zeros((3, 20, 30), np.uint8))  # one tile has no seams, and no warning
    with pytest.warns(UserWarning, match=r"a\.onnx: does not say how far it looks; tiles have 32 .* foreign.halo="):
        assert net.array(np.zeros((3, 100, 30), np.uint8)).shape == (3, 200, 60)


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    model = onnx.load(write(tmp_path / "a.onnx", [1, 3, "h", "w"]))
    onnx.save(model, tmp_path / "b.onnx", save_as_external_data=True, location="b.data", size_threshold=0)
    x = torch.rand(1, 3, 12, 14)
    torch.testing.assert_close(read_onnx(tmp_path / "b.onnx")(x), whole(x))


class _Full:
    """A session that has memory for few pixels, and says so in no class of Python's."""

    def get_inputs(self) -> list[Any]:
        return [type("Entry", (), {"name": "x", "type": "tensor(float)"})]

    def run(self, _: None, feeds: dict[str, Any]) -> list[Any]:
        if feeds["x"].shape[-1] > 40:
            raise Exception("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")
        return [feeds["x"]]


def test_tiles_that_do_not_fit_are_halved() -> None:
    net = OnnxNetwork(b"", {"scale": 1, "halo": 0}, runner_of(_Full()))
    picture = np.random.default_rng(0).integers(0, 256, (3, 30, 100), dtype=np.uint8)
    assert np.array_equal(Upscaler(net).array(picture), picture)
