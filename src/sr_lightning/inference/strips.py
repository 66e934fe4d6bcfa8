"""Whole pictures by strips."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from math import ceil

import torch
from torch import Tensor

from sr_lightning.inference.tiles.boxes import Box, spans
from sr_lightning.inference.tiles.resizing import MATLAB, Resizing, resize_parts
from sr_lightning.inference.tiles.tiling import Look, Picture, as_float, refuse_no_numbers
from sr_lightning.strips.memory import strip_rows
from sr_lightning.strips.program import NoStripsError, Program
from sr_lightning.strips.stream import streamed

_NARROWEST = 64  # columns

Parts = Iterator[tuple[Box, Tensor]]


@torch.inference_mode()
def upscale_strips(
    program: Program,
    pictures: Sequence[Picture],
    scale: int,
    *,
    halo: Callable[[], int],
    budget: float,
    size: tuple[int, int] | None = None,
    resizing: Resizing = MATLAB,
    multiple: int = 1,
    device: torch.device | str = "cpu",
    look: Look | None = None,
) -> Parts:
    """Super-resolves pictures of one size strip by strip: the values of the whole picture, and none computed twice.

    Where a strip of all columns is too large for ``budget``, columns are parted, with ``halo`` around each part.

    Args:
        program: The network.
        pictures: The inputs, of the same height and width.
        scale: Whole factor of enlargement.
        halo: Gives the LR pixels around parts of the columns.
        budget: Bytes that the features of a strip may take.
        size: As for ``upscale_tiles``.
        resizing: The same.
        multiple: Strips begin on multiples of this, 2 for mosaics.
        device: Where the network computes.
        look: As for ``upscale_tiles``.

    Yields:
        The place in the result, and its values ``(C, H, W)``, float32 on the CPU.

    Raises:
        NoStripsError: If not even strips of few rows and columns fit.
        CheckpointError: If the network gives NaN.
    """
    height, width = pictures[0].shape[-2:]
    shape = height * scale, width * scale
    fit = partial(strip_rows, program, multiple=multiple, budget=budget, on_gpu=torch.device(device).type == "cuda")
    rows, columns = fit(width), width
    around = 0
    while not rows:
        columns //= 2
        around = halo() + (0 if size is None else -(-resizing.reach(size, shape) // scale))
        if columns < _NARROWEST:
            raise NoStripsError("features that do not fit into memory")
        rows = fit(columns + 2 * around)
    for left, right, start, stop in spans(width, columns, around, multiple):
        parts = _band(program, [picture[:, :, start:stop] for picture in pictures], rows, start * scale, device)
        parts = _of_size(parts, shape[0], (stop - start) * scale)
        shown = _looked_at(parts, shape, (left * scale, right * scale), look)
        if size is None:
            for box, values in shown:
                kept = Box(box.top, box.bottom, left * scale, right * scale)
                yield kept, values[:, *kept.inside(box).slices]
        else:
            columns_of_size = ceil(left * Fraction(size[1], width)), ceil(right * Fraction(size[1], width))
            yield from resized_parts(shown, shape, size, columns_of_size, resizing)


def _band(program: Program, pictures: Sequence[Picture], rows: int, left: int, device: torch.device | str) -> Parts:
    """The strips of some columns of a picture, the result of which begins at column ``left``."""

    def part(begin: int, end: int) -> list[Tensor]:
        return [as_float(picture[:, begin:end])[None].to(device) for picture in pictures]

    top = 0
    for out in streamed(program, pictures[0].shape[-2], rows, part):
        values = out[0].float().cpu()
        yield Box(top, top + values.shape[1], left, left + values.shape[2]), values
        top += values.shape[1]


def _of_size(parts: Parts, height: int, width: int) -> Parts:
    """The same parts, if they make up a result of the size that the network promises."""
    bottom = 0
    for box, values in parts:
        bottom = box.bottom
        if box.right - box.left != width or bottom > height:
            raise NoStripsError("a result of another size")
        yield box, values
    if bottom != height:
        raise NoStripsError("a result of another size")


def _looked_at(parts: Parts, shape: tuple[int, int], columns: tuple[int, int], look: Look | None) -> Parts:
    """The same parts, after they were checked and shown."""
    for box, values in parts:
        refuse_no_numbers(values)
        if look is not None:
            kept = Box(box.top, box.bottom, *columns)
            look(values[:, *kept.inside(box).slices], kept, shape)
        yield box, values


def resized_parts(
    parts: Parts,
    shape: tuple[int, int],
    size: tuple[int, int],
    columns: tuple[int, int] | None = None,
    resizing: Resizing = MATLAB,
) -> Parts:
    """The resize of a result that comes from top to bottom, in parts, as soon as their rows are there.

    Args:
        parts: Strips of the result.
        shape: Height and width of all of it.
        size: Height and width of what it is resized to.
        columns: Of that, those that are made; by default all.
        resizing: How.
    """
    left, right = columns or (0, size[1])
    held: Tensor | None = None
    first = done = 0
    for box, part in parts:
        held = part if held is None else torch.cat([held, part], 1)
        ready = _rows_ready(box.bottom, shape[0], size[0], done, resizing)
        if ready > done:
            target = Box(done, ready, left, right)
            yield from resize_parts(held, Box(first, box.bottom, box.left, box.right), shape, target, size, resizing)
            done = ready
            needed = _rows_below(done, shape[0], size[0], resizing).top if done < size[0] else box.bottom
            held, first = held[:, max(0, needed - first) :], max(first, needed)


def _rows_ready(last: int, height: int, wanted: int, ready: int, resizing: Resizing) -> int:
    """The end of the rows of the resized result that depend on rows before ``last`` alone."""
    if last == height:
        return wanted
    while ready < wanted and _rows_below(ready, height, wanted, resizing).bottom <= last:
        ready += 1
    return ready


def _rows_below(row: int, height: int, wanted: int, resizing: Resizing) -> Box:
    """What a row of the resized result depends on."""
    return resizing.source_box(Box(row, row + 1, 0, 1), (wanted, 1), (height, 1))
