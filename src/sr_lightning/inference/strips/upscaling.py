"""Whole pictures by strips."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import ceil

import torch
from torch import Tensor

from sr_lightning.errors import CheckpointError
from sr_lightning.inference.strips.memory import strip_rows
from sr_lightning.inference.strips.program import Program
from sr_lightning.inference.strips.recording import recorded
from sr_lightning.inference.strips.rules import NoStripsError
from sr_lightning.inference.strips.stream import Stream
from sr_lightning.inference.tiles.boxes import Box, spans
from sr_lightning.inference.tiles.resizing import reach, resize_parts, source_box
from sr_lightning.inference.tiles.tiling import Forward, Look, Picture, as_float

_PROBE = 40, 24  # height and width of the picture that a program is tried on
_NARROWEST = 64  # columns


@torch.inference_mode()
def strip_program(
    forward: Forward,
    channels: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    autocast: torch.dtype | None = None,
) -> Program:
    """The program of a network, tried: its strips give what the network gives of a whole picture.

    Args:
        forward: Batches ``(1, C, H, W)`` of the pictures to ``(1, C, scale * H, scale * W)``.
        channels: Of each picture.
        device: Where it computes.
        autocast: Half precision to compute in, or None.

    Raises:
        NoStripsError: If the network has a layer that no strip can be computed of, or strips give something else.
    """
    generator = torch.Generator().manual_seed(0)
    pictures = [torch.rand(count, *_PROBE, generator=generator) for count in channels]
    with torch.autocast(torch.device(device).type, autocast, enabled=autocast is not None):
        whole = forward(*(_ready(picture, device) for picture in pictures))[0].cpu()
        program = recorded(forward, [_ready(picture[:, :16, :20], device) for picture in pictures])
    strips = torch.cat([values for _, values in _band(program, pictures, 8, 0, device)], 1)
    # Sums of other order differ in the last digits, of the types that the network computes in.
    limit = (1e-5 if autocast is None else 5e-2) * max(1.0, float(whole.abs().max()))
    if strips.shape != whole.shape or not float((strips.float() - whole.float()).abs().max()) <= limit:
        raise NoStripsError("layers that depend on the height of the picture")
    return program


@torch.inference_mode()
def upscale_strips(
    program: Program,
    pictures: Sequence[Picture],
    scale: int,
    *,
    halo: Callable[[], int],
    budget: float,
    size: tuple[int, int] | None = None,
    multiple: int = 1,
    device: torch.device | str = "cpu",
    look: Look | None = None,
) -> Iterator[tuple[Box, Tensor]]:
    """Super-resolves pictures of one size strip by strip: the values of the whole picture, and none computed twice.

    Where a strip of all columns is too large for ``budget``, columns are parted, with ``halo`` around each part.

    Args:
        program: The network.
        pictures: The inputs, of the same height and width.
        scale: Whole factor of enlargement.
        halo: Gives the LR pixels around parts of the columns.
        budget: Bytes that the features of a strip may take.
        size: As for ``upscale_tiles``.
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
    rows, columns = strip_rows(program, width, multiple, budget), width
    around = 0
    while not rows:
        columns //= 2
        around = halo() + (0 if size is None else -(-reach(size, shape) // scale))
        if columns < _NARROWEST:
            raise NoStripsError("features that do not fit into memory")
        rows = strip_rows(program, columns + 2 * around, multiple, budget)
    for left, right, start, stop in spans(width, columns, around, multiple):
        parts = _band(program, [picture[:, :, start:stop] for picture in pictures], rows, start * scale, device)
        shown = _looked_at(parts, shape, (left * scale, right * scale), look)
        if size is None:
            for box, values in shown:
                kept = Box(box.top, box.bottom, left * scale, right * scale)
                yield kept, values[:, *kept.inside(box).slices]
        else:
            columns_of_size = ceil(left * Fraction(size[1], width)), ceil(right * Fraction(size[1], width))
            yield from resized_parts(shown, shape, size, columns_of_size)


Parts = Iterator[tuple[Box, Tensor]]


def _band(program: Program, pictures: Sequence[Picture], rows: int, left: int, device: torch.device | str) -> Parts:
    """The strips of some columns of a picture, the result of which begins at column ``left``."""
    height, top = pictures[0].shape[-2], 0
    stream = Stream(program, height, rows)
    for begin in range(0, height, rows):
        for out in stream.feed([_ready(picture[:, begin : begin + rows], device) for picture in pictures]):
            values = out[0].float().cpu()
            yield Box(top, top + values.shape[1], left, left + values.shape[2]), values
            top += values.shape[1]


def _ready(part: Picture, device: torch.device | str) -> Tensor:
    return as_float(part)[None].to(device)


def _looked_at(parts: Parts, shape: tuple[int, int], columns: tuple[int, int], look: Look | None) -> Parts:
    """The same parts, after they were checked."""
    for box, values in parts:
        if not values.isfinite().all():
            raise CheckpointError("the network gives no numbers, but NaN or infinity: its weights are damaged")
        if look is not None:
            kept = Box(box.top, box.bottom, *columns)
            look(values[:, *kept.inside(box).slices], kept, shape)
        yield box, values


def resized_parts(
    parts: Parts, shape: tuple[int, int], size: tuple[int, int], columns: tuple[int, int] | None = None
) -> Parts:
    """MATLAB's resize of a result that comes from top to bottom, in parts, as soon as their rows are there.

    Args:
        parts: Strips of the result.
        shape: Height and width of all of it.
        size: Height and width of what it is resized to.
        columns: Of that, those that are made; by default all.
    """
    left, right = columns or (0, size[1])
    held: Tensor | None = None
    first = done = 0
    for box, part in parts:
        held = part.clamp(0, 1) if held is None else torch.cat([held, part.clamp(0, 1)], 1)
        ready = _rows_ready(box.bottom, shape[0], size[0], done)
        if ready > done:
            target = Box(done, ready, left, right)
            yield from resize_parts(held, Box(first, box.bottom, box.left, box.right), shape, target, size)
            done = ready
            needed = (
                source_box(Box(done, done + 1, 0, 1), (size[0], 1), (shape[0], 1)).top if done < size[0] else box.bottom
            )
            held, first = held[:, max(0, needed - first) :], max(first, needed)


def _rows_ready(last: int, height: int, wanted: int, ready: int) -> int:
    """The end of the rows of the resized result that depend on rows before ``last`` alone."""
    if last == height:
        return wanted
    while ready < wanted and source_box(Box(ready, ready + 1, 0, 1), (wanted, 1), (height, 1)).bottom <= last:
        ready += 1
    return ready
