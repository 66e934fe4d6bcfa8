"""Tiles for networks that look farther than any halo: where two overlap, one passes into the other."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from sr_lightning.inference.tiles.boxes import Box, spans
from sr_lightning.inference.tiles.resizing import MATLAB, Parts, Resizing, resized_parts
from sr_lightning.inference.tiles.tiling import Forward, Look, Picture, compute, halved


@torch.inference_mode()
def blend_tiles(
    forward: Forward,
    pictures: Sequence[Picture],
    scale: int,
    *,
    halo: Callable[[], int],
    size: tuple[int, int] | None = None,
    resizing: Resizing = MATLAB,
    tile: int = 256,
    multiple: int = 1,
    device: torch.device | str = "cpu",
    autocast: torch.dtype | None = None,
    look: Look | None = None,
) -> Parts:
    """Super-resolves pictures of one size in the tiles of ``upscale_tiles``, whose halos are kept and blended.

    In the middle half of where two tiles overlap, one passes linearly into the other. Nearer to the edge of a tile is
    what is most wrong, which nobody sees. Seams are weaker, at the price of the rows and columns where tiles overlap,
    which are held until the next tile. Where a tile does not fit into memory, the result begins anew from its first
    row, in tiles of half the side.

    Args:
        forward: Batches ``(1, C, H, W)`` of the pictures to ``(1, C, scale * H, scale * W)``.
        pictures: The inputs, of the same height and width.
        scale: Whole factor of enlargement.
        halo: As for ``upscale_tiles``; neighbours overlap by twice as much, or more.
        size: Height and width of the result, if not ``scale`` times those of the pictures: what is blended is resized.
        resizing: As there.
        tile: As there.
        multiple: As there.
        device: As there.
        autocast: As there.
        look: As there.

    Yields:
        The place in the result, and its values ``(C, H, W)``, float32 on the CPU. They come row of tiles by row.

    Raises:
        MemoryError: If even a small tile does not fit into memory.
        CheckpointError: If the network gives NaN, or pictures of another size.

    Example:
        >>> parts = blend_tiles(lambda x: x + 1, [torch.zeros(1, 9, 20)], 1, halo=lambda: 2, tile=8)
        >>> [(box.left, box.right, values.unique().item()) for box, values in parts]
        [(0, 8, 1.0), (8, 20, 1.0)]
    """
    height, width = pictures[0].shape[-2:]
    whole = height * scale, width * scale
    of_window = partial(compute, forward, pictures, scale, device=device, autocast=autocast)
    while True:
        parts = _looked_at(_blended(of_window, (height, width), scale, tile, halo(), multiple), whole, look)
        if size is not None:
            parts = resized_parts(_rows(parts, whole[1]), whole, size, resizing=resizing)
        try:
            yield from parts
            return
        except (RuntimeError, MemoryError) as error:
            tile = halved(min(tile, max(height, width)), error)


def _looked_at(parts: Parts, shape: tuple[int, int], look: Look | None) -> Parts:
    for box, values in parts:
        if look is not None:
            look(values, box, shape)
        yield box, values


def _rows(parts: Parts, width: int) -> Parts:
    """Parts of a result that come row by row, joined to strips of its width."""
    row: list[Tensor] = []
    for box, values in parts:
        row.append(values)
        if box.right == width:
            yield Box(box.top, box.bottom, 0, width), torch.cat(row, 2)
            row = []


def _blended(
    of_window: Callable[[Box], Tensor], shape: tuple[int, int], scale: int, tile: int, halo: int, multiple: int
) -> Parts:
    """What each window has for itself, up to where the next one begins; what both have goes into the next."""
    rows, columns = (_windows(length, tile, halo, multiple) for length in shape)
    above: list[Tensor] = []
    for top, next_top, bottom in rows:
        below: list[Tensor] = []
        beside: Tensor | None = None
        for number, (left, next_left, right) in enumerate(columns):
            out = of_window(Box(top, bottom, left, right))
            if beside is not None:
                _pass(beside, out, dim=2)
            out, beside = out.tensor_split([(next_left - left) * scale], 2)
            if above:
                _pass(above[number], out, dim=1)
            out, rest = out.tensor_split([(next_top - top) * scale], 1)
            below.append(rest.clone())
            yield Box(top, next_top, left, next_left).times(scale, scale), out
        above = below


def _windows(length: int, tile: int, halo: int, multiple: int) -> list[tuple[int, int, int]]:
    """Begin of each window along one axis, begin of the next one, and end."""
    found = spans(length, tile, halo, multiple)
    following = [*(begin for _, _, begin, _ in found[1:]), length]
    return [(begin, after, end) for (_, _, begin, end), after in zip(found, following, strict=True)]


def _pass(before: Tensor, after: Tensor, dim: int) -> None:
    """Puts into the beginning of ``after`` what passes from ``before`` into it."""
    count = before.shape[dim]
    weights = (2 * (torch.arange(count) + 0.5) / count - 0.5).clamp(0, 1)
    weights = weights.to(before).view([-1 if d == dim else 1 for d in range(3)])
    place = after.narrow(dim, 0, count)
    place.copy_(before.lerp(place, weights))
