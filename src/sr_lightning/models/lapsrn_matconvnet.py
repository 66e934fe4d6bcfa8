"""The files of LapSRN's authors: MatConvNet's names and order of axes as ours; None for other files."""

import re
from typing import cast

from torch import Tensor

from sr_lightning.models.layouts import State


def _from_matconvnet(name: str, value: Tensor) -> Tensor:
    """Height, width, in, out (transposed: out, in), perhaps without axes of length one, to torch's order.

    Both libraries correlate, and both transpose that same operation: nothing is flipped.
    """
    if name.endswith("_b"):
        return value.reshape(-1)
    return value.reshape(*value.shape, *[1] * (4 - value.ndim)).permute(3, 2, 0, 1).contiguous()


def _parameter(name: str) -> tuple[str, str, int, str] | None:
    """Level, layer, its number and the kind of a parameter in the authors' files."""
    match = re.fullmatch(r"(?:level(\d+)_)?(input_conv|conv|upconv|residual_conv|img_up)(\d*)_([fb])", name)
    if not match:
        return None
    return match[1] or "", match[2], int(match[3] or 0), "weight" if match[4] == "f" else "bias"


def levels_of_the_authors(state: State) -> State | None:
    """LapSRN's names and arrays. The authors count levels from the largest picture down."""
    parameters = {name: _parameter(name) for name in state}
    found = {name: parameter for name, parameter in parameters.items() if parameter is not None}
    if len(found) < len(state) or any(
        (level == "") != (layer == "input_conv") for level, layer, _, _ in found.values()
    ):
        return None
    count = max((int(level) for level, _, _, _ in found.values() if level), default=0)
    last = max((number for _, _, number, _ in found.values()), default=0)
    result = State()
    for name, (level, layer, number, kind) in found.items():
        place = {"conv": f"features.{2 * number - 2}", "upconv": f"features.{2 * last}", "residual_conv": "residual"}
        ours = f"levels.{count - int(level)}.{place.get(layer, 'image')}" if level else "head.0"
        result[f"{ours}.{kind}"] = _from_matconvnet(name, state[name])
    return result


def one_level_of_the_authors(state: State) -> State | None:
    """MS-LapSRN's names and arrays, whose one level serves all."""
    parameters = {name: _parameter(name) for name in state}
    if any(parameter is None or parameter[0] for parameter in parameters.values()):
        return None
    layers = {"input_conv": "head", "upconv": "features.1", "residual_conv": "residual", "img_up": "image"}
    result = State()
    for name, (_, layer, number, kind) in cast(dict[str, tuple[str, str, int, str]], parameters).items():
        ours = f"block.{2 * number - 1}" if layer == "conv" else layers[layer]
        result[f"{ours}.{kind}"] = _from_matconvnet(name, state[name])
    return result
