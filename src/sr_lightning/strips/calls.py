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
        if function._schema.is_mutable:  # the same name without its last letter changes nothing
            packet = getattr(torch.ops.aten, str(packet).removeprefix("aten.").rstrip("_"))
            function = getattr(packet, function._overloadname, None)
            if function is None or str(function._schema.arguments[0].type) != "Tensor":
                raise NoStripsError(f"{title(call)}, which overwrites a tensor")
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


def title(call: Call) -> str:
    """What the operation is called."""
    return str(getattr(call.function, "overloadpacket", call.function.__name__)).removeprefix("aten.")
