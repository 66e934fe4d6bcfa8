"""Comparison pictures: the same detail by several methods, side by side."""

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sr_lightning.functional import to_levels
from sr_lightning.functional.packed import packed_preview

PANEL, MARGIN, TEXT = 288, 8, 44  # pixels: side of a panel, gap, height of its caption


def to_pixels(image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """``(1, C, H, W)`` in [0, 1] to ``(H, W, C)`` uint8; a packed mosaic as a picture of half its size.

    Example:
        >>> import torch
        >>> to_pixels(torch.ones(1, 3, 2, 2)).shape
        (2, 2, 3)
    """
    if image.shape[1] == 4:
        image = packed_preview(image)
    return to_levels(image[0]).permute(1, 2, 0).cpu().numpy()


def window_with_most_error(error: Tensor, size: int) -> tuple[int, int]:
    """Row and column of the ``size``-square with the largest total of ``(1, C, H, W)``."""
    total = F.avg_pool2d(error.abs().float().mean(1, keepdim=True), size, stride=max(1, size // 4))
    index = int(total.argmax())
    row, column = divmod(index, total.shape[-1])
    return row * max(1, size // 4), column * max(1, size // 4)


def comparison(panels: Sequence[tuple[str, Tensor]], where: Tensor | None = None) -> Image.Image:
    """One row of enlarged crops, LR, methods and truth, each with its caption.

    Args:
        panels: Captions and pictures ``(1, C, H, W)`` in [0, 1]; a smaller one (the LR picture) is shown with
            its own pixels enlarged. The last is the truth.
        where: Map of the truth's size; the crop is where it is largest. Default: the picture's centre.

    Example:
        >>> import torch
        >>> x = torch.rand(1, 3, 96, 96)
        >>> comparison([("LR", x[..., ::2, ::2]), ("HR", x)]).size
        (600, 348)
    """
    height, width = panels[-1][1].shape[-2:]
    size = min(72, height, width) // 24 * 24 or min(height, width)
    row, column = (
        window_with_most_error(where, size) if where is not None else ((height - size) // 2, (width - size) // 2)
    )
    canvas = Image.new("RGB", (MARGIN + len(panels) * (PANEL + MARGIN), PANEL + TEXT + 2 * MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    for i, (caption, image) in enumerate(panels):
        ratio = image.shape[-2] / height
        y, x, side = (round(v * ratio) for v in (row, column, size))
        crop = to_pixels(image[..., y : y + side, x : x + side])
        picture = Image.fromarray(crop if crop.shape[2] == 3 else crop[..., 0]).convert("RGB")
        left = MARGIN + i * (PANEL + MARGIN)
        canvas.paste(picture.resize((PANEL, PANEL), Image.Resampling.NEAREST), (left, MARGIN))
        for k, text in enumerate(caption.split("\n")):
            draw.text((left + 2, MARGIN + PANEL + 4 + 20 * k), text, "black", ImageFont.load_default(16))
    return canvas
