"""A network as a list of steps, each of which knows the rows it reads."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from sr_lightning.strips.rows import Rows


class NoStripsError(Exception):
    """A network that no strip can be computed of; the text says what it has."""


@dataclass(frozen=True)
class Step:
    """One layer.

    Args:
        inputs: The numbers of its inputs: those of the program first, then one number for the result of each step.
        compute: Parts of the inputs, ``(N, C, rows, W)``, to a part of the result.
        rows: Which rows it reads of each input.
        into: Like ``compute``, but writes into its last argument; None where there is no such form.
        stretches: Whether the result has the picture's height times its scale, whatever the height of the input is:
            then ``compute`` is called as ``stretched_rows`` is.
    """

    inputs: tuple[int, ...]
    compute: Callable[..., Tensor]
    rows: Rows
    into: Callable[..., None] | None = None
    stretches: bool = False


@dataclass(frozen=True)
class Value:
    """What an input or the result of a step is.

    Args:
        channels: Of a part of it.
        dtype: Its type.
        scale: Its rows, and columns, for each of the picture's, but for those at the edge.
    """

    channels: int
    dtype: torch.dtype
    scale: Fraction


@dataclass(frozen=True)
class Program:
    """A network as steps in the order in which they are computed.

    Args:
        inputs: How many pictures it reads.
        steps: The layers.
        values: Of the inputs and steps.
        result: The number of the value that is the network's result.
    """

    inputs: int
    steps: tuple[Step, ...]
    values: tuple[Value, ...]
    result: int

    def heights(self, height: int) -> list[int]:
        """The rows of each value for a picture of ``height``."""
        heights = [height] * self.inputs
        for step, value in zip(self.steps, self.values[self.inputs :], strict=True):
            heights.append(int(height * value.scale) if step.stretches else step.rows.height(heights[step.inputs[0]]))
        return heights

    def rows(self, height: int) -> list[Rows]:
        """The rows that each step reads of a picture of ``height``."""
        heights = self.heights(height)
        return [
            replace(step.rows, up=heights[self.inputs + index], down=heights[step.inputs[0]])
            if step.stretches
            else step.rows
            for index, step in enumerate(self.steps)
        ]

    def zeros(self) -> list[int]:
        """Rows of zeros that the steps read above and below each value."""
        zeros = [0] * len(self.values)
        for step in self.steps:
            if step.rows.zeros:
                for number in step.inputs:
                    zeros[number] = max(zeros[number], step.rows.before)
        return zeros

    def finished(self) -> list[list[int]]:
        """For each step the values that no later step reads."""
        finished: list[list[int]] = [[] for _ in self.steps]
        for number, readers in enumerate(self.readers()):
            if readers:
                finished[readers[-1]].append(number)
        return finished

    def readers(self) -> list[list[int]]:
        """For each value the steps that read it."""
        readers: list[list[int]] = [[] for _ in self.values]
        for index, step in enumerate(self.steps):
            for number in set(step.inputs):
                readers[number].append(index)
        return readers
