"""A network of torch as an ONNX program."""

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sr_lightning.errors import ConfigError
from sr_lightning.inference.engines.agreement import photographs
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.card import KEY

#: Batch, height and width that the file must compute as the network does.
SIZES = ((1, 24, 28), (2, 40, 32), (1, 33, 47))


def to_onnx(net: nn.Module, model: SuperResolutionModule, card: dict[str, Any] | None = None) -> bytes:
    """A network as ONNX, of open batch, height and width.

    Raises:
        ConfigError: If the packages for it are missing.
    """
    try:
        import onnxscript  # noqa: F401  # what torch exports with
    except ImportError:
        raise ConfigError('ONNX needs packages of its own: pip install "sr_lightning[export]"') from None
    # The plain products of attention, whose memory lies as exporters take it to lie.
    with silence(), sdpa_kernel(SDPBackend.MATH):
        program = torch.onnx.export(
            net,
            tuple(photographs(model, *SIZES[1])),
            input_names=list(model.inputs),
            output_names=["sr"],
            dynamo=True,
            dynamic_shapes=open_shapes(net, model),
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props[KEY] = json.dumps(card or {})
    return bytes(program.model_proto.SerializeToString())


def open_shapes(net: nn.Module, model: SuperResolutionModule) -> tuple[Any, ...]:
    """Which lengths of the inputs stay open: batch, height and width."""
    free = torch.export.Dim.DYNAMIC
    shapes = tuple({0: free} if kind == "white_balance" else {0: free, 2: free, 3: free} for kind in model.inputs)
    return (shapes,) if isinstance(net, InFloat16) else shapes  # ``*inputs`` are one argument


class InFloat16(nn.Module):
    """A network that computes in float16, between pictures in float32."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).half()

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.net(*(x.half() for x in inputs)).float()  # type: ignore[no-any-return]


@contextmanager
def silence() -> Iterator[None]:
    """Without what exporters tell about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
