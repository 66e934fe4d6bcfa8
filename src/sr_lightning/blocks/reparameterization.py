"""Convolutions that are trained as several and computed as one."""

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning.devices import in_float64


class BranchedConv(nn.Module):
    """SPAN's convolution as it is trained: a 1x1 one beside a chain of 1x1, 3x3 and 1x1; their sum is linear.

    The borders are zeros before the chain, not within it, so that one 3x3 convolution computes the same everywhere.

    **Paper:** Wan et al., Swift Parameter-free Attention Network for Efficient Super-Resolution, CVPRW 2024.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        gain: Factor by which the chain widens the channels.

    Example:
        >>> BranchedConv(3, 8)(torch.rand(1, 3, 5, 6)).shape
        torch.Size([1, 8, 5, 6])
    """

    def __init__(self, in_channels: int, out_channels: int, gain: int = 2) -> None:
        super().__init__()
        self.skip = nn.Conv2d(in_channels, out_channels, 1)
        self.chain = nn.Sequential(
            nn.Conv2d(in_channels, gain * in_channels, 1),
            nn.Conv2d(gain * in_channels, gain * out_channels, 3),
            nn.Conv2d(gain * out_channels, out_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.chain(F.pad(x, (1, 1, 1, 1))) + self.skip(x)  # type: ignore[no-any-return]


def conv3x3(in_channels: int, out_channels: int, branches: bool) -> nn.Module:
    """SPAN's convolution as it is trained, or the single one that it becomes."""
    if branches:
        return BranchedConv(in_channels, out_channels)
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


def merged_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in which each ``BranchedConv`` is the one 3x3 convolution that computes the same.

    Example:
        >>> branched, conv, x = BranchedConv(3, 8), nn.Conv2d(3, 8, 3, padding=1), torch.rand(1, 3, 5, 6)
        >>> _ = conv.load_state_dict(merged_state(branched.state_dict()))
        >>> torch.allclose(branched(x), conv(x), atol=1e-5)
        True
    """
    merged: dict[str, Tensor] = {}
    for name, value in state.items():
        if match := re.fullmatch(r"((?:.+\.)?)(?:skip|chain\.\d)\.(weight|bias)", name):
            if match[1] + "weight" not in merged:
                weight, bias = _one_conv({part: in_float64(state[match[1] + part]) for part in _PARTS})
                merged |= {match[1] + "weight": weight.to(value), match[1] + "bias": bias.to(value)}
        else:
            merged[name] = value
    return merged


_PARTS = [f"{layer}.{kind}" for layer in ("skip", "chain.0", "chain.1", "chain.2") for kind in ("weight", "bias")]


def _one_conv(parts: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The weight and the bias of the sum of both branches."""
    first, middle, last = (parts[f"chain.{i}.weight"] for i in range(3))
    weight = torch.einsum("on,nmyx,mi->oiyx", last[..., 0, 0], middle, first[..., 0, 0])
    weight[..., 1:2, 1:2] += parts["skip.weight"]
    bias = middle.sum((2, 3)) @ parts["chain.0.bias"] + parts["chain.1.bias"]
    return weight, last[..., 0, 0] @ bias + parts["chain.2.bias"] + parts["skip.bias"]


def as_branches(weight: Tensor, bias: Tensor, gain: int = 2) -> dict[str, Tensor]:
    """Weights of a ``BranchedConv`` that computes exactly what one 3x3 convolution does.

    Example:
        >>> conv = nn.Conv2d(3, 8, 3, padding=1)
        >>> merged = merged_state(as_branches(conv.weight, conv.bias))
        >>> torch.equal(merged["weight"], conv.weight) and torch.equal(merged["bias"], conv.bias)
        True
    """
    weight, (out, into) = weight.detach(), weight.shape[:2]
    shapes = {name: value.shape for name, value in BranchedConv(into, out, gain).state_dict().items()}
    parts = {name: weight.new_zeros(shape) for name, shape in shapes.items()}
    parts["chain.0.weight"][:into, :, 0, 0] = torch.eye(into)
    parts["chain.1.weight"][:out, :into] = weight
    parts["chain.2.weight"][:, :out, 0, 0] = torch.eye(out)
    return parts | {"chain.2.bias": bias.detach()}
