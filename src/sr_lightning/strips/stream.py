"""A program computed from top to bottom: each step keeps the rows that the next strip still needs."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from sr_lightning.strips.program import NoStripsError, Program, Step
from sr_lightning.strips.rows import Rows


def streamed(
    program: Program, height: int, rows: int, part: Callable[[int, int], Sequence[Tensor]]
) -> Iterator[Tensor]:
    """The result of a picture from top to bottom, in parts ``(N, C, h, W)``.

    Args:
        program: The network.
        height: Rows of the whole picture.
        rows: Of a strip.
        part: Gives rows from one to another, the end excluded, of each input: ``(N, C, rows, W)``.
    """
    stream = Stream(program, height, rows)
    for top in range(0, height, rows):
        yield from stream.feed(part(top, min(top + rows, height)))


class Stream:
    """Computes a picture strip by strip.

    Args:
        program: The network.
        height: Rows of the whole picture.
        rows: Of the picture that a layer computes at once, at most: at its end all layers catch up, in strips, too.

    Example:
        >>> from sr_lightning.strips.recording import recorded
        >>> conv = torch.nn.Conv2d(3, 3, 3, padding=1)
        >>> picture = torch.rand(1, 3, 20, 8)
        >>> stream = Stream(recorded(conv, [picture]), height=20, rows=8)
        >>> with torch.inference_mode():
        ...     parts = [part for top in (0, 8, 16) for part in stream.feed([picture[:, :, top : top + 8]])]
        ...     bool((torch.cat(parts, 2) - conv(picture)).abs().max() < 1e-6), [part.shape[2] for part in parts]
        (True, [7, 8, 5])
    """

    def __init__(self, program: Program, height: int, rows: int) -> None:
        self.program = program
        self._most = [max(1, int(rows * value.scale)) for value in program.values]
        self._heights, self._zeros, self._readers = program.heights(height), program.zeros(), program.readers()
        if min(self._heights) < 1:
            raise NoStripsError("layers that give no row of so low a picture")
        self._rows_of, self._columns = program.rows(height), 0
        self._held: list[Tensor | None] = [None] * len(program.values)
        # The rows that are held of each value: from `first` to `last`, ends excluded; zeros above the picture count.
        self._first, self._last = [-zeros for zeros in self._zeros], [0] * len(program.values)
        self._done = [False] * len(program.values)
        self._finished = program.finished()

    def feed(self, pictures: Sequence[Tensor]) -> Iterator[Tensor]:
        """The rows of the result ``(N, C, h, W)`` that the next rows of the pictures allow, in strips if any.

        Args:
            pictures: The next rows ``(N, C, rows, W)`` of each input.
        """
        program, self._columns = self.program, pictures[0].shape[3]
        for number, rows in enumerate(pictures):
            room = self._room(number, rows.shape[2], rows)
            if self._readers[number]:
                room.copy_(rows)
            else:
                self._held[number] = None
        while True:
            before = [*self._last]
            for index, step in enumerate(program.steps):
                self._compute(index, step)
            rows_of_result = self._held[program.result]
            if rows_of_result is not None:
                self._held[program.result] = None
                yield rows_of_result
            if not self._done[0] or self._done[program.result]:
                return
            if self._last == before:
                raise NoStripsError("layers that give no row of so low a picture")

    def _room(self, number: int, rows: int, like: Tensor) -> Tensor:
        """Room for the next rows of a value, below those that are held; zeros are put where the picture ends."""
        value, zeros, held = self.program.values[number], self._zeros[number], self._held[number]
        kept = zeros if held is None else held.shape[2]
        self._last[number] += rows
        self._done[number] = self._last[number] == self._heights[number]
        below = zeros if self._done[number] else 0
        shape = like.shape[0], value.channels, kept + rows + below, like.shape[3]
        whole = torch.empty(shape, dtype=value.dtype, device=like.device, memory_format=torch.channels_last)
        if held is not None:
            whole[:, :, :kept] = held
        else:
            whole[:, :, :kept] = 0
        if below:
            whole[:, :, kept + rows :] = 0
        self._held[number] = whole
        return whole[:, :, kept : kept + rows]

    def _compute(self, index: int, step: Step) -> None:
        number = self.program.inputs + index
        first = self._last[number]
        rows = self._rows_of[index]
        last = min(rows.computable(self._last[one], self._done[one], self._heights[one]) for one in step.inputs)
        last = min(last, first + self._most[number])
        if last > first:
            self._extend(number, step, rows, first, last)
        for one in self._finished[index]:
            self._drop(one)

    def _extend(self, number: int, step: Step, rows: Rows, first: int, last: int) -> None:
        begin, end = rows.needed(first, last)
        above = 0  # rows that the layer gives above those that are wanted
        if not rows.zeros:
            begin, end = max(0, begin), min(self._heights[step.inputs[0]], end)
            above = first - begin * rows.up // rows.down if rows.before >= 0 and not step.stretches else 0
        parts = [self._rows(one, begin, end) for one in step.inputs]
        held = self._held[number]
        alone = not self._zeros[number] and (held is None or held.shape[2] == 0)
        if step.into is not None and not alone:
            step.into(*parts, self._room(number, last - first, parts[0]))
            return
        if step.stretches:
            width = int(self._columns * self.program.values[number].scale)
            out = step.compute(parts[0], begin, rows.down, (first, last), rows.up, width)
        else:
            out = step.compute(*parts)[:, :, above : above + last - first]
        if alone:
            self._held[number], self._first[number], self._last[number] = out, first, last
            self._done[number] = last == self._heights[number]
        else:
            self._room(number, last - first, out).copy_(out)

    def _rows(self, number: int, begin: int, end: int) -> Tensor:
        held, first = self._held[number], self._first[number]
        assert held is not None
        return held[:, :, begin - first : end - first]

    def _drop(self, number: int) -> None:
        """Forgets the rows that no step will read again."""
        held = self._held[number]
        if held is None or number == self.program.result:
            return
        needed = self._last[number]
        for index in self._readers[number]:
            rows = self._rows_of[index]
            begin = rows.needed(self._last[self.program.inputs + index], 0)[0]
            needed = min(needed, begin if rows.zeros else max(begin, 0))
        first = self._first[number]
        if needed <= first:
            return
        kept = held[:, :, needed - first :]
        # A copy frees the rest of the memory; a view saves copying where most rows stay.
        self._held[number] = (
            kept if 2 * kept.shape[2] > held.shape[2] else kept.clone(memory_format=torch.channels_last)
        )
        self._first[number] = needed
