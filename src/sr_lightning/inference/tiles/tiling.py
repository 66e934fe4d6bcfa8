"""Large pictures in tiles: memory grows with the tile, not with the picture."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.devices import empty_caches
from sr_lightning.errors import CheckpointError
from sr_lightning.inference.memory import is_out_of_memory
from sr_lightning.inference.tiles.boxes import Box, tiles
from sr_lightning.inference.tiles.resizing import MATLAB, Resizing, resize_parts

SMALLEST = 32  # pixels: a tile that does not fit into memory is halved down to this

Forward = Callable[..., Tensor]
Look = Callable[[Tensor, Box, tuple[int, int]], None]
Picture = Tensor | NDArray[Any]  # (C, H, W), uint8, uint16 or float in [0, 1]; may be memory-mapped


@torch.inference_mode()
def upscale_tiles(
    forward: Forward,
    pictures: Sequence[Picture],
    scale: int,
    *,
    halo: int | Callable[[], int],
    size: tuple[int, int] | None = None,
    resizing: Resizing = MATLAB,
    tile: int = 256,
    multiple: int = 1,
    device: torch.device | str = "cpu",
    autocast: torch.dtype | None = None,
    look: Look | None = None,
) -> Iterator[tuple[Box, Tensor]]:
    """Super-resolves pictures of one size tile by tile.

    Each tile is computed with ``halo`` pixels around it, which are cut off: with a halo as large as the network's
    ``receptive_radius`` the result equals that of the whole picture.
    A tile that does not fit into memory is halved, and so are all that follow; one that half precision turns into
    NaN or infinity is computed again in float32.

    Args:
        forward: Batches ``(1, C, H, W)`` of the pictures to ``(1, C, scale * H, scale * W)``.
        pictures: The inputs, of the same height and width.
        scale: Whole factor of enlargement.
        halo: LR pixels around each tile; a function of nothing is asked for them when there is more than one tile.
        size: Height and width of the result, if not ``scale`` times those of the pictures: what ``forward`` gives is
            resized, tile by tile.
        resizing: How; by default, clipped to [0, 1] and as MATLAB does.
        tile: Largest side of a tile in LR pixels, without halo, unless that and two halos are the whole picture.
        multiple: Tiles with their halo begin on multiples of this, 2 for mosaics.
        device: Where ``forward`` computes.
        autocast: Half precision to compute in, or None.
        look: Is shown what ``forward`` gives, before it is clipped: values, place, and size of the whole.

    Yields:
        The place in the result, and its values ``(C, H, W)``, float32 on the CPU.

    Raises:
        MemoryError: If even a small tile does not fit into memory.
        CheckpointError: If the network gives NaN, or pictures of another size.
    """
    if tile < 1 or (isinstance(halo, int) and halo < 0):
        raise ValueError(f"tile={tile} must be above 0, and halo={halo} not below 0")
    height, width = pictures[0].shape[-2:]
    shape = height * scale, width * scale
    margin = 0 if size is None else -(-resizing.reach(size, shape) // scale)

    def overlap() -> int:
        return (halo if isinstance(halo, int) else halo()) + margin

    of_window = partial(compute, forward, pictures, scale, device=device, autocast=autocast)
    for box, around, out in _computed(of_window, (height, width), tile, overlap, multiple):
        place, window = box.times(scale, scale), around.times(scale, scale)
        values = out[:, *place.inside(window).slices]
        if look is not None:
            look(values, place, shape)
        if size is None:
            yield place, values
        else:
            target = box.times(Fraction(size[0], height), Fraction(size[1], width))
            yield from resize_parts(out, window, shape, target, size, resizing)


def _computed(
    of_window: Callable[[Box], Tensor], shape: tuple[int, int], tile: int, overlap: Callable[[], int], multiple: int
) -> Iterator[tuple[Box, Box, Tensor]]:
    """Each tile, the window around it, and what is computed from the window; tiles are halved until they fit."""
    halo = 0 if max(shape) <= tile else overlap()
    waiting = tiles(*shape, tile, halo, multiple)[::-1]
    largest = max(shape)
    while waiting:
        box, window = waiting.pop()
        side = max(box.bottom - box.top, box.right - box.left)
        if side > largest:
            halo = overlap()
            waiting += [(half, half.grown(halo, *shape, multiple)) for half in box.halves()[::-1]]
            continue
        try:
            out = of_window(window)
        except (RuntimeError, MemoryError) as error:
            largest = halved(side, error)
            waiting.append((box, window))
        else:
            yield box, window, out


def halved(side: int, error: Exception) -> int:
    """The side of smaller tiles, after an error.

    Raises:
        MemoryError: If they would be too small.
        Exception: The error, if it is not that memory is missing.
    """
    if not is_out_of_memory(error):
        raise error
    if side <= SMALLEST:
        raise MemoryError(f"not even a tile of {side} pixels fits into memory") from error
    empty_caches()
    return -(-side // 2)


def compute(
    forward: Forward,
    pictures: Sequence[Picture],
    scale: int,
    box: Box,
    *,
    device: torch.device | str,
    autocast: torch.dtype | None,
) -> Tensor:
    """The result of a part of the pictures, ``(C, H, W)``, float32 on the CPU; see ``upscale_tiles``."""
    inputs = [as_float(p[:, *box.slices])[None].to(device) for p in pictures]
    out: Tensor | None = None
    if autocast is not None:
        with torch.autocast(torch.device(device).type, autocast):
            out = forward(*inputs)[0].float().cpu()
    if out is None or not out.isfinite().all():
        out = forward(*inputs)[0].float().cpu()
        refuse_no_numbers(out)
    wanted = box.times(scale, scale)
    if out.shape[-2:] != (wanted.bottom - wanted.top, wanted.right - wanted.left):
        raise CheckpointError(
            f"the network makes {out.shape[-1]} pixels of {box.right - box.left}, but is said to be for scale {scale}"
        )
    return out


def refuse_no_numbers(values: Tensor) -> None:
    """Raises a ``CheckpointError`` for NaN or infinity."""
    if not values.isfinite().all():
        raise CheckpointError("the network gives no numbers, but NaN or infinity: its weights are damaged")


def as_float(part: Picture) -> Tensor:
    """A copy of a picture, or of a part of one, in [0, 1]."""
    if isinstance(part, np.ndarray):
        part = part.astype(np.int32) if part.dtype == np.uint16 else np.array(part)  # a copy: maps are read-only
        top = 65535 if part.dtype == np.int32 else 255
        part = torch.from_numpy(part)
    else:
        top = 255
    return part.float() if part.is_floating_point() else part.float() / top
