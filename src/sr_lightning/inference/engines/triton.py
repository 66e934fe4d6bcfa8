"""A network as a model repository of NVIDIA's Triton Inference Server: ``NAME/config.pbtxt`` and ``NAME/1/model.onnx``.

Fields and types are those of ``model_config.proto`` of triton-inference-server/common.
"""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from sr_lightning.errors import ConfigError, ExportError
from sr_lightning.inference.engines.exporting import Precision, export_network
from sr_lightning.limits import check_settings
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.card import KEY


@dataclass(frozen=True)
class TritonSettings:
    """How Triton runs a network.

    Args:
        max_batch_size: The most pictures of one size in one batch.
        delay_us: Microseconds that a request waits for others of its size.
        instances: Copies of the network on each device.
        device: Where they are; ``"auto"`` is every GPU, or the CPU where there is none.
    """

    max_batch_size: PositiveInt = 8
    delay_us: NonNegativeInt = 5000
    instances: PositiveInt = 1
    device: Literal["auto", "cpu", "gpu"] = "auto"


def export_triton(
    model: SuperResolutionModule,
    folder: Path,
    precision: Precision = "float32",
    pictures: Sequence[Tensor] = (),
    settings: TritonSettings | None = None,
) -> Callable[..., Tensor]:
    """Writes the folder of a model completely or not at all; one that is there is replaced.

    Args:
        model: The network.
        folder: Of the model, in the repository. Its name is the model's.
        precision: See ``export_network``.
        pictures: See ``export_network``.
        settings: How Triton runs it.

    Returns:
        What was read back from the ONNX file.

    Raises:
        ConfigError: If a setting or the name cannot be.
        ExportError: If ONNX cannot hold the network.
    """
    settings = settings or TritonSettings()
    check_settings(settings, "triton.")
    if not re.fullmatch(r"\w[\w.-]*", folder.name, flags=re.ASCII):
        raise ConfigError(f"name={folder.name}: a model's name has letters, digits, _ . and -; choose another name=")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file, where the folder of the model goes; choose another output=")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        temporary.chmod(0o755)  # of a server that runs as somebody else
        (temporary / "1").mkdir()
        again = export_network(model, temporary / "1" / "model.onnx", "onnx", precision, pictures)
        text = triton_config(folder.name, temporary / "1" / "model.onnx", settings)
        (temporary / "config.pbtxt").write_text(text, encoding="utf-8")
        before = temporary.with_suffix(".before")
        if folder.exists():
            folder.rename(before)
        try:
            temporary.rename(folder)
        except OSError:  # such as another export that was first
            if before.exists():
                before.rename(folder)
            raise
        shutil.rmtree(before, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return again


def triton_config(name: str, file: Path, settings: TritonSettings) -> str:
    """The text of ``config.pbtxt`` for an ONNX file whose first axis is an open batch.

    Args:
        name: Of the model.
        file: The ONNX file, which names, types and shapes are read from.
        settings: How Triton runs it.

    Raises:
        ExportError: If the file has a fixed batch, or types that Triton does not know.
    """
    import onnx

    program = onnx.load(str(file), load_external_data=False)
    card = json.loads(next((entry.value for entry in program.metadata_props if entry.key == KEY), "{}"))
    fixed = {each.name for each in program.graph.initializer}
    inputs = [_tensor("input", value) for value in program.graph.input if value.name not in fixed]
    outputs = [_tensor("output", value) for value in program.graph.output]
    told = {key: card[key] for key in ("network", "scale", "colour", "halo", "tile_multiple", "version") if key in card}
    parameters = [
        f"parameters {{\n  key: {json.dumps(key)}\n  value {{ string_value: {json.dumps(str(value))} }}\n}}"
        for key, value in told.items()
    ]
    return "\n".join(
        [
            f"name: {json.dumps(name)}",
            'backend: "onnxruntime"',
            f"max_batch_size: {settings.max_batch_size}",
            *inputs,
            *outputs,
            f"dynamic_batching {{ max_queue_delay_microseconds: {settings.delay_us} }}",
            f"instance_group {{\n  count: {settings.instances}\n  kind: KIND_{settings.device.upper()}\n}}",
            *parameters,
            "",
        ]
    )


def _tensor(what: str, value: Any) -> str:
    """An input or output without its first axis, which Triton adds."""
    kind = value.type.tensor_type
    types = {1: "TYPE_FP32", 10: "TYPE_FP16", 11: "TYPE_FP64"}  # onnx.TensorProto's
    batch, *rest = kind.shape.dim
    if batch.HasField("dim_value") or kind.elem_type not in types:
        raise ExportError(f"format=triton: {value.name} has a fixed batch, or values that are no floats")
    dims = ", ".join(str(dim.dim_value) if dim.HasField("dim_value") else "-1" for dim in rest)
    return f"{what} {{\n  name: {json.dumps(value.name)}\n  data_type: {types[kind.elem_type]}\n  dims: [ {dims} ]\n}}"
