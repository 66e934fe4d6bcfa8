"""Networks for other programs: ONNX, TorchScript, PyTorch's own export and safetensors, read back before they stay."""

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.fx.experimental._config import patch as patch_sizes  # type: ignore[attr-defined]

from sr_lightning.atomic import atomic_write
from sr_lightning.errors import ConfigError, ExportError
from sr_lightning.functional import rgb_to_y
from sr_lightning.inference.engines.agreement import max_difference, photographs, tolerance
from sr_lightning.inference.engines.network import field_of
from sr_lightning.inference.engines.onnx_network import read_onnx
from sr_lightning.inference.engines.quantizing import quantized
from sr_lightning.inference.engines.to_onnx import SIZES, InFloat16, open_shapes, silence, to_onnx
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.card import KEY, describe
from sr_lightning.weights.load import load_model
from sr_lightning.weights.portable import load_safetensors, write_safetensors
from sr_lightning.weights.spandrel import spandrel_state

Precision = Literal["float32", "fp16", "int8"]
ENDINGS = {"onnx": ".onnx", "torchscript": ".pt", "pt2": ".pt2", "safetensors": ".safetensors",
           "spandrel": ".safetensors"}  # fmt: skip
#: What other precisions than float32 must reach, in decibels.
LEAST = {"fp16": 50.0, "int8": 25.0}


def export_network(
    model: SuperResolutionModule,
    path: Path,
    kind: str,
    precision: Precision = "float32",
    pictures: Sequence[Tensor] = (),
) -> Callable[..., Tensor]:
    """Writes a network in another format, with open batch, height and width; compares it with the network first.

    Args:
        model: The network.
        path: The file; nothing is left where the comparison fails.
        kind: One of ``ENDINGS``.
        precision: ``"float32"``, ``"fp16"``, or for ONNX ``"int8"``.
        pictures: LR pictures ``(1, C, H, W)``, which int8 is calibrated on.

    Returns:
        What was read back from the file.

    Raises:
        ConfigError: If there is no such format, or not in this precision.
        ExportError: If the format cannot hold the network, or the file computes something else.
    """
    if kind not in ENDINGS:
        raise ConfigError(f"format={kind}: there are {', '.join([*ENDINGS, 'triton'])}")
    if precision not in ("float32", *LEAST) or (precision == "int8" and kind != "onnx"):
        raise ConfigError(f"precision={precision}: there are float32 and fp16, and for format=onnx int8")
    if model.scale != int(model.scale):
        raise ConfigError(f"scale={model.scale}: only networks of a whole scale can be exported; build it with one")
    model = model.eval().cpu().merged()
    field = field_of(model)
    tiles = {"halo": field.halo, "looks_everywhere": field.everywhere, "tile_multiple": model.tile_multiple}
    card = {**describe(model), "precision": precision, **tiles}
    with atomic_write(path) as temporary:
        try:
            again = _written(model, temporary, kind, precision, card, pictures)
            compare(model, again, LEAST.get(precision))
            return again
        except (ConfigError, ExportError):
            raise
        except Exception as error:  # exporters raise whatever they trip over
            name = type(model).__name__
            raise ExportError(f"{path}: format={kind} cannot hold {name} ({_reason(error)})") from error


def compare(model: SuperResolutionModule, again: Callable[..., Tensor], least: float | None = None) -> None:
    """Refuses what does not compute what the network does of photographs of three sizes, one of them odd.

    Args:
        model: The network.
        again: What was read back.
        least: Decibels that have to be reached; without, the values have to be the same but for the rounding of
            float32, by ``tolerance``.

    Raises:
        ExportError: If they are not.
    """
    for size in SIZES:
        inputs = photographs(model, *size)
        with torch.inference_mode():
            expected, result = model.net(*inputs), again(*inputs)
        if expected.shape != result.shape:
            raise ExportError(f"the exported network gives {tuple(result.shape)} instead of {tuple(expected.shape)}")
        if least is None and not (error := max_difference(model.net, again, inputs)) <= tolerance(model.net, inputs):
            raise ExportError(f"the exported network differs from this one by {error:.2g}; not written")
        psnr = -10 * torch.log10((expected - result).double().square().mean())
        if least is not None and not psnr >= least:
            raise ExportError(f"in this precision the network is another one ({float(psnr):.1f} dB); not written")


def _written(
    model: SuperResolutionModule,
    path: Path,
    kind: str,
    precision: Precision,
    card: dict[str, Any],
    pictures: Sequence[Tensor],
) -> Callable[..., Tensor]:
    """Writes a file and gives what is read from it."""
    net = InFloat16(model.net).eval() if precision == "fp16" else model.net
    inputs = tuple(photographs(model, *SIZES[1]))
    if kind == "onnx":
        content = to_onnx(net, model, card)
        if precision == "int8":
            with silence():
                content = quantized(content, [rgb_to_y(x) if model.luma and x.shape[1] == 3 else x for x in pictures])
        path.write_bytes(content)
        return read_onnx(path)
    if kind == "torchscript":
        with silence(), torch.inference_mode():
            torch.jit.trace(net, inputs).save(path, _extra_files={KEY: json.dumps(card)})  # type: ignore[no-untyped-call]
        return torch.jit.load(path)  # type: ignore[no-any-return, no-untyped-call]
    if kind == "pt2":
        with silence():
            torch.export.save(_exported(net, model), path, extra_files={KEY: json.dumps(card)})
            return torch.export.load(path).module()
    if kind == "spandrel":
        path.write_bytes(save({name: _in_precision(value, precision) for name, value in spandrel_state(model).items()}))
        return load_model(path).merged().net
    small = copy.deepcopy(model).half() if precision == "fp16" else model
    write_safetensors(small, path, card)
    return load_safetensors(path)


def _exported(net: nn.Module, model: SuperResolutionModule) -> torch.export.ExportedProgram:
    """A network as a program of torch, for coarse maps of one pixel as well, if it can be made so."""
    inputs, shapes = [tuple(photographs(model, *size)) for size in SIZES], open_shapes(net, model)
    with patch_sizes(backed_size_oblivious=True):
        program = torch.export.export(net, inputs[1], dynamic_shapes=shapes)
    try:
        for given in inputs:
            program.module()(*given)
    except AssertionError:  # it refuses other sizes instead
        program = torch.export.export(net, inputs[1], dynamic_shapes=shapes)
    return program


def _in_precision(value: Tensor, precision: str) -> Tensor:
    return value.half() if precision == "fp16" else value


def _reason(error: Exception) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return " ".join(str(cause).split())[:200] or type(cause).__name__
