"""Networks in whole numbers of 8 bit, calibrated on pictures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from sr_lightning.data.files.io import find_pictures, read_picture, to_uint8
from sr_lightning.data.files.photographs import HELD_OUT, TRAINING, photograph
from sr_lightning.inference.engines.half_precision import psnr_between
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.card import KEY

_SIDE, _MOST = 192, 8  # HR pixels and pictures: enough to know the ranges, few enough to wait for


def quantized(content: bytes, pictures: Sequence[Tensor]) -> bytes:
    """An ONNX network whose convolutions compute in 8 bit, but for the first and the last.

    Static: what ranges there are between the layers is measured on the pictures. The file has quantization and its
    inverse as operations of their own (QDQ), which every runtime knows.

    Args:
        content: The network in float32.
        pictures: LR pictures ``(1, C, H, W)``.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    names = [value.name for value in onnx.load_from_string(content).graph.input]
    convolutions = [node.name for node in onnx.load_from_string(content).graph.node if node.op_type == "Conv"]
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(content)
        quantize_static(
            source,
            target,
            _Reader([{names[0]: picture.numpy()} for picture in pictures]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[convolutions[0], convolutions[-1]],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        model = onnx.load(target)
    card = next(entry.value for entry in onnx.load_from_string(content).metadata_props if entry.key == KEY)
    if not any(entry.key == KEY for entry in model.metadata_props):
        onnx.helper.set_model_props(model, {KEY: card})
    return bytes(model.SerializeToString())


class _Reader:
    """Pictures one by one, as onnxruntime asks for them."""

    def __init__(self, feeds: list[dict[str, Any]]) -> None:
        self.feeds = iter(feeds)

    def get_next(self) -> dict[str, Any] | None:
        return next(self.feeds, None)


def calibration_pictures(model: SuperResolutionModule, folder: Path | None = None) -> list[tuple[Tensor, Tensor]]:
    """LR and HR ``(1, C, H, W)``, from the middle of photographs, made as the protocol makes them.

    Args:
        model: With the protocol.
        folder: Folder of photographs; by default those of ``data=samples``.
    """
    files = find_pictures(folder) if folder else [photograph(name) for name in (*TRAINING, *HELD_OUT)]
    pairs = []
    for path in files[:: max(1, len(files) // _MOST)][:_MOST]:
        pixels = torch.tensor(to_uint8(read_picture(path))).permute(2, 0, 1)[None]
        top, left = (max(0, (length - _SIDE) // 2) for length in pixels.shape[-2:])
        lr, hr = model.protocol.prepare(
            pixels[..., top : top + _SIDE, left : left + _SIDE], None, model.scale, model.luma
        )
        pairs.append((lr.float(), hr))
    return pairs


def losses(
    model: SuperResolutionModule, other: Callable[..., Tensor], pairs: Sequence[tuple[Tensor, Tensor]]
) -> tuple[float, float]:
    """PSNR of luma between a network and another form of it, and by how much the other is farther from the truth.

    Both are means in decibels; the second is by the network's protocol.
    """
    apart, lost = [], []
    for lr, hr in pairs:
        apart.append(psnr_between(model, other, [lr]))
        with torch.inference_mode():
            scores = [model.protocol.score(net(lr).double(), hr, model.scale)["psnr"] for net in (model, other)]
        lost.append(float(scores[0] - scores[1]))
    return sum(apart) / len(apart), sum(lost) / len(lost)
