"""Keeping pixel arithmetic out of mixed precision."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor


@contextmanager
def full_precision(x: Tensor) -> Iterator[None]:
    """Turns off autocast and TF32: bf16 cannot resolve the levels of 8 bit, and TF32 not those of 16 bit.

    Example:
        >>> x = torch.rand(4, 4)
        >>> with torch.autocast("cpu", torch.bfloat16), full_precision(x):
        ...     (x @ x).dtype
        torch.float32
    """
    before = [(place, name, getattr(place, name), off) for place, name, off in _tf32()] if x.is_cuda else []
    try:
        for place, name, _, off in before:
            setattr(place, name, off)
        with nullcontext() if x.device.type == "meta" else torch.autocast(x.device.type, enabled=False):
            yield
    finally:
        for place, name, value, _ in before:
            setattr(place, name, value)


def _tf32() -> list[tuple[Any, str, object]]:
    """The switches for convolutions and products, each with its position off; torch lets nobody mix new and old."""
    convolution, product = getattr(torch.backends.cudnn, "conv", None), torch.backends.cuda.matmul
    if convolution is not None and hasattr(convolution, "fp32_precision"):
        return [(convolution, "fp32_precision", "ieee"), (product, "fp32_precision", "ieee")]
    return [(torch.backends.cudnn, "allow_tf32", False), (product, "allow_tf32", False)]
