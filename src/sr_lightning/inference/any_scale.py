"""Networks of any scale: their features in strips or tiles, and the pixels of a result from parts of those."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sr_lightning.functional.coordinates import Axis, source_span
from sr_lightning.inference.tiles.boxes import Box
from sr_lightning.inference.tiles.tiling import refuse_no_numbers

Size = tuple[int, int]


@dataclass(frozen=True)
class Decoding:
    """What makes the pixels of a result of any size from the features of LR; a ``Resizing``.

    A pixel has the value that it has in the whole picture: its place and its size are those of the whole result.

    Args:
        net: The network, with ``features`` and ``pixels``.
        device: Where it computes.
        autocast: Half precision to compute in, or None.
    """

    net: Any
    device: torch.device
    autocast: torch.dtype | None = None
    side: int = 128  # of parts, each hidden layer of which takes 17 MB

    def reach(self, size: Size, shape: Size) -> int:
        """Pixels of LR around any box: the neighbours of its pixels, and theirs."""
        return 2

    def source_box(self, box: Box, size: Size, shape: Size) -> Box:
        """The LR pixels that a box of the result depends on."""
        return Box(
            *source_span(box.top, box.bottom, size[0], shape[0], margin=1),
            *source_span(box.left, box.right, size[1], shape[1], margin=1),
        )

    @torch.inference_mode()
    def part(self, part: Tensor, window: Box, shape: Size, box: Box, size: Size) -> Tensor:
        """A box of the result, ``(3, h, w)``, float32 on the CPU.

        Args:
            part: Features ``(C, H, W)``.
            window: Where they lie in LR.
            shape: Height and width of LR.
            box: In the result.
            size: Height and width of the result.

        Raises:
            CheckpointError: If the network gives NaN.
        """
        where = self.source_box(box, size, shape)
        features = part[..., *where.inside(window).slices][None].to(self.device)
        rows = Axis(size[0], shape[0], box.top, box.bottom, where.top, where.bottom)
        columns = Axis(size[1], shape[1], box.left, box.right, where.left, where.right)
        with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
            values: Tensor = self.net.pixels(features, rows, columns)[0].float().cpu()
        if self.autocast is not None and not values.isfinite().all():
            values = self.net.pixels(features, rows, columns)[0].float().cpu()
        refuse_no_numbers(values)
        return values
