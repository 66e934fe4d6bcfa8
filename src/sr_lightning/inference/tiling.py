"""Large pictures in tiles: memory grows with the tile, not with the picture."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SMALLEST = 32  # pixels: a tile that does not fit into memory is halved down to this

Forward = Callable[..., Tensor]
Picture = Tensor | NDArray[Any]  # (C, H, W), uint8, uint16 or float in [0, 1]; may be memory-mapped


@dataclass(frozen=True)
class Box:
    """A part of a picture: rows ``top`` to ``bottom`` and columns ``left`` to ``right``, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    def grown(self, halo: int, height: int, width: int, multiple: int = 1) -> "Box":
        """This box and ``halo`` pixels around it, inside the picture, beginning on a multiple."""
        return Box(
            max(0, self.top - halo) // multiple * multiple,
            min(height, self.bottom + halo),
            max(0, self.left - halo) // multiple * multiple,
            min(width, self.right + halo),
        )

    def halves(self) -> tuple["Box", "Box"]:
        """Two boxes, cut across the longer side."""
        if self.bottom - self.top >= self.right - self.left:
            middle = (self.top + self.bottom) // 2
            return Box(self.top, middle, self.left, self.right), Box(middle, self.bottom, self.left, self.right)
        middle = (self.left + self.right) // 2
        return Box(self.top, self.bottom, self.left, middle), Box(self.top, self.bottom, middle, self.right)


def tiles(height: int, width: int, tile: int, halo: int = 0, multiple: int = 1) -> list[tuple[Box, Box]]:
    """Boxes that make up the picture row by row, and what each is computed from: windows with ``halo`` around them.

    All windows have one size, at most ``tile`` and two halos, so that nothing is planned or compiled anew on the way;
    those at the edges lie inside the picture. They begin on multiples of ``multiple``, where the last may be larger.

    Example:
        >>> [(box.top, box.bottom, window.top, window.bottom) for box, window in tiles(100, 40, 40, halo=4)]
        [(0, 34, 0, 39), (34, 65, 30, 69), (65, 100, 61, 100)]
    """
    rows, columns = (_spans(length, tile, halo, multiple) for length in (height, width))
    return [
        (Box(top, bottom, left, right), Box(begin, end, start, stop))
        for top, bottom, begin, end in rows
        for left, right, start, stop in columns
    ]


def _spans(length: int, tile: int, halo: int, multiple: int) -> list[tuple[int, int, int, int]]:
    """Along one axis: from where to where a result counts, and what it is computed from."""
    count = max(1, -(-(length - 2 * halo) // tile))
    window = -(-(length - 2 * halo) // count) + 2 * halo if count > 1 else length
    begins = [k * (length - window) // max(1, count - 1) for k in range(count)]
    cuts = [0, *((before + window + after) // 2 for before, after in pairwise(begins)), length]
    ends = [begin + window for begin in begins]
    starts = [begin // multiple * multiple for begin in begins]
    return list(zip(cuts, cuts[1:], starts, ends, strict=False))


@torch.inference_mode()
def upscale_tiles(
    forward: Forward,
    pictures: Sequence[Picture],
    scale: int,
    *,
    halo: int | Callable[[], int],
    tile: int = 256,
    multiple: int = 1,
    device: torch.device | str = "cpu",
    autocast: torch.dtype | None = None,
) -> Iterator[tuple[Box, Tensor]]:
    """Super-resolves pictures of one size tile by tile.

    Each tile is computed with ``halo`` pixels around it, which are cut off: with a halo as large as the network's
    :func:`~sr_lightning.inference.receptive_field.receptive_radius` the result equals that of the whole picture.
    A tile that does not fit into memory is halved, and so are all that follow; one that half precision turns into
    NaN or infinity is computed again in float32.

    Args:
        forward: Batches ``(1, C, H, W)`` of the pictures to ``(1, C, scale * H, scale * W)``.
        pictures: The inputs, of the same height and width.
        scale: Whole factor of enlargement.
        halo: LR pixels around each tile; a function of nothing is asked for them when there is more than one tile.
        tile: Largest side of a tile in LR pixels, without halo, unless that and two halos are the whole picture.
        multiple: Tiles with their halo begin on multiples of this, 2 for mosaics.
        device: Where ``forward`` computes.
        autocast: Half precision to compute in, or None.

    Yields:
        The place in the result, and its values ``(C, H, W)``, float32 on the CPU.

    Raises:
        RuntimeError: If even a small tile does not fit into memory.
    """
    if tile < 1 or (isinstance(halo, int) and halo < 0):
        raise ValueError(f"tile={tile} must be above 0, and halo={halo} not below 0")
    height, width = pictures[0].shape[-2:]
    around = halo if isinstance(halo, int) else 0 if max(height, width) <= tile else halo()
    waiting = tiles(height, width, tile, around, multiple)[::-1]
    largest = max(height, width)
    while waiting:
        box, whole = waiting.pop()
        side = max(box.bottom - box.top, box.right - box.left)
        if side > largest:
            around = halo if isinstance(halo, int) else halo()
            waiting += [(half, half.grown(around, height, width, multiple)) for half in box.halves()[::-1]]
            continue
        try:
            out = _compute(forward, pictures, whole, device, autocast)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error) or side <= SMALLEST:
                raise
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            largest = side // 2
            waiting.append((box, whole))
            continue
        top, left = (box.top - whole.top) * scale, (box.left - whole.left) * scale
        place = Box(box.top * scale, box.bottom * scale, box.left * scale, box.right * scale)
        yield place, out[:, top : top + place.bottom - place.top, left : left + place.right - place.left]


def _compute(
    forward: Forward, pictures: Sequence[Picture], box: Box, device: torch.device | str, autocast: torch.dtype | None
) -> Tensor:
    inputs = [as_float(p[:, box.top : box.bottom, box.left : box.right])[None].to(device) for p in pictures]
    if autocast is not None:
        with torch.autocast(torch.device(device).type, autocast):
            out = forward(*inputs)[0].float().cpu()
        if out.isfinite().all():
            return out
    return forward(*inputs)[0].float().cpu()


def as_float(part: Picture) -> Tensor:
    """A copy of a picture, or of a part of one, in [0, 1]."""
    if isinstance(part, np.ndarray):
        part = part.astype(np.int32) if part.dtype == np.uint16 else np.array(part)  # a copy: maps are read-only
        top = 65535 if part.dtype == np.int32 else 255
        part = torch.from_numpy(part)
    else:
        top = 255
    return part.float() if part.is_floating_point() else part.float() / top


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in text for words in ("out of memory", "can't allocate memory", "not enough memory")
    )
