"""Networks in ncnn's files: ``.param`` names the layers, ``.bin`` has their numbers in order. No code is run."""

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sr_lightning.config.paths import refuse_folder
from sr_lightning.errors import CheckpointError

_MAGIC = "7767517"
#: What stands before the weights of a convolution: their type.
_FLOAT16, _FLOAT32 = 0x01306B47, 0
#: Layers without numbers, in the two networks that are read. Others may have some.
_WITHOUT = {"Input", "Split", "Concat", "Eltwise", "BinaryOp", "Interp", "PixelShuffle"}
_KNOWN = "RRDB or Compact, as Real-ESRGAN's are"


class _Layer(NamedTuple):
    kind: str
    name: str
    settings: dict[int, str]

    def number(self, key: int, default: int = 0) -> int:
        return int(self.settings.get(key, default))


def read_ncnn(path: str | Path) -> dict[str, Tensor]:
    """The weights of an RRDB or a Compact, under the names of their authors (``conv_first.weight``, ``body.0.bias``).

    What the network does with its result, such as resizing it, is left out.

    Args:
        path: The ``.param`` or the ``.bin`` file; the other one is beside it.

    Raises:
        CheckpointError: If one is missing or damaged, or they hold another network.
    """
    path = Path(path)
    param, binary = path.with_suffix(".param"), path.with_suffix(".bin")
    for file in (path, param, binary):
        refuse_folder(file)
        if not file.is_file():
            beside = "" if file == path else f", which belongs to {path.name},"
            raise CheckpointError(f"{file}: no such file{beside} of an ncnn network")
    layers = _layers(param)
    numbers = _numbers(layers, binary)
    convs = [layer for layer in layers if layer.kind == "Convolution"]
    names = _compact_names(layers) if any(layer.kind == "PReLU" for layer in layers) else _rrdb_names(convs, param)
    return {
        f"{ours}.{kind}": value
        for ours, parts in zip(names, numbers, strict=True)
        for kind, value in zip(("weight", "bias"), parts, strict=False)
    }


def _layers(path: Path) -> list[_Layer]:
    """The layers of a ``.param`` file that have numbers."""
    lines = path.read_bytes().decode("ascii", "replace").split("\n")
    if lines[0].strip() != _MAGIC:
        raise CheckpointError(f"{path}: no ncnn network as text: its first line is not {_MAGIC}")
    count = lines[1].split()[0] if len(lines) > 1 and lines[1].split() else ""
    rows = [row.split() for row in lines[2:] if row.strip()]
    if not count.isdecimal() or len(rows) != int(count):
        raise CheckpointError(
            f"{path}: damaged or cut short: has {len(rows)} layers and says {count[:20] or 'nothing'}"
        )
    layers = []
    for row in rows:
        try:
            first = 4 + int(row[2]) + int(row[3])
            settings = {int(key): value for key, value in (entry.split("=") for entry in row[first:])}
            layer = _Layer(row[0], row[1], settings)
            sizes = [layer.number(key) for key in (0, 1, 5, 6)] if layer.kind in ("Convolution", "PReLU") else [0]
        except (IndexError, ValueError):
            raise CheckpointError(f"{path}: damaged: there is a layer {' '.join(row)[:60]!r}") from None
        if layer.kind not in {*_WITHOUT, "Convolution", "PReLU"}:
            raise CheckpointError(f"{path}: has a layer {layer.kind[:40]}; only {_KNOWN}, can be read")
        if min(sizes) < 0:
            raise CheckpointError(f"{path}: damaged: the layer {layer.name[:40]} has negative sizes")
        layers.append(layer)
    return [layer for layer in layers if layer.kind not in _WITHOUT]


def _numbers(layers: list[_Layer], path: Path) -> list[list[Tensor]]:
    """The weight, and the bias if there is one, of each layer."""
    data, at = path.read_bytes(), 0

    def take(count: int, kind: str, layer: _Layer) -> Tensor:
        nonlocal at
        size = count * np.dtype(kind).itemsize
        if size > len(data) - at:
            raise CheckpointError(f"{path}: cut short, or of another .param file: lacks numbers of {layer.name[:40]}")
        values = np.frombuffer(data, kind, count, at).astype(np.float32)
        at += size + -size % 4
        return torch.from_numpy(values)

    found = []
    for layer in layers:
        if layer.kind == "PReLU":
            found.append([take(layer.number(0), "<f4", layer)])
            continue
        out, side, size = layer.number(0), layer.number(1), layer.number(6)
        if not out or side != 3 or layer.number(11, side) != side or size % (9 * out):
            raise CheckpointError(
                f"{path.with_suffix('.param')}: has other convolutions than {_KNOWN}: {layer.name[:40]}"
            )
        flag = struct.unpack_from("<I", data, at)[0] if len(data) - at >= 4 else _FLOAT32
        if flag not in (_FLOAT16, _FLOAT32):
            raise CheckpointError(
                f"{path}: damaged, or quantized: {layer.name[:40]} is in format {flag:#x}; fp16 and float32 are read"
            )
        at += 4
        weight = take(size, "<f2" if flag == _FLOAT16 else "<f4", layer).view(out, -1, 3, 3)
        found.append([weight, take(out, "<f4", layer)] if layer.number(5) else [weight])
    if at != len(data):
        raise CheckpointError(f"{path}: of another .param file, or damaged: {len(data) - at} bytes are left over")
    return found


def _compact_names(layers: list[_Layer]) -> list[str]:
    return [f"body.{index}" for index in range(len(layers))]


def _rrdb_names(convs: list[_Layer], path: Path) -> list[str]:
    """Names by order. The dense convolutions are counted by their channels: four times growth, once features."""
    widths = [conv.number(0) for conv in convs]
    dense, count = widths[1:6], 0
    while dense and widths[1 + 5 * count : 6 + 5 * count] == dense and len(set(dense[:4])) == 1 < len(set(dense)):
        count += 1
    steps = len(convs) - 5 * count - 4
    if not count or count % 3 or steps < 0:
        raise CheckpointError(f"{path}: {len(convs)} convolutions, which are not {_KNOWN}")
    blocks = [f"body.{i}.rdb{j}.conv{k}" for i in range(count // 3) for j in (1, 2, 3) for k in range(1, 6)]
    return ["conv_first", *blocks, "conv_body", *(f"conv_up{i + 1}" for i in range(steps)), "conv_hr", "conv_last"]
