"""Half precision where nobody can see it."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn

from sr_lightning.config.devices import fastest_precision, warn_of_emulation
from sr_lightning.devices import in_float64
from sr_lightning.errors import ConfigError
from sr_lightning.functional import rgb_to_y
from sr_lightning.functional.precision import full_precision
from sr_lightning.inference.engines.agreement import photographs
from sr_lightning.inference.settings import Precision
from sr_lightning.models import SuperResolutionModule

_TYPES = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}

#: Decibels between what a network gives in half and in full precision of a photograph. An error at 63 dB takes 0.01 dB
#: from a PSNR near 37 dB; measured on Set5, no network above 67 dB lost 0.005 dB, and one at 65.0 dB lost 0.008 dB.
NEGLIGIBLE = 67.0


def half_precision(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The type that ``precision`` stands for on a device, None for float32; ``auto`` is what is fast on it.

    Raises:
        ConfigError: If there is no such precision.

    Example:
        >>> half_precision("bf16", torch.device("cpu"))
        torch.bfloat16
    """
    if precision not in get_args(Precision):
        raise ConfigError(f"precision={precision}: there are {', '.join(get_args(Precision))}")
    if precision != "auto":
        warn_of_emulation("precision", precision, device.type)
        return _TYPES[precision]
    return torch.bfloat16 if fastest_precision(device.type) == "bf16" else None


def in_half_precision(
    model: SuperResolutionModule, precision: Precision, device: torch.device
) -> tuple[nn.Module, torch.dtype | None]:
    """A network and the type to run it in under autocast, None for float32.

    ``auto`` takes half precision where the device is fast in it and where ``psnr_between`` says that nobody
    sees the difference, by one small photograph.
    """
    half = half_precision(precision, device)
    if half is None or next(model.net.parameters(), None) is None:
        return model, None
    inputs = photographs(model, device=device)
    net = with_float32_ends(model.net, inputs)

    def in_half(*pictures: Tensor) -> Tensor:
        with torch.autocast(device.type, half):
            return net(*pictures)  # type: ignore[no-any-return]

    if precision == "auto" and psnr_between(model, in_half, inputs) < NEGLIGIBLE:
        return model, None
    return net, half


def psnr_between(net: Callable[..., Tensor], other: Callable[..., Tensor], inputs: Sequence[Tensor]) -> float:
    """PSNR in decibels, of luma as tables have it, between what two networks make of the same inputs."""
    with torch.inference_mode():
        one, two = (_luma(in_float64(each(*inputs))) for each in (net, other))
    error = (one - two).square().mean()
    return float(-10 * torch.log10(error)) if error.isfinite() else 0.0


def _luma(picture: Tensor) -> Tensor:
    return rgb_to_y(picture) if picture.shape[1] == 3 else picture


def with_float32_ends(net: nn.Module, inputs: Sequence[Tensor]) -> nn.Module:
    """A copy, of the same weights, whose first and last layer compute in float32 under autocast.

    The last one makes the pixels, and bf16 cannot tell neighbouring levels of 8 bit apart; the first one reads them.
    Of all multiplications, theirs are few.
    """
    shared: dict[int, Any] = {id(value): value for value in [*net.parameters(), *net.buffers()]}
    net = copy.deepcopy(net, shared)
    ran: list[nn.Module] = []
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    hooks = [layer.register_forward_pre_hook(lambda layer, _: ran.append(layer)) for layer in layers]
    with torch.inference_mode():
        net(*inputs)
    for hook in hooks:
        hook.remove()
    for end in {ran[0], ran[-1]} if ran else ():
        for parent in list(net.modules()):
            for name, child in list(parent.named_children()):
                if child is end:
                    setattr(parent, name, _Float32(end))
    return net


class _Float32(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, *rest: Any) -> Tensor:
        with full_precision(x):
            return self.layer(x.float(), *rest)  # type: ignore[no-any-return]
