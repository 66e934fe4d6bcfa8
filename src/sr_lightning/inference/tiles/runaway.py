"""Where a network's result is no picture any more, and the bicubic enlargement stands in its place."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_lightning.functional import to_levels
from sr_lightning.inference.tiles.boxes import Box
from sr_lightning.inference.tiles.resizing import resize_part, source_box
from sr_lightning.inference.tiles.tiling import as_float

#: Farthest that a network's values may lie outside [0, 1]: twice as far as the range is wide. No sharpening explains
#: more: bicubic enlargement of any picture overshoots by 0.28 at most, the shipped networks by 0.42
#: on Set5, Set14 and BSD100. A result that explodes, as on noise, reaches ten to a hundred.
OVERSHOOT = 2.0
#: Side of the squares, in pixels of the picture, that are judged one by one. Their grid is that of the picture, so that
#: tiles change nothing.
BLOCK = 16
_SIDE = 256  # pixels of the result that are blended at once


class Runaway:
    """The blocks of a picture in which a network's values lie farther outside [0, 1] than ``OVERSHOOT``.

    Args:
        height: Of the picture.
        width: Of the picture.

    Example:
        >>> runaway = Runaway(32, 48)
        >>> values = torch.full((3, 64, 96), 0.5)
        >>> values[0, 3, 70] = 9
        >>> runaway.look(values, Box(0, 64, 0, 96), (64, 96))
        >>> runaway.blocks.tolist(), round(runaway.share, 3)
        ([[False, False, True], [False, False, False]], 0.167)
    """

    def __init__(self, height: int, width: int) -> None:
        self.shape = height, width
        self.blocks = np.zeros((-(-height // BLOCK), -(-width // BLOCK)), np.bool_)

    def look(self, values: Tensor, box: Box, size: tuple[int, int]) -> None:
        """Marks the blocks below values that ran away.

        Args:
            values: ``(C, H, W)``, before they are clipped.
            box: Their place in the result.
            size: Height and width of the result.
        """
        if box.top == box.left == 0:  # a picture begins, or begins anew
            self.blocks[:] = False
        low, high = (float(value) for value in values.aminmax())
        if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
            return
        far = (values.sub(0.5).abs().amax(0) > 0.5 + OVERSHOOT).nonzero().numpy()
        begin = np.array((box.top, box.left))
        rows, columns = ((far + begin) * self.shape // np.array(size) // BLOCK).T
        self.blocks[rows, columns] = True

    @property
    def share(self) -> float:
        """Of the picture's area that the blocks cover."""
        rows, columns = (
            np.diff(np.minimum(np.arange(count + 1) * BLOCK, length))
            for count, length in zip(self.blocks.shape, self.shape, strict=True)
        )
        return float(rows @ self.blocks @ columns / (self.shape[0] * self.shape[1]))

    def replace(self, out: NDArray[np.uint8] | NDArray[np.uint16], bicubic: Callable[[Box], Tensor]) -> None:
        """Puts the bicubic enlargement where the network ran away; the blocks around pass from one to the other.

        Args:
            out: The result ``(H, W, C)``.
            bicubic: Gives a part of it, ``(C, H, W)``.
        """
        if not self.blocks.any():
            return
        # A corner of the grid counts if one of its blocks does: between the corners, weights change in a straight line.
        padded = np.pad(self.blocks, 1)
        corners = (padded[:-1, :-1] | padded[:-1, 1:] | padded[1:, :-1] | padded[1:, 1:]).astype(np.float32)
        top = 255 if out.dtype == np.uint8 else 65535
        for box in Box(0, out.shape[0], 0, out.shape[1]).split(_SIDE):
            rows = _between(box.top, box.bottom, out.shape[0], self.shape[0], len(corners))
            columns = _between(box.left, box.right, out.shape[1], self.shape[1], corners.shape[1])
            weights = rows @ corners @ columns.T
            if weights.any():
                there = torch.from_numpy(out[box.slices].astype(np.float64) / top)
                instead = bicubic(box).clamp(0, 1).permute(1, 2, 0).double()
                mixed = there.lerp(instead, torch.from_numpy(weights)[..., None].double())
                out[box.slices] = to_levels(mixed, 8 if top == 255 else 16).numpy()


@torch.inference_mode()
def bicubic_part(pictures: Sequence[NDArray[Any]], size: tuple[int, int], box: Box) -> Tensor:
    """A part ``(C, h, w)`` of the bicubic enlargement to ``size``, of colours or of colours and opacity."""
    height, width = pictures[0].shape[-2:]
    where = source_box(box, size, (height, width))
    colours, *opacity = (as_float(picture[:, *where.slices]) for picture in pictures)
    return resize_part(colours * opacity[0] if opacity else colours, where, (height, width), box, size)


def _between(first: int, last: int, size: int, length: int, corners: int) -> NDArray[np.float32]:
    """Weights ``(last - first, corners)`` that pixels of a result give to the corners of the grid along one axis."""
    places = (np.arange(first, last) + 0.5) * length / size / BLOCK
    distances = np.abs(places[:, None] - np.arange(corners))
    weights: NDArray[np.float32] = np.maximum(0, 1 - distances).astype(np.float32)
    return weights
