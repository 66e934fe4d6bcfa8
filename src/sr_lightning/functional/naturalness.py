"""Statistics that photographs share and that damage changes: the features of BRISQUE and NIQE."""

import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.functional.color import rgb_to_y
from sr_lightning.functional.levels import as_unit, check_pictures, round_8bit
from sr_lightning.functional.resize import imresize

#: Side of NIQE's blocks in pixels.
BLOCK = 96
#: Levels below which a detail is the rounding of float64 in a flat part, whose sign would count.
_ROUNDING = 1e-9
#: Neighbours whose products are looked at: rows and columns to the right, below, and on both diagonals.
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
#: The shapes that a fit chooses from, and the quotient of squared mean magnitude and mean square that each has.
_SHAPES = torch.arange(200, 10001, dtype=torch.float64) / 1000
_QUOTIENTS = (2 * torch.lgamma(2 / _SHAPES) - torch.lgamma(1 / _SHAPES) - torch.lgamma(3 / _SHAPES)).exp()


def brisque_features(image: Tensor) -> Tensor:
    """The 36 features of BRISQUE, 18 at the picture's size and 18 at half of it.

    **Paper:** Mittal, Moorthy, Bovik, No-Reference Image Quality Assessment in the Spatial Domain, IEEE TIP 2012,
    table I: shape and variance of the normalised luma, then shape, mean, left and right variance of the products of
    neighbours in four directions. The score that the paper learns from them needs its authors' file, and is not here.

    Args:
        image: ``(N, C, H, W)``, RGB or grey, floating point in [0, 1], or uint8 or uint16.

    Returns:
        ``(N, 36)`` float64; NaN where the whole picture is flat.

    Example:
        >>> brisque_features(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 36])
    """
    features = []
    for luma in _two_sizes(_luma(image)):
        normalised = normalise(luma)[0][:, 0]
        shape, deviation = _symmetric(normalised)
        features += [shape, deviation.square()]
        for product in _products(normalised):
            shape, left, right = _asymmetric(product)
            mean = (right - left) * _gammas(shape, 2, 1) * _gammas(shape, 1, 3).sqrt()
            features += [shape, mean, left.square(), right.square()]
    return torch.stack(features, 1)


def niqe_features(image: Tensor) -> tuple[Tensor, Tensor]:
    """The 36 features of each block of 96x96 pixels of one picture, and the blocks' sharpness.

    **Paper:** Mittal, Soundararajan, Bovik, Making a "Completely Blind" Image Quality Analyzer, IEEE SPL 2013. As in
    the authors' MATLAB code, luma is rounded to 8 bit, what does not fill a block is left out on the right and below,
    and the second half of the features is of the picture at half its size.

    Args:
        image: ``(1, C, H, W)``, RGB or grey, floating point in [0, 1], or uint8 or uint16.

    Returns:
        Features ``(blocks, 36)`` float64, without flat blocks, and ``(blocks,)``, the mean of the local deviation.

    Raises:
        ValueError: If it is not one picture, has no whole block, or a value is NaN or infinite.

    Example:
        >>> features, sharpness = niqe_features(torch.rand(1, 3, 200, 192))
        >>> features.shape, sharpness.shape
        (torch.Size([4, 36]), torch.Size([4]))
    """
    check_pictures(image, BLOCK, "niqe_features")
    if len(image) != 1:
        raise ValueError(f"niqe_features needs one picture, got {len(image)}; give them one by one")
    luma = _luma(image)
    rows, columns = (side // BLOCK for side in luma.shape[-2:])
    luma = luma[..., : rows * BLOCK, : columns * BLOCK]
    sizes = [normalise(picture) for picture in _two_sizes(luma)]
    features = torch.cat([_block_features(_blocks(normalised, rows, columns)) for normalised, _ in sizes], 1)
    sharpness = _blocks(sizes[0][1], rows, columns).mean((1, 2))
    usable = features.isfinite().all(1)
    return features[usable], sharpness[usable]


def _block_features(blocks: Tensor) -> Tensor:
    """NIQE's 18 features of normalised luma ``(blocks, H, W)`` at one size."""
    shape, left, right = _asymmetric(blocks)
    features = [shape, (left + right) / 2 * _gammas(shape, 1, 3).sqrt()]
    for product in _products(blocks):
        shape, left, right = _asymmetric(product)
        left, right = (side * _gammas(shape, 1, 3).sqrt() for side in (left, right))
        features += [shape, (right - left) * _gammas(shape, 2, 1), left, right]
    return torch.stack(features, 1)


def normalise(luma: Tensor) -> tuple[Tensor, Tensor]:
    """Luma in 0...255 less its local mean, over its local deviation plus one; and this deviation.

    Equations 1 to 3 of both papers: a Gaussian window of 7x7 pixels with sigma 7/6; the edge is repeated outside.
    """
    taps = torch.exp(-torch.arange(-3, 4, dtype=luma.dtype, device=luma.device).square() / (2 * (7 / 6) ** 2))
    taps /= taps.sum()

    def blurred(x: Tensor) -> Tensor:
        x = F.conv2d(F.pad(x, (3, 3, 3, 3), mode="replicate"), taps[None, None, None])
        return F.conv2d(x, taps[None, None, :, None])

    mean = blurred(luma)
    deviation = (blurred(luma.square()) - mean.square()).abs().sqrt()
    detail = luma - mean
    detail = torch.where(detail.abs() < _ROUNDING, 0, detail)
    return detail / (deviation + 1), deviation


def _luma(image: Tensor) -> Tensor:
    image = as_unit(image)
    return 255 * (image if image.shape[1] == 1 else round_8bit(rgb_to_y(image)))


def _two_sizes(luma: Tensor) -> tuple[Tensor, Tensor]:
    return luma, imresize(luma, 0.5)


def _blocks(picture: Tensor, rows: int, columns: int) -> Tensor:
    height, width = picture.shape[-2] // rows, picture.shape[-1] // columns
    return picture.reshape(rows, height, columns, width).transpose(1, 2).reshape(-1, height, width)


def _products(blocks: Tensor) -> list[Tensor]:
    return [blocks * blocks.roll(shift, (-2, -1)) for shift in _SHIFTS]


def _symmetric(values: Tensor) -> tuple[Tensor, Tensor]:
    """Shape and deviation of a generalised Gaussian of ``(N, H, W)``, by its moments."""
    square = values.square().mean((1, 2))
    return _shape(values.abs().mean((1, 2)).square() / square), square.sqrt()


def _asymmetric(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape, and deviations below and above zero, of an asymmetric generalised Gaussian, by its moments."""
    squares = values.square()
    left, right = (((squares * side).sum((1, 2)) / side.sum((1, 2))).sqrt() for side in (values < 0, values > 0))
    skew = left / right
    quotient = values.abs().mean((1, 2)).square() / squares.mean((1, 2))
    shape = _shape(quotient * (skew**3 + 1) * (skew + 1) / (skew.square() + 1).square())
    return shape, left, right


def _shape(quotient: Tensor) -> Tensor:
    """The shape whose quotient is nearest; NaN stays NaN."""
    shapes, quotients = _SHAPES.to(quotient.device), _QUOTIENTS.to(quotient.device)
    above = torch.searchsorted(quotients, quotient).clamp(1, len(quotients) - 1)
    nearer_below = quotient - quotients[above - 1] <= quotients[above] - quotient
    return torch.where(quotient.isnan(), torch.nan, shapes[above - nearer_below.long()])


def _gammas(shape: Tensor, top: int, bottom: int) -> Tensor:
    """Gamma(top / shape) over Gamma(bottom / shape)."""
    return (torch.lgamma(top / shape) - torch.lgamma(bottom / shape)).exp()
