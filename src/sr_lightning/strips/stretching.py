"""Bilinear interpolation to the size of the picture, a few rows at a time."""

import torch
import torch.nn.functional as F
from torch import Tensor


def stretched_rows(
    part: Tensor, begin: int, height: int, wanted: tuple[int, int], new_height: int, width: int
) -> Tensor:
    """Some rows of ``F.interpolate(x, (new_height, width), mode="bilinear")``, with the places that torch computes.

    Args:
        part: Rows of ``x`` from row ``begin`` on: ``(N, C, h, w)``.
        begin: See ``part``.
        height: All rows of ``x``.
        wanted: The first of the rows that are wanted, and the end of them.
        new_height: Rows of the result.
        width: Columns of the result.

    Example:
        >>> x = torch.rand(1, 1, 7, 5)
        >>> whole = F.interpolate(x, (40, 32), mode="bilinear")
        >>> torch.allclose(stretched_rows(x[:, :, 2:], 2, 7, (20, 30), 40, 32), whole[:, :, 20:30], atol=1e-6)
        True
    """
    kind = torch.float64 if part.dtype == torch.float64 else torch.float32
    scale = torch.tensor(height / new_height, dtype=kind, device=part.device)
    places = (scale * (torch.arange(*wanted, dtype=kind, device=part.device) + 0.5) - 0.5).clamp(min=0)
    above = places.floor().long().clamp(max=height - 1)
    below = (above + 1).clamp(max=height - 1)
    weight = (places - above).to(part.dtype).view(1, 1, -1, 1)
    rows = part[:, :, above - begin] * (1 - weight) + part[:, :, below - begin] * weight
    return F.interpolate(rows, (rows.shape[2], width), mode="bilinear", align_corners=False)
