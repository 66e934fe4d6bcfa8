"""Layers that read other rows than those that they make, or make more or fewer."""

from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.functional import imresize
from sr_lightning.strips.calls import Call, Made, Rule, functional, step, title
from sr_lightning.strips.program import NoStripsError, Step
from sr_lightning.strips.rows import Rows
from sr_lightning.strips.stretching import stretched_rows

aten = torch.ops.aten


def convolution(call: Call) -> Made:
    """Convolutions, and transposed ones, whose weights do not depend on the picture."""
    _, weight, bias, stride, padding, dilation, transposed, output_padding, groups = call.args
    if len(call.parts) != 1 or call.args[0] is not call.parts[0]:
        raise NoStripsError("a convolution whose weights depend on the picture")
    if transposed:
        return _deconvolution(call)
    rows = _in_windows(dilation[0] * (weight.shape[2] - 1) + 1, stride[0], padding[0])

    def compute(x: Tensor) -> Tensor:
        out: Tensor = aten.convolution.default(
            x, weight, bias, stride, [0, padding[1]], dilation, False, output_padding, groups
        )
        return out

    return [(step(compute, rows), call.out)]


def _in_windows(size: int, stride: int, padding: int) -> Rows:
    """Each row of the result reads ``size`` rows, the next one those ``stride`` rows below."""
    if size <= padding:
        raise NoStripsError("a convolution with more padding than its kernel reads")
    after, cut = size - stride - padding, size - stride - 2 * padding
    return Rows(down=stride, before=padding, after=after, cut=cut, zeros=True)


def max_pool(call: Call) -> Made:
    """The largest of each window."""
    size, *others = call.args[1:]
    stride = others[0] if others and others[0] else size
    padding, dilation, ceil = (others[1:] + [0, 1, False][max(0, len(others) - 1) :])[:3]
    if any(_each(padding)) or any(one != 1 for one in _each(dilation)) or ceil:
        raise NoStripsError("max_pool2d with padding, dilation or ceil_mode")
    return [(step(lambda x: F.max_pool2d(x, size, stride), _in_windows(size[0], stride[0], 0)), call.out[0])]


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

    return [(step(compute, Rows(up=factor, before=near, after=near, cut=cut)), call.out)]


def enlargement(reach: int, mode: str) -> Rule:
    """Interpolation by a whole factor."""

    def rule(call: Call) -> Made:
        part = call.parts[0]
        rows, columns = (Fraction(a, b) for a, b in zip(call.out.shape[2:], part.shape[2:], strict=True))
        if mode != "nearest" and call.args[2]:
            raise NoStripsError(f"{title(call.function)} from corner to corner")
        if mode == "bilinear" and rows != columns:
            return [(Step((), stretched_rows, Rows(before=1, after=1), stretches=True), call.out)]
        if rows != columns or rows.denominator != 1:
            raise NoStripsError(f"{title(call.function)} by no whole factor")
        factor = rows
        options = {} if mode == "nearest" else {"align_corners": False}

        def compute(x: Tensor) -> Tensor:
            return F.interpolate(x, scale_factor=int(factor), mode=mode, **options)  # type: ignore[arg-type]

        return [(step(compute, Rows(up=int(factor), before=reach, after=reach)), call.out)]

    return rule


def resize(call: Call) -> Made:
    """MATLAB's resize by a whole factor, or by one over it."""
    (part,), out = call.parts, call.out
    up, columns = (Fraction(a, b) for a, b in zip(out.shape[2:], part.shape[2:], strict=True))
    if up != columns or 1 not in (up.numerator, up.denominator):
        raise NoStripsError("a resize by a factor that is not whole")
    kept = {key: value for key, value in call.kwargs.items() if key not in ("scale", "size")}

    def compute(x: Tensor) -> Tensor:
        return imresize(x, size=(int(x.shape[2] * up), int(x.shape[3] * up)), **kept)

    near = 4 * up.denominator
    return [(step(compute, Rows(up.numerator, up.denominator, near, near)), out)]


def shuffle(call: Call) -> Made:
    """Pixels into channels or back."""
    up = Fraction(call.out.shape[2], call.parts[0].shape[2])
    compute, _ = functional(call)
    return [(step(compute, Rows(up.numerator, up.denominator)), call.out)]
