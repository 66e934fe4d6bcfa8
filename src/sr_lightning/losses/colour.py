"""Guards against colours that drift, as they do under perceptual and adversarial losses."""

import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from sr_lightning.functional.psnr import check_same_shape
from sr_lightning.limits import check_value
from sr_lightning.losses.blurring import blurred


def colour_loss(sr: Tensor, hr: Tensor, tile: int = 16) -> Tensor:
    """Mean absolute difference of the mean colours of tiles, a scalar in float32.

    Details do not count: noise and texture that change no mean cost nothing, and a cast costs what it is.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.
        tile: Side of the tiles in pixels; those at the right and lower border may be smaller.

    Example:
        >>> import torch
        >>> hr = torch.full((1, 3, 24, 24), 0.5)
        >>> cast = torch.tensor([0.03, 0.0, 0.0]).view(1, 3, 1, 1)
        >>> round(colour_loss(hr + cast, hr).item(), 4)
        0.01
    """
    check_same_shape(sr, hr)
    ours, truth = (F.avg_pool2d(picture.float(), tile, ceil_mode=True) for picture in (sr, hr))
    return F.l1_loss(ours, truth)


def blurred_colour_loss(sr: Tensor, hr: Tensor, sigma: float = 3.0) -> Tensor:
    """Mean square of the difference of blurred pictures, a scalar in float32.

    **Paper:** Ignatov, Kobyshev, Timofte, Vanhoey, Van Gool, DSLR-Quality Photos on Mobile Devices with Deep
    Convolutional Networks, ICCV 2017, equation 1, with their Gaussian of deviation 3 in a window of 21 pixels; they sum
    over the pixels, here it is the mean. Pictures are mirrored beyond their borders.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.
        sigma: Deviation of the Gaussian in pixels; the window reaches ten thirds of it.

    Raises:
        DataError: If the pictures are smaller than that.

    Example:
        >>> import torch
        >>> hr = torch.full((1, 3, 24, 24), 0.5)
        >>> round(blurred_colour_loss(hr + 0.1, hr).item(), 4)
        0.01
    """
    check_same_shape(sr, hr)
    return blurred(sr.float() - hr.float(), sigma, 2 * round(10 * sigma / 3) + 1).square().mean()


class ColourLoss(nn.Module):
    """``colour_loss`` as a module.

    Raises:
        ConfigError: If ``tile`` is not above 0.
    """

    def __init__(self, tile: int = 16) -> None:
        super().__init__()
        check_value("loss.tile", tile, PositiveInt)
        self.tile = tile

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return colour_loss(sr, hr, self.tile)


class BlurredColourLoss(nn.Module):
    """``blurred_colour_loss`` as a module.

    Raises:
        ConfigError: If ``sigma`` is not above 0.
    """

    def __init__(self, sigma: float = 3.0) -> None:
        super().__init__()
        check_value("loss.sigma", sigma, PositiveFloat)
        self.sigma = sigma

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return blurred_colour_loss(sr, hr, self.sigma)
