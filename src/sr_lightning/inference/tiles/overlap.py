"""Large pictures as papers' code cut them: rawSR's averaged tiles and EDSR's quarters, for results equal to theirs."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from sr_lightning.inference.tiles.boxes import Box
from sr_lightning.inference.tiles.tiling import Look, Picture, as_float, upscale_tiles


def overlapping(height: int, width: int, tile: int, step: int | None = None, multiple: int = 1) -> list[Box]:
    """Squares that begin every ``step`` pixels, the last of which is moved back to end with the picture.

    Args:
        height: Of the picture.
        width: Of the picture.
        tile: Side of the squares; a smaller picture is one tile.
        step: Between beginnings, half a tile where None.
        multiple: Squares begin on multiples of this, 2 for mosaics; the last is larger where it has to be.

    Raises:
        ValueError: If tile or step are no multiples, or leave gaps.

    Example:
        >>> [(box.top, box.bottom) for box in overlapping(100, 40, 48)]
        [(0, 48), (24, 72), (48, 96), (52, 100)]
    """
    step = tile // 2 if step is None else step
    if multiple < 1 or not 0 < step <= tile or step % multiple or tile % multiple:
        raise ValueError(f"tile={tile} and step={step} must be multiples of {multiple}, and step from 1 to tile")
    rows, columns = (_spans(length, tile, step, multiple) for length in (height, width))
    return [Box(top, bottom, left, right) for top, bottom in rows for left, right in columns]


@torch.inference_mode()
def average_tiles(
    forward: Callable[..., Tensor],
    pictures: Sequence[Tensor],
    scale: int,
    *,
    tile: int,
    step: int | None = None,
    multiple: int = 1,
) -> Tensor:
    """Super-resolves overlapping tiles; where several lie, the result is their mean.

    Args:
        forward: Batches ``(N, C, H, W)`` of the pictures to ``(N, C, scale * H, scale * W)``.
        pictures: The inputs ``(N, C, H, W)``, of the same height and width, where ``forward`` computes.
        scale: Whole factor of enlargement.
        tile: Side of the tiles in LR pixels: what the network was trained on.
        step: As ``overlapping``.
        multiple: As there.

    Returns:
        ``(N, C, scale * H, scale * W)``.

    Example:
        >>> average_tiles(lambda x: x + 1, [torch.zeros(1, 3, 20, 30)], 1, tile=8).unique()
        tensor([1.])
    """
    height, width = pictures[0].shape[-2:]
    total: Tensor | None = None
    count = torch.zeros(height * scale, width * scale, device=pictures[0].device)
    for box in overlapping(height, width, tile, step, multiple):
        out = forward(*(p[..., *box.slices] for p in pictures))
        if total is None:
            total = out.new_zeros((*out.shape[:-2], height * scale, width * scale))
        place = box.times(scale, scale).slices
        total[..., *place] += out
        count[place] += 1
    assert total is not None
    return total / count


@torch.inference_mode()
def paper_tiles(
    forward: Callable[..., Tensor],
    pictures: Sequence[Picture],
    scale: int,
    *,
    how: Literal["chop", "average"],
    halo: Callable[[], int],
    tile: int = 256,
    multiple: int = 1,
    device: torch.device | str = "cpu",
    autocast: torch.dtype | None = None,
    look: Look | None = None,
) -> Iterator[tuple[Box, Tensor]]:
    """``chop`` or ``average_tiles``, called as ``upscale_tiles`` is, which computes each part: one box, all.

    A part that does not fit into memory is halved, and the halves see ``halo`` pixels of each other, as there.
    """

    def computed(*parts: Tensor) -> Tensor:
        height, width = parts[0].shape[-2:]
        options: dict[str, Any] = {"multiple": multiple, "device": device, "autocast": autocast}
        pieces = upscale_tiles(forward, [x[0] for x in parts], scale, halo=halo, tile=max(height, width), **options)
        out: Tensor | None = None
        for box, piece in pieces:
            out = piece.new_empty(1, len(piece), height * scale, width * scale) if out is None else out
            out[0, :, *box.slices] = piece
        assert out is not None
        return out

    inputs = [as_float(picture)[None] for picture in pictures]
    if how == "chop":
        out = chop(computed, inputs, scale)
    else:
        step = tile // 2 // multiple * multiple
        out = average_tiles(computed, inputs, scale, tile=tile, step=step, multiple=multiple)
    height, width = out.shape[-2:]
    if look is not None:
        look(out[0], Box(0, height, 0, width), (height, width))
    yield Box(0, height, 0, width), out[0]


@torch.inference_mode()
def chop(
    forward: Callable[..., Tensor],
    pictures: Sequence[Tensor],
    scale: int,
    *,
    shave: int = 10,
    largest: int = 160_000,
) -> Tensor:
    """Super-resolves the quarters of a picture, each with ``shave`` pixels of its neighbours, which are cut off.

    What EDSR's code and its descendants call ``--chop``. Networks that look farther than ``shave`` leave seams.

    Args:
        forward: Batches ``(N, C, H, W)`` of the pictures to ``(N, C, scale * H, scale * W)``.
        pictures: The inputs ``(N, C, H, W)``, of the same height and width, where ``forward`` computes.
        scale: Whole factor of enlargement.
        shave: LR pixels beyond the middle.
        largest: A quarter of as many LR pixels or more is quartered itself.

    Returns:
        ``(N, C, scale * H, scale * W)``.

    Example:
        >>> chop(lambda x: x + 1, [torch.zeros(1, 3, 41, 30)], 1, largest=300).unique()
        tensor([1.])
    """
    height, width = pictures[0].shape[-2:]
    total: Tensor | None = None
    for top, bottom, first_row, last_row in _halves(height, shave):
        for left, right, first_column, last_column in _halves(width, shave):
            parts = [p[..., top:bottom, left:right] for p in pictures]
            area = (bottom - top) * (right - left)
            if area >= largest and area < height * width:
                out = chop(forward, parts, scale, shave=shave, largest=largest)
            else:
                out = forward(*parts)
            if total is None:
                total = out.new_empty((*out.shape[:-2], height * scale, width * scale))
            rows = slice((first_row - top) * scale, (last_row - top) * scale)
            columns = slice((first_column - left) * scale, (last_column - left) * scale)
            place = slice(first_row * scale, last_row * scale), slice(first_column * scale, last_column * scale)
            total[..., *place] = out[..., rows, columns]
    assert total is not None
    return total


def _halves(length: int, shave: int) -> list[tuple[int, int, int, int]]:
    """Begin and end of the part that is computed, and of the part of it that is kept."""
    half, size = length // 2, min(length, length // 2 + shave)
    first = [(0, size, 0, half)] if half else []
    return [*first, (min(half, length - size), length, half, length)]


def _spans(length: int, tile: int, step: int, multiple: int) -> list[tuple[int, int]]:
    if length <= tile:
        return [(0, length)]
    begins = list(range(0, length - tile, step))
    spans = [(begin, begin + tile) for begin in begins]
    return [*spans, ((length - tile) // multiple * multiple, length)]
