"""For each operation that strips can be computed of: which rows it reads, and how a part of it is computed."""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from sr_lightning.functional import imresize, rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb
from sr_lightning.functional.bayer import pack
from sr_lightning.strips.calls import Call, Made, Rule, functional, step, title
from sr_lightning.strips.program import NoStripsError
from sr_lightning.strips.rows import Rows
from sr_lightning.strips.windows import convolution, enlargement, max_pool, resize, shuffle


def _pointwise(call: Call) -> Made:
    """Each value of the result depends on one pixel of each part."""
    shapes = [part.shape for part in call.parts]
    if any(shape[2:] != call.out.shape[2:] for shape in shapes):
        raise NoStripsError(
            f"{title(call.function)} of tensors of {' and '.join(str(tuple(shape)) for shape in shapes)}"
        )
    for other in _constants(call):
        if any(length != 1 for length in other.shape[-2:]):
            raise NoStripsError(f"{title(call.function)} with a picture that is always the same")
    compute, into = functional(call)
    return [(step(compute, into=into), call.out)]


def _type_change(call: Call) -> Made:
    compute, _ = functional(call)
    return [(step(compute, into=lambda x, room: room.copy_(x)), call.out)]


def _cat(call: Call) -> Made:
    dim = (call.args[1] if len(call.args) > 1 else call.kwargs.get("dim", 0)) % 4
    if dim != 1 or len(call.parts) != len(call.args[0]):
        raise NoStripsError(f"cat along axis {dim}, or with a constant")
    compute, into = functional(call)
    return [(step(compute, into=into), call.out)]


def _slice(call: Call) -> Made:
    part, out = call.parts[0], call.out
    given: tuple[Any, ...] = call.args
    _, dim, start, _, every = given + (None, 0, None, None, 1)[len(given) :]
    dim, start = dim % 4, start or 0
    start += part.shape[dim] if start < 0 else 0
    if every != 1 or dim == 0:
        raise NoStripsError("slice with a step")
    if out.shape == part.shape:
        return None
    length, end = out.shape[dim], start + out.shape[dim] - part.shape[dim]
    if dim == 1:
        return [(step(lambda x: x[:, start : start + length]), out)]
    if dim == 2:
        return [(step(lambda x: x, Rows(before=-start, after=start, cut=-(end - start))), out)]
    return [(step(lambda x: x[..., start : x.shape[3] + end]), out)]


def _split(call: Call) -> Made:
    dim = (call.args[2] if len(call.args) > 2 else call.kwargs.get("dim", 0)) % 4
    if dim != 1:
        raise NoStripsError(f"split along axis {dim}")
    made, begin = [], 0
    for part in call.out:
        made.append((step(_channels(begin, begin + part.shape[1])), part))
        begin += part.shape[1]
    return made


def _channels(begin: int, end: int) -> Callable[[Tensor], Tensor]:
    return lambda x: x[:, begin:end]


def _expand(call: Call) -> Made:
    part, out = call.parts[0], call.out
    if part.shape[2:] != out.shape[2:] or part.shape[0] != out.shape[0]:
        raise NoStripsError("expand of rows or columns")
    channels = out.shape[1]
    return [(step(lambda x: x.expand(-1, channels, -1, -1)), out)]


def _over_channels(call: Call) -> Made:
    """Sums and means over channels, which stay an axis."""
    dims = [dim % 4 for dim in call.args[1] or ()] if len(call.args) > 1 else []
    if dims != [1] or call.out.ndim != 4:
        raise NoStripsError(f"{title(call.function)} over rows or columns")
    compute, _ = functional(call)
    return [(step(compute), call.out)]


def _batch_norm(call: Call) -> Made:
    """With the statistics of training; those of the picture would be of all rows."""
    _, weight, bias, mean, variance, training, _, eps = call.args
    if training or mean is None:
        raise NoStripsError("a normalisation by the whole picture")
    return [(step(lambda x: F.batch_norm(x, mean, variance, weight, bias, eps=eps)), call.out[0])]


def _padding(call: Call) -> Made:
    amounts = list(call.args[1])
    if any(amounts):
        raise NoStripsError(f"{title(call.function)} of rows or columns")
    return [(step(lambda x: x), call.out)]


def _same(call: Call) -> Made:
    return None


def _constants(call: Call) -> list[Tensor]:
    known = {id(part) for part in call.parts}
    return [x for x in [*call.args, *call.kwargs.values()] if isinstance(x, Tensor) and id(x) not in known]


_EACH_PIXEL = """
    abs add clamp clamp_max clamp_min clone contiguous div elu exp gelu hardsigmoid hardswish hardtanh leaky_relu log
    maximum minimum mish mul neg pow _prelu_kernel reciprocal relu relu6 rsqrt rsub sigmoid silu softplus sqrt square
    sub tanh
""".split()  # noqa: SIM905  # shorter than a list

OPERATIONS: dict[str, Rule] = {
    **dict.fromkeys(_EACH_PIXEL, _pointwise),
    **{f"{name}_": _pointwise for name in _EACH_PIXEL},
    "_to_copy": _type_change,
    "alias": _same,
    "detach": _same,
    "convolution": convolution,
    "pixel_shuffle": shuffle,
    "pixel_unshuffle": shuffle,
    "channel_shuffle": _pointwise,
    "max_pool2d_with_indices": max_pool,
    "upsample_nearest2d": enlargement(0, "nearest"),
    "upsample_bilinear2d": enlargement(2, "bilinear"),
    "upsample_bicubic2d": enlargement(3, "bicubic"),
    "cat": _cat,
    "slice": _slice,
    "split": _split,
    "split_with_sizes": _split,
    "expand": _expand,
    "sum": _over_channels,
    "mean": _over_channels,
    "native_batch_norm": _batch_norm,
    "reflection_pad2d": _padding,
    "replication_pad2d": _padding,
    "constant_pad_nd": _padding,
}
FUNCTIONS: dict[Callable[..., Tensor], Rule] = {
    imresize: resize,
    rgb_to_ycbcr: _pointwise,
    ycbcr_to_rgb: _pointwise,
    rgb_to_y: _pointwise,
    pack: shuffle,
}
