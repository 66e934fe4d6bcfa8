"""Whole pictures by strips."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from math import ceil

import torch
from torch import Tensor

from sr_lightning.devices import is_gpu
from sr_lightning.inference.tiles.boxes import Box, spans
from sr_lightning.inference.tiles.resizing import MATLAB, Parts, Resizing, resized_parts
from sr_lightning.inference.tiles.tiling import Look, Picture, as_float, refuse_no_numbers
from sr_lightning.strips.memory import strip_rows
from sr_lightning.strips.program import NoStripsError, Program
from sr_lightning.strips.stream import streamed

_NARROWEST = 64  # columns


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
    fit = partial(strip_rows, program, multiple=multiple, budget=budget, on_gpu=is_gpu(device))
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
