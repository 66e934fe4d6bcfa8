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


def boxes(height: int, width: int, tile: int) -> list[Box]:
    """Boxes of nearly one size, at most ``tile`` on each side, that make up the picture row by row.

    Example:
        >>> [(box.top, box.bottom) for box in boxes(100, 40, 48)]
        [(0, 33), (33, 67), (67, 100)]
    """
    rows = np.linspace(0, height, -(-height // tile) + 1).round().astype(int).tolist()
    columns = np.linspace(0, width, -(-width // tile) + 1).round().astype(int).tolist()
    return [Box(top, bottom, left, right) for top, bottom in pairwise(rows) for left, right in pairwise(columns)]


@torch.inference_mode()
def upscale_tiles(
    forward: Forward,
    pictures: Sequence[Picture],
    scale: int,
    *,
    halo: int,
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
        halo: LR pixels around each tile.
        tile: Largest side of a tile in LR pixels, without halo.
        multiple: Tiles with their halo begin on multiples of this, 2 for mosaics.
        device: Where ``forward`` computes.
        autocast: Half precision to compute in, or None.

    Yields:
        The place in the result, and its values ``(C, H, W)``, float32 on the CPU.

    Raises:
        RuntimeError: If even a small tile does not fit into memory.
    """
    if tile < 1 or halo < 0:
        raise ValueError(f"tile={tile} must be above 0, and halo={halo} not below 0")
    height, width = pictures[0].shape[-2:]
    waiting = boxes(height, width, tile)[::-1]
    while waiting:
        box = waiting.pop()
        side = max(box.bottom - box.top, box.right - box.left)
        if side > tile:
            waiting += box.halves()[::-1]
            continue
        whole = box.grown(halo, height, width, multiple)
        try:
            out = _compute(forward, pictures, whole, device, autocast)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error) or side <= SMALLEST:
                raise
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            tile = side // 2
            waiting.append(box)
            continue
        top, left = (box.top - whole.top) * scale, (box.left - whole.left) * scale
        place = Box(box.top * scale, box.bottom * scale, box.left * scale, box.right * scale)
        yield place, out[:, top : top + place.bottom - place.top, left : left + place.right - place.left]


def _compute(
    forward: Forward, pictures: Sequence[Picture], box: Box, device: torch.device | str, autocast: torch.dtype | None
) -> Tensor:
    inputs = [_as_float(p[:, box.top : box.bottom, box.left : box.right])[None].to(device) for p in pictures]
    if autocast is not None:
        with torch.autocast(torch.device(device).type, autocast):
            out = forward(*inputs)[0].float().cpu()
        if out.isfinite().all():
            return out
    return forward(*inputs)[0].float().cpu()


def _as_float(part: Picture) -> Tensor:
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
