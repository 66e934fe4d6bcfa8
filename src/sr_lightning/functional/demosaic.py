"""From a Bayer mosaic to RGB at every pixel."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.functional.bayer import pattern_at

# Gains of Malvar, He, Cutler (ICASSP 2004), figure 2, in eighths.
_G_AT_RB = ((0, 0, -1, 0, 0), (0, 0, 2, 0, 0), (-1, 2, 4, 2, -1), (0, 0, 2, 0, 0), (0, 0, -1, 0, 0))
_RB_IN_ROW = ((0, 0, 0.5, 0, 0), (0, -1, 0, -1, 0), (-1, 4, 5, 4, -1), (0, -1, 0, -1, 0), (0, 0, 0.5, 0, 0))
_RB_DIAGONAL = ((0, 0, -1.5, 0, 0), (0, 2, 0, 2, 0), (-1.5, 0, 6, 0, -1.5), (0, 2, 0, 2, 0), (0, 0, -1.5, 0, 0))
_CROSS = ((0, 1, 0), (1, 4, 1), (0, 1, 0))
_SQUARE = ((1, 2, 1), (2, 4, 2), (1, 2, 1))


def demosaic_bilinear(image: Tensor, pattern: str = "RGGB") -> Tensor:
    """Each missing colour is the mean of its nearest neighbours of that colour.

    Args:
        image: Mosaic ``(N, 1, H, W)``, both sides at least 2; mirrored beyond the border without repeating the edge.
        pattern: Colours of its first four pixels.

    Returns:
        ``(N, 3, H, W)``.

    Example:
        >>> demosaic_bilinear(torch.ones(1, 1, 4, 4)).unique()
        tensor([1.])
    """
    masks = _masks(image, pattern)
    padded = F.pad(image * masks, (1, 1, 1, 1), mode="reflect")
    kernels = torch.stack([image.new_tensor(k) / 4 for k in (_SQUARE, _CROSS, _SQUARE)])
    return F.conv2d(padded, kernels[:, None], groups=3)


def demosaic_malvar(image: Tensor, pattern: str = "RGGB") -> Tensor:
    """Bilinear interpolation corrected by the gradient of the colour that was measured.

    **Paper:** Malvar, He, Cutler, High-quality linear interpolation for demosaicing of Bayer-patterned color images,
    ICASSP 2004.

    Args:
        image: Mosaic ``(N, 1, H, W)``, both sides at least 3; mirrored beyond the border without repeating the edge.
        pattern: Colours of its first four pixels.

    Returns:
        ``(N, 3, H, W)``; values may leave the range of the input.

    Example:
        >>> demosaic_malvar(torch.ones(1, 1, 6, 6)).unique()
        tensor([1.])
    """
    in_row = torch.tensor(_RB_IN_ROW)
    kernels = torch.stack([torch.tensor(_G_AT_RB), in_row, in_row.T, torch.tensor(_RB_DIAGONAL)]).to(image) / 8
    padded = F.pad(image, (2, 2, 2, 2), mode="reflect")
    green, row, column, diagonal = F.conv2d(padded, kernels[:, None]).unbind(1)
    is_red, is_green, is_blue = _masks(image, pattern).bool().unbind(1)
    own = image[:, 0]
    # A green pixel has red neighbours in its row where its row is red.
    red_row = is_red.any(-1, keepdim=True)
    across, along = torch.where(red_row, row, column), torch.where(red_row, column, row)
    return torch.stack(
        [
            torch.where(is_red, own, torch.where(is_green, across, diagonal)),
            torch.where(is_green, own, green),
            torch.where(is_blue, own, torch.where(is_green, along, diagonal)),
        ],
        dim=1,
    )


def demosaic_menon(image: Tensor, pattern: str = "RGGB") -> Tensor:
    """Directional filtering with a-posteriori decision, by the package colour-demosaicing (on the CPU).

    **Paper:** Menon, Andriani, Calvagno, Demosaicing with directional filtering and a posteriori decision, IEEE TIP
    2007.

    Raises:
        ImportError: If colour-demosaicing is not installed.
    """
    try:
        with np.printoptions():  # which the package changes for the whole process
            from colour_demosaicing import demosaicing_CFA_Bayer_Menon2007
    except ImportError:
        raise ImportError("demosaic=menon needs: python -m pip install colour-demosaicing") from None
    planes = image[:, 0].cpu().double().numpy()
    pictures = [torch.as_tensor(demosaicing_CFA_Bayer_Menon2007(plane, pattern)) for plane in planes]
    return torch.stack(pictures).permute(0, 3, 1, 2).to(image)


#: By the names that configs and results use.
DEMOSAIC = {"bilinear": demosaic_bilinear, "malvar": demosaic_malvar, "menon": demosaic_menon}


def _masks(image: Tensor, pattern: str) -> Tensor:
    """``(1, 3, H, W)``: 1 where a colour was measured."""
    pattern = pattern_at(pattern, 0, 0)
    masks = image.new_zeros((1, 3, *image.shape[-2:]))
    for place, colour in enumerate(pattern):
        masks[:, "RGB".index(colour), place // 2 :: 2, place % 2 :: 2] = 1
    return masks
