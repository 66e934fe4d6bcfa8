"""Networks in ONNX files, computed by onnxruntime or OpenVINO."""

import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from sr_lightning.blocks import Luma
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.inference.engines.foreign import Runner, foreign_card
from sr_lightning.inference.memory import is_out_of_memory
from sr_lightning.inference.tiles.boxes import Box, tiles
from sr_lightning.inference.tiles.receptive_field import GLOBAL_HALO
from sr_lightning.weights.card import KEY, parsed_card

_TYPES = {"tensor(float16)": np.float16, "tensor(double)": np.float64}


class OnnxNetwork(nn.Module):
    """A network in an ONNX file, for ``Upscaler``.

    Args:
        source: The file, or what it holds.
        card: What ``describe`` says, the ``halo`` of tiles, ``looks_everywhere`` if the network looks farther, and
            ``tile_multiple``; of networks that take one size alone, ``window``: height and width; of those whose sides
            must be divisible by a number, ``multiple``.
        runner: Computes it; by default onnxruntime.
    """

    zero_shot = False
    any_scale = False
    cpu_only = True
    packed = False
    may_fall_back = False  # what it should give is not known
    title = "the network"

    def __init__(self, source: bytes | Path, card: dict[str, Any], runner: Runner | None = None) -> None:
        super().__init__()
        self.source, self.card = source, card
        if not isinstance(card["scale"], int):
            raise CheckpointError(f"{card.get('network', 'the network')}: scale={card['scale']} is not a whole number")
        self.scale: int = card["scale"]
        self.inputs: tuple[str, ...] = tuple(card.get("inputs", ["lr"]))
        self.luma: bool = card.get("colour", "rgb") == "luma"
        self.white: float = card.get("range", [0, 1])[1]
        self.multiple: int = card.get("multiple", 1)
        self.run = runner or runner_of(onnx_session(source))

    @property
    def reads_mosaic(self) -> bool:
        """Whether it reads a camera's RAW file."""
        return "raw" in self.inputs

    @property
    def tile_multiple(self) -> int:
        """Tiles begin on multiples of this."""
        return int(self.card.get("tile_multiple", 4 if self.reads_mosaic else self.multiple))

    @cached_property
    def halo(self) -> int:
        """LR pixels that tiles have around them; where nobody says, those of networks that look everywhere."""
        if "halo" in self.card:
            return int(self.card["halo"])
        window: list[int] = self.card.get("window", [])
        halo = min([GLOBAL_HALO, *(side // 4 for side in window)])
        warnings.warn(
            f"{self.card['network']}: does not say how far it looks; tiles have {halo} pixels around them, and leave "
            "seams if that is too few: foreign.halo=PIXELS",
            stacklevel=2,
        )
        return halo

    @property
    def looks_everywhere(self) -> bool:
        """Whether it looks farther than ``halo``, or nobody says how far it looks."""
        return bool(self.card.get("looks_everywhere", "halo" not in self.card))

    def forward(self, *inputs: Tensor) -> Tensor:
        lr = inputs[-1]
        if self.luma and lr.shape[1] == 3 and self.inputs == ("lr",):
            return Luma(self, self.scale)(lr)  # type: ignore[no-any-return]
        if "window" in self.card:
            return self._in_windows(lr, *self.card["window"])
        return self._filled_up(lr) if self.multiple > 1 else self._run(*inputs)

    def _run(self, *inputs: Tensor) -> Tensor:
        arrays = [np.ascontiguousarray((x.float() * self.white).cpu().numpy()) for x in inputs]
        return torch.from_numpy(self.run(arrays)).to(inputs[0].device) / self.white

    def _filled_up(self, lr: Tensor) -> Tensor:
        """Sides that are no multiple are filled up with their last pixels."""
        height, width = lr.shape[-2:]
        sr = self._run(F.pad(lr, (0, -width % self.multiple, 0, -height % self.multiple), mode="replicate"))
        return sr[..., : height * self.scale, : width * self.scale]

    def _in_windows(self, lr: Tensor, rows: int, columns: int) -> Tensor:
        """Pictures of any size in parts of one; smaller ones are filled up with their last pixels."""
        (height, width), scale = lr.shape[-2:], self.scale
        lr = F.pad(lr, (0, max(0, columns - width), 0, max(0, rows - height)), mode="replicate")
        tall, wide = lr.shape[-2:]
        halo = self.halo if (tall, wide) != (rows, columns) else 0
        out = lr.new_empty(*lr.shape[:-2], tall * scale, wide * scale)
        for box, around in tiles(tall, wide, min(rows, columns) - 2 * halo, halo):
            top, left = min(around.top, tall - rows), min(around.left, wide - columns)
            window = Box(top, top + rows, left, left + columns)
            sr = torch.cat([self._run(one[None]) for one in lr[..., *window.slices]])
            place = box.times(scale, scale)
            out[..., *place.slices] = sr[..., *place.inside(window.times(scale, scale)).slices]
        return out[..., : height * scale, : width * scale]


def read_onnx(path: Path | str, foreign: dict[str, Any] | None = None) -> OnnxNetwork:
    """The network in a file; ``foreign`` states what the file of another program does not tell.

    Raises:
        ConfigError: If ``foreign`` cannot be.
        CheckpointError: If the file is missing or damaged, or no network for super-resolution.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such network")
    session = onnx_session(path)
    text = session.get_modelmeta().custom_metadata_map.get(KEY)
    if text is not None:
        return OnnxNetwork(path, parsed_card(text, path, "scale"), runner_of(session, path))
    run = runner_of(session, path)
    return OnnxNetwork(path, foreign_card(path, session, run, foreign or {}), run)


def onnx_session(source: bytes | Path) -> Any:
    """A file, or what it holds, for onnxruntime, in as many threads as torch has."""
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError('ONNX needs onnxruntime: pip install "sr_lightning[export]"') from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # errors are raised
    options.enable_cpu_mem_arena = False  # it never gives back what one tile took
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of a dozen classes of its own
        name = source if isinstance(source, Path) else "export"
        raise CheckpointError(f"{name}: no ONNX network, or damaged ({_reason(error)})") from None


def runner_of(session: Any, path: Path | None = None) -> Runner:
    """Computes an ONNX network with onnxruntime.

    Raises:
        MemoryError: If it does not fit into memory.
        CheckpointError: If the network does not take a picture.
    """
    entries = [(entry.name, _TYPES.get(entry.type, np.float32)) for entry in session.get_inputs()]

    def run(arrays: list[NDArray[Any]]) -> NDArray[Any]:
        feeds = {name: array.astype(kind) for (name, kind), array in zip(entries, arrays, strict=True)}
        try:
            (out,) = session.run(None, feeds)
        except Exception as error:  # its classes are none of Python's
            if is_out_of_memory(error):
                raise MemoryError(f"onnxruntime: {_reason(error)}") from error
            where, size = path or "onnxruntime", "x".join(map(str, arrays[-1].shape[-2:]))
            raise CheckpointError(f"{where}: cannot enlarge {size} pixels ({_reason(error)})") from error
        return np.asarray(out, np.float32)

    return run


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:150]


def openvino_runner(network: bytes | Path | nn.Module, inputs: list[Tensor], half: bool) -> Runner:
    """Computes an ONNX file, or a network of torch, with OpenVINO, in as many threads as torch has."""
    try:
        import openvino
    except ImportError:
        raise ConfigError('engine=openvino needs OpenVINO: pip install "sr_lightning[openvino]"') from None
    core = openvino.Core()
    if isinstance(network, bytes | Path):
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
