"""Whether two forms of a network compute the same: on photographs, to what float32 itself leaves open."""

import copy
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from sr_lightning.data.files.io import read_picture
from sr_lightning.data.files.photographs import photograph
from sr_lightning.devices import float64_device, in_float64
from sr_lightning.functional import as_unit, imresize, rgb_to_y
from sr_lightning.functional.bayer import mosaic

#: Two orders of adding up differ by a few times what either differs from the exact sum.
FEW = 20.0


@cache
def truth() -> Tensor:
    """A photograph ``(1, 3, 256, 256)`` in [0, 1]: the astronaut that comes with scikit-image, at half its size."""
    pixels = read_picture(photograph("astronaut.png"))
    return imresize(as_unit(torch.tensor(pixels).permute(2, 0, 1)[None]), 0.5, rounding="per_pass").float()


def photographs(
    model: Any, batch: int = 1, height: int = 48, width: int = 48, *, device: torch.device | str = "cpu"
) -> list[Tensor]:
    """For each of a network's ``inputs`` parts of a photograph; mosaics have whole cells.

    Noise is nothing to compare on: networks that learnt from pictures amplify it, and its rounding errors, a
    hundredfold, and by how much depends on the processor.

    Example:
        >>> from sr_lightning.models import ESPCN
        >>> [tuple(picture.shape) for picture in photographs(ESPCN(scale=2), 2, 24, 32)]
        [(2, 1, 24, 32)]
    """
    if model.reads_mosaic:
        height, width = height // 4 * 4, width // 4 * 4
    parts = torch.cat([truth()[..., 20 + 16 * i :, 60 + 8 * i :][..., :height, :width] for i in range(batch)])
    made = {
        "lr": lambda: parts[:, [0, 1, 1, 2]] if model.packed else rgb_to_y(parts) if model.luma else parts,
        "raw": lambda: mosaic(parts),
        "white_balance": lambda: torch.ones(batch, 3),
    }
    return [made[kind]().to(device).contiguous() for kind in model.inputs]


@torch.inference_mode()
def tolerance(net: nn.Module, inputs: Sequence[Tensor]) -> float:
    """How far another float32 form of a network may lie from it: some times as far as it lies from itself in float64.

    Example:
        >>> from sr_lightning.models import Bicubic
        >>> model = Bicubic(scale=2)
        >>> 0 < tolerance(model.net, photographs(model)) < 1e-4
        True
    """
    single = net(*inputs)
    place = float64_device(single.device)
    double = copy.deepcopy(net).to(place).double()(*map(in_float64, inputs))
    least = 1e-6 * max(1.0, float(single.abs().max()))
    return FEW * max(least, float((in_float64(single) - double).abs().max()))


@torch.inference_mode()
def max_difference(net: Callable[..., Tensor], other: Callable[..., Tensor], inputs: Sequence[Tensor]) -> float:
    """The largest difference between what two networks make of the same inputs; infinite where one gives NaN."""
    error = (net(*inputs) - other(*inputs)).abs().max()
    return float(error.nan_to_num(torch.inf))
