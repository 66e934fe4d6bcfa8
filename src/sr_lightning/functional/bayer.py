"""Bayer mosaics: phases, packing, crops and symmetries that keep the colours' places.

A mosaic is ``(..., 1, H, W)``, linear, and its pattern the colours of its first four pixels in reading order:
``"RGGB"`` says that pixel (0, 0) is red, (0, 1) and (1, 0) are green and (1, 1) is blue.
"""

from typing import Literal

import torch
from torch import Tensor

from sr_lightning.functional.geometry import dihedral
from sr_lightning.functional.whole_steps import whole_step

#: The four phases of the one layout; kornia calls them ``CFA.BG``, ``CFA.GB``, ``CFA.GR`` and ``CFA.RG``.
PATTERNS = ("RGGB", "GRBG", "GBRG", "BGGR")

PackOrder = Literal["rggb", "rgbg"]


def mosaic(rgb: Tensor, pattern: str = "RGGB") -> Tensor:
    """Samples a picture as a sensor with a Bayer filter does: ``(..., 3, H, W)`` to ``(..., 1, H, W)``.

    Example:
        >>> mosaic(torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1).expand(3, 2, 4))
        tensor([[[1., 2., 1., 2.],
                 [2., 3., 2., 3.]]])
    """
    if rgb.shape[-3] != 3:
        raise ValueError(f"a mosaic is made of three channels, got shape {tuple(rgb.shape)}")
    out = torch.empty_like(rgb[..., :1, :, :])
    for y, x, colour in _sites(pattern):
        out[..., 0, y::2, x::2] = rgb[..., "RGB".index(colour), y::2, x::2]
    return out


@whole_step
def pack(image: Tensor, pattern: str = "RGGB", order: PackOrder = "rggb") -> Tensor:
    """The four pixels of each 2x2 block as channels: ``(..., 1, 2H, 2W)`` to ``(..., 4, H, W)``.

    Channels have a meaning that no phase changes: with ``"rggb"`` red, the green beside red, the green beside blue,
    blue (rawSR's order); with ``"rgbg"`` red, the green beside red, blue, the green beside blue (SR-RAW's).

    Raises:
        ValueError: If a side is odd.

    Example:
        >>> pack(torch.tensor([[[1, 2], [3, 4]]]), order="rgbg").flatten()
        tensor([1, 2, 4, 3])
    """
    height, width = image.shape[-2:]
    if height % 2 or width % 2:
        raise ValueError(f"a mosaic of {height}x{width} pixels is not made of whole 2x2 blocks; crop it to even sides")
    return torch.stack([image[..., 0, y::2, x::2] for y, x in _places(pattern, order)], dim=-3)


def unpack(packed: Tensor, pattern: str = "RGGB", order: PackOrder = "rggb") -> Tensor:
    """Inverse of ``pack``.

    Example:
        >>> x = torch.rand(1, 1, 4, 6)
        >>> all(torch.equal(unpack(pack(x, p, o), p, o), x) for p in PATTERNS for o in ("rggb", "rgbg"))
        True
    """
    *lead, _, height, width = packed.shape
    out = packed.new_empty((*lead, 1, 2 * height, 2 * width))
    for channel, (y, x) in enumerate(_places(pattern, order)):
        out[..., 0, y::2, x::2] = packed[..., channel, :, :]
    return out


def pattern_at(pattern: str, y: int, x: int) -> str:
    """The pattern of what begins ``y`` rows below and ``x`` columns right of a mosaic's first pixel.

    Example:
        >>> pattern_at("RGGB", 0, 1), pattern_at("RGGB", 1, 1), pattern_at("RGGB", 2, 4)
        ('GRBG', 'BGGR', 'RGGB')
    """
    _check(pattern)
    return "".join(pattern[2 * ((row + y) % 2) + (column + x) % 2] for row in (0, 1) for column in (0, 1))


def crop_to_pattern(image: Tensor, pattern: str, wanted: str) -> Tensor:
    """The largest crop with even sides whose first pixel begins the wanted pattern.

    Example:
        >>> crop_to_pattern(torch.rand(1, 8, 8), "GRBG", "RGGB").shape
        torch.Size([1, 8, 6])
    """
    _check(wanted)
    y, x = next((y, x) for y in (0, 1) for x in (0, 1) if pattern_at(pattern, y, x) == wanted)
    image = image[..., y:, x:]
    height, width = image.shape[-2:]
    return image[..., : height // 2 * 2, : width // 2 * 2]


def margins_to_rggb(pattern: str, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows above and below, and columns left and right, by which a mosaic becomes whole blocks of RGGB.

    Mirrored without repeating the edge, colours stay in their places, and no pixel is lost.

    Example:
        >>> margins_to_rggb("GRBG", 4, 6), margins_to_rggb("RGGB", 5, 6)
        (((0, 0), (1, 1)), ((0, 1), (0, 0)))
    """
    _check(pattern)
    top, left = divmod(pattern.index("R"), 2)
    return (top, (height + top) % 2), (left, (width + left) % 2)


def dihedral_mosaic(image: Tensor, pattern: str, op: int) -> tuple[Tensor, str]:
    """One of the eight flips and quarter turns, and the pattern that the turned mosaic has.

    Nothing is cropped: ``with_pattern(*dihedral_mosaic(image, pattern, op), pattern)`` has the old phase again.

    Example:
        >>> dihedral_mosaic(torch.rand(1, 4, 6), "RGGB", 1)[1]
        'GRBG'
    """
    _check(pattern)
    # Each pixel as its place in the pattern; what turns with the picture has the answer in its corner.
    height, width = image.shape[-2:]
    places = torch.tensor([[0, 1], [2, 3]]).repeat(2, 2)[: 2 + height % 2, : 2 + width % 2]
    turned = dihedral(places, op)[:2, :2].flatten().tolist()
    return dihedral(image, op), "".join(pattern[place] for place in turned)


def virtual_sensels(image: Tensor, pattern: str = "RGGB") -> Tensor:
    """RGB at half the size, one pixel for each 2x2 block, without the blur of demosaicing.

    Green is the mean of the block's two; red and blue are interpolated bilinearly at the block's centre from the four
    nearest of their own, so that all colours lie at one place. Beyond the border the mosaic is mirrored.

    **Paper:** Xu, Ma, Sun, Towards Real Scene Super-Resolution With Raw Images, CVPR 2019, section 3.1.

    Returns:
        ``(..., 3, H / 2, W / 2)``.

    Example:
        >>> virtual_sensels(torch.ones(1, 4, 6)).shape
        torch.Size([3, 2, 3])
    """
    red, green_r, green_b, blue = pack(image, pattern).unbind(-3)
    (red_y, red_x), _, _, (blue_y, blue_x) = _places(pattern, "rggb")
    red = _shift_half_pixel(_shift_half_pixel(red, -1, red_x), -2, red_y)
    blue = _shift_half_pixel(_shift_half_pixel(blue, -1, blue_x), -2, blue_y)
    return torch.stack([red, (green_r + green_b) / 2, blue], dim=-3)


def _shift_half_pixel(plane: Tensor, dim: int, place: int) -> Tensor:
    """Shifts samples by half a mosaic pixel: a quarter of the way to the next (0) or previous (1) sample."""
    length = plane.shape[dim]
    index = torch.arange(length, device=plane.device) + (1 if place == 0 else -1)
    # The mosaic's mirror about its edge pixels keeps colours in their places: the same plane, mirrored likewise.
    neighbour = plane.index_select(dim, index.clamp(0, length - 1))
    return 0.75 * plane + 0.25 * neighbour


def _sites(pattern: str) -> list[tuple[int, int, str]]:
    _check(pattern)
    return [(place // 2, place % 2, colour) for place, colour in enumerate(pattern)]


def _places(pattern: str, order: PackOrder) -> list[tuple[int, int]]:
    """Row and column within a block of each packed channel."""
    _check(pattern)
    if order not in ("rggb", "rgbg"):
        raise ValueError(f"order={order}: must be rggb or rgbg")
    red_y, red_x = divmod(pattern.index("R"), 2)
    blue = (1 - red_y, 1 - red_x)
    beside_red, beside_blue = (red_y, 1 - red_x), (1 - red_y, red_x)
    return [(red_y, red_x), beside_red, *((beside_blue, blue) if order == "rggb" else (blue, beside_blue))]


def _check(pattern: str) -> None:
    if pattern not in PATTERNS:
        raise ValueError(f"{pattern!r} is not a Bayer pattern; choose one of {', '.join(PATTERNS)}")
