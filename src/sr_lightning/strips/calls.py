"""Calls of operations, as they were recorded, and what becomes of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sr_lightning.strips.program import NoStripsError, Step
from sr_lightning.strips.rows import SAME, Rows


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


def step(compute: Callable[..., Tensor], rows: Rows = SAME, into: Callable[..., None] | None = None) -> Step:
    """A step whose inputs the recorder knows."""
    return Step((), compute, rows, into)


def functional(call: Call) -> tuple[Callable[..., Tensor], Callable[..., None] | None]:
    """The operation as one that changes nothing, and as one that writes into room."""
    function, filled = call.function, call.filled
    packet = getattr(function, "overloadpacket", None)
    into = None
    if packet is not None:
        if overwrites(function):  # the same name without its last letter changes nothing
            packet = getattr(torch.ops.aten, title(function).rstrip("_"))
            function = getattr(packet, function._overloadname, None)
            if function is None or str(function._schema.arguments[0].type) != "Tensor":
                raise NoStripsError(f"{title(call.function)}, which overwrites a tensor")
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


def title(function: Any) -> str:
    """What an operation of torch, or a function, is called."""
    packet = getattr(function, "overloadpacket", None)
    return str(packet).removeprefix("aten.") if packet is not None else str(function.__name__)


def overwrites(function: Any) -> bool:
    """Whether an operation changes its input."""
    schema = getattr(function, "_schema", None)
    return schema is not None and schema.is_mutable
