"""Weights that a name, a shape and a seed determine, so that a reference's weights need no storage."""

import math
import re
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor


def seeded_state(
    shapes: Mapping[str, Sequence[int]], seed: int = 0, factors: Mapping[str, float] | None = None
) -> dict[str, Tensor]:
    """Random weights of these names and shapes, the same on every machine.

    Each tensor is drawn from its own generator, ``numpy.random.default_rng([seed, crc32(name)])``, so that neither the
    order nor the other tensors matter. Deep networks stay within a few orders of magnitude of their input:

    - filters, of two or more dimensions: normal, of variance 0.5 / fan-in;
    - filters' lengths (``weight_g``, ``original0``) and weights of normalisation, ``weight`` of one dimension:
      normal around 1, deviation 0.1;
    - slopes of PReLU, ``weight`` of one element or in a module whose name says so: 0.1 to about 0.4;
    - ``running_var``: even between 0.5 and 1.5; ``running_mean`` and biases: normal, deviation 0.05;
    - ``num_batches_tracked``: 0, an integer.

    Args:
        shapes: Shape of each tensor by its name.
        seed: Another seed gives other weights.
        factors: Tensors by name that are multiplied afterwards.

    Returns:
        float32 tensors under the same names.

    Example:
        >>> state = seeded_state({"head.weight": [8, 3, 3, 3], "head.bias": [8]})
        >>> state["head.weight"].shape, round(state["head.bias"].std().item(), 1)
        (torch.Size([8, 3, 3, 3]), 0.1)
    """
    state = {name: _tensor(name, tuple(shape), seed) for name, shape in shapes.items()}
    return state | {name: factor * state[name] for name, factor in (factors or {}).items()}


def _tensor(name: str, shape: tuple[int, ...], seed: int) -> Tensor:
    kind = name.rsplit(".", 1)[-1]
    if kind == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if kind == "running_var":
        return torch.from_numpy(generator.uniform(0.5, 1.5, shape).astype(np.float32))
    drawn = generator.standard_normal(shape)
    count = math.prod(shape)
    if kind in ("weight_g", "original0"):
        value = 1 + 0.1 * drawn
    elif kind == "weight" and len(shape) == 1:
        slope = count == 1 or re.search(r"prelu|relu|alpha|act", name.lower())
        value = 0.1 + 0.1 * abs(drawn) if slope else 1 + 0.1 * drawn
    elif len(shape) >= 2 and kind != "bias":
        value = drawn * math.sqrt(0.5 * shape[0] / count)
    else:
        value = 0.05 * drawn
    return torch.from_numpy(np.asarray(value, np.float32).reshape(shape))
