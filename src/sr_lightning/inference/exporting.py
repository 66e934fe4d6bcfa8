"""Networks for other programs: ONNX, TorchScript, PyTorch's own export and safetensors, read back before they stay."""

import copy
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sr_lightning.cards import KEY
from sr_lightning.errors import ConfigError, ExportError
from sr_lightning.files import whole
from sr_lightning.functional import rgb_to_y
from sr_lightning.inference.agreement import difference, photographs, tolerance
from sr_lightning.inference.onnx_file import read_onnx
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models import SuperResolutionModule
from sr_lightning.portable import describe, read_safetensors, write_safetensors

Precision = Literal["fp32", "fp16", "int8"]
ENDINGS = {"onnx": ".onnx", "torchscript": ".pt", "pt2": ".pt2", "safetensors": ".safetensors"}
#: Batch, height and width that the file must compute as the network does.
SIZES = ((1, 24, 28), (2, 40, 32), (1, 33, 47))
#: What other precisions than float32 must reach, in decibels.
LEAST = {"fp16": 50.0, "int8": 25.0}


def export_network(
    model: SuperResolutionModule,
    path: Path,
    kind: str,
    precision: Precision = "fp32",
    pictures: Sequence[Tensor] = (),
) -> Callable[..., Tensor]:
    """Writes a network in another format, with open batch, height and width; compares it with the network first.

    Args:
        model: The network.
        path: The file; nothing is left where the comparison fails.
        kind: One of :data:`ENDINGS`.
        precision: ``"fp32"``, ``"fp16"``, or for ONNX ``"int8"``.
        pictures: LR pictures ``(1, C, H, W)``, which int8 is calibrated on.

    Returns:
        What was read back from the file.

    Raises:
        ConfigError: If there is no such format, or not in this precision.
        ExportError: If the format cannot hold the network, or the file computes something else.
    """
    if kind not in ENDINGS:
        raise ConfigError(f"format={kind}: there are {', '.join(ENDINGS)}")
    if precision not in ("fp32", *LEAST) or (precision == "int8" and kind != "onnx"):
        raise ConfigError(f"precision={precision}: there are fp32 and fp16, and for format=onnx int8")
    model.eval().cpu()
    card = {**describe(model), "precision": precision, "halo": _halo(model)}
    with whole(path) as temporary:
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
            float32, by :func:`~sr_lightning.inference.agreement.tolerance`.

    Raises:
        ExportError: If they are not.
    """
    for size in SIZES:
        inputs = photographs(model, *size)
        with torch.inference_mode():
            expected, result = model.net(*inputs), again(*inputs)
        if expected.shape != result.shape:
            raise ExportError(f"the exported network gives {tuple(result.shape)} instead of {tuple(expected.shape)}")
        if least is None and not (error := difference(model.net, again, inputs)) <= tolerance(model.net, inputs):
            raise ExportError(f"the exported network differs from this one by {error:.2g}; not written")
        psnr = -10 * torch.log10((expected - result).double().square().mean())
        if least is not None and not psnr >= least:
            raise ExportError(f"in this precision the network is another one ({float(psnr):.1f} dB); not written")


def to_onnx(net: nn.Module, model: SuperResolutionModule, card: dict[str, Any] | None = None) -> bytes:
    """A network as ONNX, of open batch, height and width.

    Raises:
        ConfigError: If the packages for it are missing.
    """
    try:
        import onnxscript  # noqa: F401  # what torch exports with
    except ImportError:
        raise ConfigError('ONNX needs packages of its own: pip install "sr_lightning[export]"') from None
    with _silence():
        program = torch.onnx.export(
            net,
            tuple(photographs(model, *SIZES[1])),
            input_names=list(model.inputs),
            output_names=["sr"],
            dynamo=True,
            dynamic_shapes=_open_shapes(net, model),
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props[KEY] = json.dumps(card or {})
    return bytes(program.model_proto.SerializeToString())


def _written(
    model: SuperResolutionModule,
    path: Path,
    kind: str,
    precision: Precision,
    card: dict[str, Any],
    pictures: Sequence[Tensor],
) -> Callable[..., Tensor]:
    """Writes a file and gives what is read from it."""
    net = _Half(model.net).eval() if precision == "fp16" else model.net
    inputs = tuple(photographs(model, *SIZES[1]))
    if kind == "onnx":
        content = to_onnx(net, model, card)
        if precision == "int8":
            from sr_lightning.inference.quantizing import quantized

            with _silence():
                content = quantized(content, [rgb_to_y(x) if model.luma and x.shape[1] == 3 else x for x in pictures])
        path.write_bytes(content)
        return read_onnx(path)
    if kind == "torchscript":
        with _silence(), torch.inference_mode():
            torch.jit.trace(net, inputs).save(path, _extra_files={KEY: json.dumps(card)})  # type: ignore[no-untyped-call]
        return torch.jit.load(path)  # type: ignore[no-any-return, no-untyped-call]
    if kind == "pt2":
        with _silence():
            program = torch.export.export(net, inputs, dynamic_shapes=_open_shapes(net, model))
            torch.export.save(program, path, extra_files={KEY: json.dumps(card)})
            return torch.export.load(path).module()
    small = copy.deepcopy(model).half() if precision == "fp16" else model
    write_safetensors(small, path, card)
    return read_safetensors(path)


def _open_shapes(net: nn.Module, model: SuperResolutionModule) -> tuple[Any, ...]:
    free = torch.export.Dim.DYNAMIC
    shapes = tuple({0: free} if kind == "white_balance" else {0: free, 2: free, 3: free} for kind in model.inputs)
    return (shapes,) if isinstance(net, _Half) else shapes  # ``*inputs`` are one argument


def _halo(model: SuperResolutionModule) -> int:
    constants = {"white_balance": torch.ones(1, 3)} if "white_balance" in model.inputs else None
    return Upscaler(model, precision="float32").halo(constants)


class _Half(nn.Module):
    """A network that computes in float16, between pictures in float32."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).half()

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.net(*(x.half() for x in inputs)).float()  # type: ignore[no-any-return]


@contextmanager
def _silence() -> Iterator[None]:
    """Without what exporters tell about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _reason(error: Exception) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return " ".join(str(cause).split())[:200] or type(cause).__name__
