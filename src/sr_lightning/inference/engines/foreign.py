"""ONNX files of other projects: what they take and give, seen from their shapes and one small picture."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sr_lightning.errors import CheckpointError, ConfigError

#: Computes a network: its inputs to its output.
Runner = Callable[[list[NDArray[Any]]], NDArray[Any]]

_SIDE = 64  # pixels: a whole number of most networks' windows and strides
_FLOATS = ("tensor(float)", "tensor(float16)", "tensor(double)")


def foreign_card(path: Path, session: Any, run: Runner, said: dict[str, Any]) -> dict[str, Any]:
    """What ``OnnxNetwork`` must know of a file that says nothing.

    Args:
        path: The file.
        session: Of onnxruntime.
        run: Computes it.
        said: ``scale``, ``colour``, ``white``, ``halo`` and ``multiple``, or None each: what the user knows better.

    Raises:
        ConfigError: If what is said cannot be, or the file shows something else.
        CheckpointError: If the network does not make one larger picture of one picture.
    """
    said = {key: value for key, value in said.items() if value is not None}
    _check(said)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type not in _FLOATS or len(inputs[0].shape) != 4:
        signature = ", ".join(f"{entry.name} {entry.type}{entry.shape}" for entry in inputs)
        raise CheckpointError(
            f"{path}: reads {signature} and gives {len(outputs)} outputs; upscale takes networks of one picture "
            "(1, 1 or 3, height, width) in floating point, and one result"
        )
    batch, channels, *sides = [length if isinstance(length, int) else None for length in inputs[0].shape]
    last = any(side is not None and side < 8 for side in sides)  # channels, where they are last
    if batch not in (None, 1) or channels not in (None, 1, 3) or last:
        raise CheckpointError(
            f"{path}: reads {inputs[0].shape}; upscale takes networks of (1, 1 or 3, height, width): export it again, "
            "with a batch of one and channels before height"
        )
    colour = said.get("colour", "luma" if channels == 1 else "rgb")
    count = 1 if colour == "luma" else 3
    if channels not in (None, count):
        raise ConfigError(f"foreign.colour={colour}: {path} reads {channels} channels")
    window = [side or max(filter(None, sides), default=_SIDE) for side in sides]
    shape = (1, count, *window)
    out = run([np.zeros(shape, np.float32)]).shape
    scale = out[-1] // window[1] if len(out) == 4 else 0
    if scale < 1 or out != (1, count, window[0] * scale, window[1] * scale):
        raise CheckpointError(f"{path}: makes {out} of a picture {shape}, which is no enlargement by a whole factor")
    if said.get("scale", scale) != scale:
        raise ConfigError(f"foreign.scale={said['scale']}: {path} enlarges by {scale}")
    card = {"network": path.name, "scale": scale, "colour": colour, "range": [0, said.get("white", 1)]}
    card |= {key: said[key] for key in ("halo", "multiple") if key in said}
    if any(sides):
        card["window"] = window
        if 2 * said.get("halo", 0) >= min(window):
            raise ConfigError(f"foreign.halo={said['halo']}: leaves nothing of the {window} pixels that {path} takes")
    return card


def _check(said: dict[str, Any]) -> None:
    halo, white = said.get("halo", 0), said.get("white", 1)
    if said.get("colour", "rgb") not in ("rgb", "luma"):
        raise ConfigError(f"foreign.colour={said['colour']}: must be rgb or luma")
    if not isinstance(white, int | float) or white <= 0:
        raise ConfigError(f"foreign.white={white}: must be a number above 0, usually 1 or 255")
    if not isinstance(said.get("multiple", 1), int) or said.get("multiple", 1) < 1:
        raise ConfigError(f"foreign.multiple={said['multiple']}: must be a whole number above 0")
    if not isinstance(halo, int) or halo < 0:
        raise ConfigError(f"foreign.halo={halo}: must be a whole number, 0 or above")
