"""Keeping pixel arithmetic out of mixed precision."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """A context without autocast: bf16 cannot tell neighbouring 8-bit levels apart.

    Example:
        >>> x = torch.rand(4, 4)
        >>> with torch.autocast("cpu", torch.bfloat16), full_precision(x):
        ...     (x @ x).dtype
        torch.float32
    """
    return nullcontext() if x.device.type == "meta" else torch.autocast(x.device.type, enabled=False)
