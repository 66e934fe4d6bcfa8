"""Distance of the high frequencies."""

from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from sr_lightning.functional.psnr import check_same_shape
from sr_lightning.limits import check_value

HighPass = Literal["none", "ideal", "gaussian"]


def fft_loss(sr: Tensor, hr: Tensor, high_pass: HighPass = "ideal", cutoff: float = 0.1) -> Tensor:
    """``0.01 * ||HP(FFT(sr)) - HP(FFT(hr))||_1``, a scalar in float32, for fine-tuning after L1 or L2.

    **Source:** DeepResNet's README has the high-pass; its code has none, which is ``high_pass="none"``. As in the
    code the transform is not normalised and covers half of the spectrum; real and imaginary parts are averaged over
    frequencies and the batch, and summed over channels. The value therefore grows with the side of the patch.

    Args:
        sr: ``(N, C, H, W)`` in [0, 1].
        hr: The same shape.
        high_pass: ``"ideal"`` keeps what is at or above ``cutoff``, ``"gaussian"`` weights with
            ``1 - exp(-r**2 / (2 cutoff**2))``, ``"none"`` keeps everything.
        cutoff: Radius in the spectrum as a part of the Nyquist frequency; a corner has 1.41.

    Example:
        >>> light = torch.full((1, 3, 8, 8), 0.5)  # a change of brightness is no high frequency
        >>> fft_loss(light, light + 0.1).item(), round(fft_loss(light, light + 0.1, "none").item(), 6)
        (0.0, 0.0024)
    """
    check_same_shape(sr, hr)
    # The transform is linear: that of the difference is the difference.
    spectrum = torch.view_as_real(torch.fft.rfft2(sr.float() - hr.float()))
    if high_pass != "none":
        spectrum = spectrum * _mask(sr.shape[-2], sr.shape[-1], high_pass, cutoff, sr.device)[..., None]
    return 0.01 * sr.shape[1] * spectrum.abs().mean()


def _mask(height: int, width: int, high_pass: HighPass, cutoff: float, device: torch.device) -> Tensor:
    """Factor of every frequency of the half spectrum, ``(H, W // 2 + 1)``."""
    y, x = torch.fft.fftfreq(height, 0.5, device=device), torch.fft.rfftfreq(width, 0.5, device=device)
    radius = torch.hypot(y[:, None], x[None])
    if high_pass == "ideal":
        return (radius >= cutoff).float()
    return 1 - torch.exp(-radius.square() / (2 * cutoff**2))


class FFTLoss(nn.Module):
    """``fft_loss`` as a module.

    Raises:
        ConfigError: If there is no such high-pass, or ``cutoff`` is not above 0.
    """

    def __init__(self, high_pass: HighPass = "ideal", cutoff: float = 0.1) -> None:
        super().__init__()
        check_value("loss.high_pass", high_pass, HighPass)
        check_value("loss.cutoff", cutoff, PositiveFloat)
        self.high_pass, self.cutoff = high_pass, cutoff

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return fft_loss(sr, hr, self.high_pass, self.cutoff)
