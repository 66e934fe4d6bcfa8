"""The steps of a network, written down while it computes a small picture."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from sr_lightning.functional.whole_steps import following
from sr_lightning.strips.calls import Call, overwrites, title
from sr_lightning.strips.dispatch import DispatchMode
from sr_lightning.strips.program import NoStripsError, Program, Step, Value
from sr_lightning.strips.rules import FUNCTIONS, OPERATIONS


def recorded(net: Callable[..., Tensor], pictures: Sequence[Tensor]) -> Program:
    """The program of a network.

    Args:
        net: The network.
        pictures: Small ones ``(1, C, H, W)``, of the sizes and types that it takes; what it computes of them is
            thrown away.

    Raises:
        NoStripsError: If the network has a layer that no strip can be computed of.
    """
    with torch.inference_mode(False), torch.no_grad():
        pictures = [picture.clone() for picture in pictures]  # of inference, several operations would come as one
        recorder = _Recorder(pictures)
        with following(recorder.function), recorder:
            result = net(*pictures)
    return recorder.program(result)


class _Recorder(DispatchMode):
    """Is told of each operation of torch, below autocast: changes of type are operations, too."""

    def __init__(self, pictures: Sequence[Tensor]) -> None:
        super().__init__()
        self._height = pictures[0].shape[2]
        self._inputs = len(pictures)
        self._steps: list[Step] = []
        self._values: list[Value] = []
        self._numbers: dict[int, int] = {}
        self._sharing: dict[int, set[int]] = {}  # of each memory, the numbers of the values in it
        self._overwritten: set[int] = set()
        self._alive: list[Tensor] = []  # or the next tensor could get the identity of one that is gone
        self._silent = False
        for picture in pictures:
            self._add(picture)

    def program(self, result: Tensor) -> Program:
        """What was recorded, without the steps that the result does not depend on."""
        number = self._numbers.get(id(result))
        if number is None:
            raise NoStripsError("a result that does not depend on the picture")
        wanted, kept = {number}, set[int]()
        for index in reversed(range(len(self._steps))):
            if self._inputs + index in wanted:
                wanted |= set(self._steps[index].inputs)
                kept.add(index)
        if any(number in self._steps[index].inputs for index in kept):
            raise NoStripsError("a result that other layers read")
        if not kept:
            raise NoStripsError("no layer")
        new = {one: one for one in range(self._inputs)}
        for place, index in enumerate(sorted(kept)):
            new[self._inputs + index] = self._inputs + place
        steps = [self._steps[index] for index in sorted(kept)]
        return Program(
            self._inputs,
            tuple(replace(step, inputs=tuple(new[one] for one in step.inputs)) for step in steps),
            tuple(self._values[one] for one in sorted(new)),
            new[number],
        )

    def function(self, function: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Is told of each ``whole_step``."""
        was, self._silent = self._silent, True
        try:
            out = function(*args, **kwargs)
        finally:
            self._silent = was
        if not was:
            self._record(function, args, kwargs, out)
        return out

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not self._silent:
            self._record(func, args, kwargs, out)
        return out

    def _record(self, function: Any, args: Any, kwargs: Any, out: Any) -> None:
        leaves, shape = tree_flatten((args, kwargs))
        places = {
            place: self._numbers[id(leaf)]
            for place, leaf in enumerate(leaves)
            if isinstance(leaf, Tensor) and id(leaf) in self._numbers
        }
        if not places:
            return
        inputs = tuple(places.values())
        parts = [leaves[place] for place in places]

        def filled(rows: Sequence[Tensor]) -> tuple[Any, Any]:
            every = list(leaves)
            for place, part in zip(places, rows, strict=True):
                every[place] = part
            return tree_unflatten(every, shape)  # type: ignore[no-any-return]

        for place in places:  # what stands for them must not keep them alive
            leaves[place] = None
        call = Call(function, parts, args, kwargs, out, filled)
        rule = FUNCTIONS.get(function) or OPERATIONS.get(title(function))
        if rule is None:
            raise NoStripsError(title(function))
        if self._overwritten.intersection(inputs):
            raise NoStripsError("a layer that reads what another one has overwritten")
        if overwrites(function):
            self._overwritten |= self._sharing[parts[0].untyped_storage().data_ptr()]
        made = rule(call)
        if made is None:  # the same values
            self._rename(out, inputs[0])
            return
        for step, result in made:
            self._steps.append(replace(step, inputs=inputs))
            scale = self._values[inputs[0]].scale * step.rows.up / step.rows.down
            self._add(result, Fraction(result.shape[2], self._height) if step.stretches else scale)

    def _add(self, tensor: Tensor, scale: Fraction = Fraction(1)) -> None:
        if tensor.ndim != 4:
            raise NoStripsError(f"a tensor of {tensor.ndim} axes")
        self._rename(tensor, len(self._values))
        self._values.append(Value(tensor.shape[1], tensor.dtype, scale))

    def _rename(self, tensor: Tensor, number: int) -> None:
        self._numbers[id(tensor)] = number
        self._sharing.setdefault(tensor.untyped_storage().data_ptr(), set()).add(number)
        self._alive.append(tensor)
