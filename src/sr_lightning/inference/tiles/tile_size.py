"""How large the tiles of a network may be."""

import weakref
from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from sr_lightning.inference.tiles.tiling import Forward
from sr_lightning.strips.dispatch import DispatchMode

_PROBE = 64  # pixels, whole windows of attention
#: What layers take inside themselves and between, as a part of the tensors that they make: up to 1.9 times as much was
#: measured, with omnisr (``benchmarks/tile_memory.py``).
_INSIDE = 2.0
_LARGEST, _SMALLEST = 1024, 64


@torch.inference_mode()
def tile_size(
    forward: Forward,
    channels: Sequence[int],
    budget: float,
    halo: Callable[[], int],
    shape: tuple[int, int],
    *,
    device: torch.device | str = "cpu",
    autocast: torch.dtype | None = None,
) -> int:
    """The side of the largest tiles whose features fit into ``budget`` bytes: 64, 128 and so on to 1,024 pixels.

    Few sizes, because the result of a network that looks at the whole picture depends on the size, and should not
    depend on every byte that is free.

    Args:
        forward: Batches ``(1, C, H, W)`` of pictures to their result.
        channels: Of each picture.
        budget: Bytes.
        halo: Gives the pixels around each tile.
        shape: Height and width of the picture, which may be one tile.
        device: Where the network computes.
        autocast: Half precision to compute in, or None.

    Example:
        >>> tile_size(torch.nn.Conv2d(3, 64, 3, padding=1), [3], 600e6, lambda: 1, (2000, 3000))
        1024
    """
    of_pixel = bytes_of_pixel(forward, channels, device=device, autocast=autocast)
    if shape[0] * shape[1] * of_pixel <= budget and max(shape) <= _LARGEST:
        return max(shape)
    side, largest = _SMALLEST, sqrt(budget / of_pixel) - 2 * halo()
    while side < _LARGEST and 2 * side <= largest:
        side *= 2
    return side


@torch.inference_mode()
def bytes_of_pixel(
    forward: Forward,
    channels: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    autocast: torch.dtype | None = None,
) -> float:
    """Bytes of memory for each pixel of a tile, measured on a small one.

    Example:
        >>> bytes_of_pixel(torch.nn.Conv2d(3, 8, 3, padding=1), [3])  # 8 numbers in float32, and as much again
        64.0
    """
    pictures = [torch.full((1, count, _PROBE, _PROBE), 0.5, device=device) for count in channels]
    with torch.autocast(torch.device(device).type, autocast, enabled=autocast is not None), _Peak() as peak:
        forward(*pictures)
    return float(_INSIDE * peak.bytes / _PROBE**2)


class _Peak(DispatchMode):
    """The most bytes that tensors take at once of those made inside."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self._now = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        place, size = storage.data_ptr(), storage.nbytes()
        if place in self._seen:
            return
        self._seen.add(place)
        self._now += size
        self.bytes = max(self.bytes, self._now)
        weakref.finalize(storage, self._gone, place, size)

    def _gone(self, place: int, size: int) -> None:
        self._seen.discard(place)
        self._now -= size
