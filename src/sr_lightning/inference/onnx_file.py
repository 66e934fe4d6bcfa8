"""Networks in ONNX files, computed by onnxruntime or OpenVINO."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sr_lightning.blocks import Luma
from sr_lightning.errors import CheckpointError, ConfigError

KEY = "sr_lightning"  # of the card in a file's metadata
Runner = Callable[[list[NDArray[Any]]], NDArray[Any]]


class OnnxNetwork(nn.Module):
    """A network in an ONNX file, for :class:`~sr_lightning.inference.upscaler.Upscaler`.

    Args:
        content: The file.
        card: What :func:`~sr_lightning.portable.describe` says, and the ``halo`` of tiles.
        runner: Computes it, by itself onnxruntime.
    """

    zero_shot = False

    def __init__(self, content: bytes, card: dict[str, Any], runner: Runner | None = None) -> None:
        super().__init__()
        self.content, self.card = content, card
        self.scale: int = card["scale"]
        self.inputs: tuple[str, ...] = tuple(card.get("inputs", ["lr"]))
        self.luma: bool = card.get("colour", "rgb") == "luma"
        self.white: float = card.get("range", [0, 1])[1]
        self.run = runner or onnxruntime_runner(content)

    def forward(self, *inputs: Tensor) -> Tensor:
        lr = inputs[-1]
        if self.luma and lr.shape[1] == 3 and self.inputs == ("lr",):
            return Luma(self, self.scale)(lr)  # type: ignore[no-any-return]
        arrays = [np.ascontiguousarray((x.float() * self.white).cpu().numpy()) for x in inputs]
        return torch.from_numpy(self.run(arrays)).to(lr.device) / self.white


def read_onnx(path: Path, foreign: dict[str, Any] | None = None) -> OnnxNetwork:
    """The network of a file; ``foreign`` says of others' files what their metadata do not.

    Raises:
        CheckpointError: If the file is missing or damaged, or nobody says what its network's scale is.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such network")
    content = path.read_bytes()
    session = _session(content, path)
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is None:
        card = {key: value for key, value in (foreign or {}).items() if value is not None}
        if "scale" not in card:
            raise CheckpointError(
                f"{path}: not exported by this library, and its metadata have no scale; say foreign.scale=2, "
                "and if need be foreign.colour=luma, foreign.white=255, foreign.halo=PIXELS"
            )
        text = json.dumps({"network": path.stem, "range": [0, card.pop("white", 1)], **card})
    return OnnxNetwork(content, json.loads(text), _runner_of(session))


def onnxruntime_runner(content: bytes) -> Runner:
    """Computes an ONNX network with onnxruntime, in as many threads as torch has."""
    return _runner_of(_session(content, None))


def _session(content: bytes, path: Path | None) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError('ONNX needs onnxruntime: pip install "sr_lightning[export]"') from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # it never gives back what one tile took
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of a dozen classes of its own
        raise CheckpointError(f"{path}: no ONNX network, or damaged ({' '.join(str(error).split())[:150]})") from None


def _runner_of(session: Any) -> Runner:
    names = [entry.name for entry in session.get_inputs()]

    def run(arrays: list[NDArray[Any]]) -> NDArray[Any]:
        (out,) = session.run(None, dict(zip(names, arrays, strict=True)))
        return np.asarray(out)

    return run


def openvino_runner(network: bytes | nn.Module, inputs: list[Tensor], half: bool) -> Runner:
    """Computes an ONNX file, or a network of torch, with OpenVINO, in as many threads as torch has."""
    try:
        import openvino
    except ImportError:
        raise ConfigError('engine=openvino needs OpenVINO: pip install "sr_lightning[openvino]"') from None
    core = openvino.Core()
    if isinstance(network, bytes):
        program = core.read_model(network)
    else:
        program = openvino.convert_model(network, example_input=tuple(inputs))
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
    }
    request = core.compile_model(program, "CPU", settings).create_infer_request()

    def run(arrays: list[NDArray[Any]]) -> NDArray[Any]:
        return np.array(request.infer(arrays)[0])  # a copy: the next tile is written into the same memory

    return run
