"""What computes a network: torch, its compiler, onnxruntime or OpenVINO."""

import torch
from torch import nn

from sr_lightning.errors import ConfigError
from sr_lightning.inference.engines.agreement import photographs
from sr_lightning.inference.engines.foreign import Runner
from sr_lightning.inference.engines.half_precision import (
    NEGLIGIBLE,
    half_precision,
    in_half_precision,
    psnr_between,
)
from sr_lightning.inference.engines.network import Network
from sr_lightning.inference.engines.onnx_network import OnnxNetwork, openvino_runner
from sr_lightning.inference.engines.to_onnx import to_onnx
from sr_lightning.inference.settings import Engine, Precision
from sr_lightning.models import SuperResolutionModule

ON_CPU = ("onnxruntime", "openvino")


def with_engine(
    network: Network, engine: Engine, precision: Precision, device: torch.device
) -> tuple[nn.Module, torch.dtype | None]:
    """A network as an engine computes it, and the type for torch's autocast, None where there is no need of any.

    Raises:
        ConfigError: If there is none for this network, precision or device.
    """
    half = half_precision(precision, device)
    network = network if isinstance(network, OnnxNetwork) else network.merged()
    if isinstance(network, OnnxNetwork) or engine in ON_CPU:
        if device.type != "cpu":
            raise ConfigError(f"device={device}: ONNX networks, onnxruntime and OpenVINO compute on the CPU here")
        if engine != "openvino" and precision not in ("auto", "float32"):
            raise ConfigError(f"precision={precision}: onnxruntime computes in the precision of the exported file")
        if engine == "openvino":
            return _openvino(network, precision, half), None
        if isinstance(network, OnnxNetwork):
            return network, None
        return OnnxNetwork(to_onnx(network.net, network), card_of(network)), None
    net, half = in_half_precision(network, precision, device)
    if engine == "compile":
        net = torch.compile(net)  # type: ignore[assignment]
    return net, half


def card_of(network: SuperResolutionModule) -> dict[str, object]:
    """What ``OnnxNetwork`` must know of a network."""
    return {"scale": network.scale, "inputs": network.inputs, "colour": "luma" if network.luma else "rgb"}


def _openvino(network: Network, precision: Precision, half: torch.dtype | None) -> OnnxNetwork:
    inputs = photographs(network)
    source = network.source if isinstance(network, OnnxNetwork) else network.net
    card = network.card if isinstance(network, OnnxNetwork) else card_of(network)

    def made(in_half: bool) -> OnnxNetwork:
        runner: Runner = openvino_runner(source, inputs, in_half)
        return OnnxNetwork(b"", card, runner)

    if half is None:
        return made(False)
    if half is torch.float16:
        raise ConfigError("precision=fp16: OpenVINO computes in float32 or bf16 here; choose auto, float32 or bf16")
    fast = made(True)
    if precision == "auto" and psnr_between(network, fast, inputs) < NEGLIGIBLE:
        return made(False)
    return fast
