"""For each operation that strips can be computed of: which rows it reads, and how a part of it is computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.functional import imresize, rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb
from sr_lightning.functional.bayer import pack
from sr_lightning.strips.program import NoStripsError, Step
from sr_lightning.strips.rows import SAME, Rows
from sr_lightning.strips.stretching import stretched_rows

aten = torch.ops.aten


@dataclass(frozen=True)
class Call:
    """A call of an operation that was recorded.

    Args:
        function: What was called.
        parts: Its arguments that depend on the picture.
        args: All arguments.
        kwargs: And those with names.
        out: What it gave.
        filled: Other parts to all arguments, with and without names.
    """

    function: Any
    parts: list[Tensor]
    args: Any
    kwargs: Any
    out: Any
    filled: Callable[[Sequence[Tensor]], tuple[Any, Any]]


Made = list[tuple[Step, Tensor]] | None  # None: the same values
Rule = Callable[[Call], Made]


def _step(compute: Callable[..., Tensor], rows: Rows = SAME, into: Callable[..., None] | None = None) -> Step:
    return Step((), compute, rows, into)


def _pointwise(call: Call) -> Made:
    """Each value of the result depends on one pixel of each part."""
    shapes = [part.shape for part in call.parts]
    if any(shape[2:] != call.out.shape[2:] for shape in shapes):
        raise NoStripsError(f"{_title(call)} of tensors of {' and '.join(str(tuple(shape)) for shape in shapes)}")
    for other in _constants(call):
        if any(length != 1 for length in other.shape[-2:]):
            raise NoStripsError(f"{_title(call)} with a picture that is always the same")
    compute, into = _functional(call)
    return [(_step(compute, into=into), call.out)]


def _functional(call: Call) -> tuple[Callable[..., Tensor], Callable[..., None] | None]:
    """The operation as one that changes nothing, and as one that writes into room."""
    function, filled = call.function, call.filled
    packet = getattr(function, "overloadpacket", None)
    into = None
    if packet is not None:
        if function._schema.is_mutable:  # the same name without its last letter changes nothing
            packet = getattr(aten, str(packet).removeprefix("aten.").rstrip("_"))
            function = getattr(packet, function._overloadname, None)
            if function is None or str(function._schema.arguments[0].type) != "Tensor":
                raise NoStripsError(f"{_title(call)}, which overwrites a tensor")
        overload = function._overloadname
        writing = "out" if overload in ("default", "Tensor") else f"{overload}_out"
        if writing in packet.overloads():
            into = getattr(packet, writing)

    def compute(*parts: Tensor) -> Tensor:
        args, kwargs = filled(parts)
        return function(*args, **kwargs)  # type: ignore[no-any-return]

    def write(*parts: Tensor) -> None:
        args, kwargs = filled(parts[:-1])
        into(*args, **kwargs, out=parts[-1])  # type: ignore[misc]

    return compute, write if into is not None else None


def _type_change(call: Call) -> Made:
    compute, _ = _functional(call)
    return [(_step(compute, into=lambda x, room: room.copy_(x)), call.out)]


def _convolution(call: Call) -> Made:
    _, weight, bias, stride, padding, dilation, transposed, output_padding, groups = call.args
    if len(call.parts) != 1 or (isinstance(weight, Tensor) and weight is call.parts[0]):
        raise NoStripsError("a convolution whose weights depend on the picture")
    if transposed:
        return _deconvolution(call)
    rows = _in_windows(dilation[0] * (weight.shape[2] - 1) + 1, stride[0], padding[0])

    def compute(x: Tensor) -> Tensor:
        out: Tensor = aten.convolution.default(
            x, weight, bias, stride, [0, padding[1]], dilation, False, output_padding, groups
        )
        return out

    return [(_step(compute, rows), call.out)]


def _in_windows(size: int, stride: int, padding: int) -> Rows:
    """Each row of the result reads ``size`` rows, the next one those ``stride`` rows below."""
    if size <= padding:
        raise NoStripsError("a convolution with more padding than its kernel reads")
    after, cut = size - stride - padding, size - stride - 2 * padding
    return Rows(down=stride, before=padding, after=after, cut=cut, zeros=True)


def _max_pool(call: Call) -> Made:
    size, *others = call.args[1:]
    stride = others[0] if others and others[0] else size
    padding, dilation, ceil = (others[1:] + [0, 1, False][max(0, len(others) - 1) :])[:3]
    if any(_each(padding)) or any(one != 1 for one in _each(dilation)) or ceil:
        raise NoStripsError("max_pool2d with padding, dilation or ceil_mode")
    return [(_step(lambda x: F.max_pool2d(x, size, stride), _in_windows(size[0], stride[0], 0)), call.out[0])]


def _each(numbers: Any) -> list[int]:
    return [*numbers] if isinstance(numbers, list | tuple) else [numbers]


def _deconvolution(call: Call) -> Made:
    _, weight, bias, stride, padding, dilation, _, output_padding, groups = call.args
    factor = stride[0]
    cut = factor * call.parts[0].shape[2] - call.out.shape[2]
    near = -(-(dilation[0] * (weight.shape[2] - 1) + 1 + abs(cut)) // factor) + 1

    def compute(x: Tensor) -> Tensor:
        out: Tensor = aten.convolution.default(x, weight, bias, stride, padding, dilation, True, output_padding, groups)
        return out

    return [(_step(compute, Rows(up=factor, before=near, after=near, cut=cut)), call.out)]


def _enlargement(reach: int, mode: str) -> Rule:
    """Interpolation by a whole factor."""

    def rule(call: Call) -> Made:
        part = call.parts[0]
        rows, columns = (Fraction(a, b) for a, b in zip(call.out.shape[2:], part.shape[2:], strict=True))
        if mode != "nearest" and call.args[2]:
            raise NoStripsError(f"{_title(call)} from corner to corner")
        if mode == "bilinear" and rows != columns:
            return [(Step((), stretched_rows, Rows(before=1, after=1), stretches=True), call.out)]
        if rows != columns or rows.denominator != 1:
            raise NoStripsError(f"{_title(call)} by no whole factor")
        factor = rows
        options = {} if mode == "nearest" else {"align_corners": False}

        def compute(x: Tensor) -> Tensor:
            return F.interpolate(x, scale_factor=int(factor), mode=mode, **options)  # type: ignore[arg-type]

        return [(_step(compute, Rows(up=int(factor), before=reach, after=reach)), call.out)]

    return rule


def _imresize(call: Call) -> Made:
    (part,), out = call.parts, call.out
    up, columns = (Fraction(a, b) for a, b in zip(out.shape[2:], part.shape[2:], strict=True))
    if up != columns or 1 not in (up.numerator, up.denominator):
        raise NoStripsError("a resize by a factor that is not whole")
    kept = {key: value for key, value in call.kwargs.items() if key not in ("scale", "size")}

    def compute(x: Tensor) -> Tensor:
        return imresize(x, size=(int(x.shape[2] * up), int(x.shape[3] * up)), **kept)

    near = 4 * up.denominator
    return [(_step(compute, Rows(up.numerator, up.denominator, near, near)), out)]


def _shuffle(call: Call) -> Made:
    up = Fraction(call.out.shape[2], call.parts[0].shape[2])
    compute, _ = _functional(call)
    return [(_step(compute, Rows(up.numerator, up.denominator)), call.out)]


def _cat(call: Call) -> Made:
    dim = (call.args[1] if len(call.args) > 1 else call.kwargs.get("dim", 0)) % 4
    if dim != 1 or len(call.parts) != len(call.args[0]):
        raise NoStripsError(f"cat along axis {dim}, or with a constant")
    compute, into = _functional(call)
    return [(_step(compute, into=into), call.out)]


def _slice(call: Call) -> Made:
    part, out = call.parts[0], call.out
    given: tuple[Any, ...] = call.args
    _, dim, start, _, step = given + (None, 0, None, None, 1)[len(given) :]
    dim, start = dim % 4, start or 0
    start += part.shape[dim] if start < 0 else 0
    if step != 1 or dim == 0:
        raise NoStripsError("slice with a step")
    if out.shape == part.shape:
        return None
    length, end = out.shape[dim], start + out.shape[dim] - part.shape[dim]
    if dim == 1:
        return [(_step(lambda x: x[:, start : start + length]), out)]
    if dim == 2:
        return [(_step(lambda x: x, Rows(before=-start, after=start, cut=-(end - start))), out)]
    return [(_step(lambda x: x[..., start : x.shape[3] + end]), out)]


def _split(call: Call) -> Made:
    dim = (call.args[2] if len(call.args) > 2 else call.kwargs.get("dim", 0)) % 4
    if dim != 1:
        raise NoStripsError(f"split along axis {dim}")
    made, begin = [], 0
    for part in call.out:
        made.append((_step(_channels(begin, begin + part.shape[1])), part))
        begin += part.shape[1]
    return made


def _channels(begin: int, end: int) -> Callable[[Tensor], Tensor]:
    return lambda x: x[:, begin:end]


def _expand(call: Call) -> Made:
    part, out = call.parts[0], call.out
    if part.shape[2:] != out.shape[2:] or part.shape[0] != out.shape[0]:
        raise NoStripsError("expand of rows or columns")
    channels = out.shape[1]
    return [(_step(lambda x: x.expand(-1, channels, -1, -1)), out)]


def _over_channels(call: Call) -> Made:
    """Sums and means over channels, which stay an axis."""
    dims = [dim % 4 for dim in call.args[1] or ()] if len(call.args) > 1 else []
    if dims != [1] or call.out.ndim != 4:
        raise NoStripsError(f"{_title(call)} over rows or columns")
    compute, _ = _functional(call)
    return [(_step(compute), call.out)]


def _batch_norm(call: Call) -> Made:
    """With the statistics of training; those of the picture would be of all rows."""
    _, weight, bias, mean, variance, training, _, eps = call.args
    if training or mean is None:
        raise NoStripsError("a normalisation by the whole picture")
    return [(_step(lambda x: F.batch_norm(x, mean, variance, weight, bias, eps=eps)), call.out[0])]


def _padding(call: Call) -> Made:
    amounts = list(call.args[1])
    if any(amounts):
        raise NoStripsError(f"{_title(call)} of rows or columns")
    return [(_step(lambda x: x), call.out)]


def _same(call: Call) -> Made:
    return None


def _title(call: Call) -> str:
    return str(getattr(call.function, "overloadpacket", call.function.__name__)).removeprefix("aten.")


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
    "convolution": _convolution,
    "pixel_shuffle": _shuffle,
    "pixel_unshuffle": _shuffle,
    "channel_shuffle": _pointwise,
    "max_pool2d_with_indices": _max_pool,
    "upsample_nearest2d": _enlargement(0, "nearest"),
    "upsample_bilinear2d": _enlargement(2, "bilinear"),
    "upsample_bicubic2d": _enlargement(3, "bicubic"),
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
    imresize: _imresize,
    rgb_to_ycbcr: _pointwise,
    ycbcr_to_rgb: _pointwise,
    rgb_to_y: _pointwise,
    pack: _shuffle,
}
