"""Evaluation protocols: everything between a network's output and the number in a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sr_lightning.functional import imresize, modcrop, psnr, rgb_to_y, round_8bit, shave, ssim
from sr_lightning.functional.resize import Edge, Rounding
from sr_lightning.functional.ssim import Window

_CHOICES = {
    "space": ("y", "rgb"),
    "lr": ("y", "rgb", "rgb8"),
    "edge": ("symmetric", "replicate"),
    "grey": ("direct", "stack"),
    "ssim_window": ("valid", "zero_padded"),
}


@dataclass(frozen=True)
class Protocol:
    """How a super-resolved picture is compared with the truth.

    PSNR values of one pair of pictures differ by more than 1 dB between the protocols in use, so every
    table and result file of this library names the protocol it was made with.

    Args:
        name: What tables and result files print.
        metrics: Which of ``psnr`` and ``ssim`` are computed.
        space: ``"y"`` compares BT.601 luma, ``"rgb"`` all channels.
        round_y: Round luma to 8 bit, as MATLAB's ``rgb2ycbcr`` does with ``uint8`` pictures.
        quantize: Round the network's output to 8 bit before anything else.
        lr: How the low-resolution picture is made where the data set has none: ``"y"`` from (rounded)
            luma in double precision, ``"rgb"`` from RGB in double precision, ``"rgb8"`` as an 8-bit file.
        edge: Border rule of that downscaling.
        border: Pixels left out on every side, ``border_scales * scale + border_pixels``.
        grey: A grey picture is compared as it is (``"direct"``) or as RGB of three equal channels (``"stack"``).
        ssim_window: See :func:`sr_lightning.functional.ssim`.

    Example:
        >>> import torch
        >>> protocol = Protocol(name="y_rgb8")
        >>> hr = torch.rand(1, 3, 48, 48)
        >>> sorted(protocol.score(hr, hr, scale=2))
        ['psnr', 'ssim']
    """

    name: str
    metrics: Sequence[Literal["psnr", "ssim"]] = ("psnr", "ssim")
    space: Literal["y", "rgb"] = "y"
    round_y: bool = False
    quantize: bool = True
    lr: Literal["y", "rgb", "rgb8"] = "rgb8"
    edge: Edge = "symmetric"
    border_scales: int = 1
    border_pixels: int = 0
    grey: Literal["direct", "stack"] = "stack"
    ssim_window: Window = "valid"

    def __post_init__(self) -> None:
        if isinstance(self.metrics, str) or not self.metrics or set(self.metrics) - {"psnr", "ssim"}:
            raise ValueError(f"protocol.metrics={self.metrics}: must be a list of psnr and ssim")
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise ValueError(f"protocol.{field}={getattr(self, field)}: must be one of {', '.join(choices)}")

    def prepare(self, hr: Tensor, lr: Tensor | None, scale: int, luma: bool) -> tuple[Tensor, Tensor]:
        """The network's input and the truth to compare with.

        Args:
            hr: ``(1, C, H, W)`` uint8, or float in [0, 1].
            lr: The data set's own low-resolution picture, or None to make it bicubically.
            scale: Whole factor between the two.
            luma: Whether the network reads luma alone.

        Returns:
            ``lr`` and ``hr`` in float64, ``hr`` cropped to a multiple of ``scale``.
        """
        hr, lr = _unit(hr), None if lr is None else _unit(lr)
        if hr.shape[1] == 1 and self.grey == "stack":
            hr = hr.expand(-1, 3, -1, -1)
            lr = lr.expand(-1, 3, -1, -1) if lr is not None and lr.shape[1] == 1 else lr
        hr = modcrop(hr, scale)
        if lr is not None:
            return self._compared(lr) if self.lr == "y" and luma else lr, hr
        if self.lr == "y" and luma:
            return imresize(self._compared(hr), 1 / scale, edge=self.edge), hr
        rounding: Rounding = "per_pass" if self.lr == "rgb8" else "none"
        return imresize(hr, 1 / scale, edge=self.edge, rounding=rounding), hr

    def score(self, sr: Tensor, hr: Tensor, scale: int) -> dict[str, Tensor]:
        """The metrics of every picture, ``(N,)`` float64 each.

        Args:
            sr: ``(N, C, H, W)``: RGB, or luma alone where the protocol compares luma.
            hr: ``(N, C, H, W)`` in [0, 1], as :meth:`prepare` returns it.
            scale: Factor that the border depends on.

        Raises:
            ValueError: If the sizes differ.
        """
        sr, hr = _unit(sr).clamp(0, 1), _unit(hr)
        if self.quantize:
            sr = round_8bit(sr)
        border = self.border_scales * scale + self.border_pixels
        sr, hr = (shave(self._compared(image), border) for image in (sr, hr))
        scores: dict[str, Tensor] = {}
        if "psnr" in self.metrics:
            scores["psnr"] = psnr(sr, hr)
        if "ssim" in self.metrics:
            scores["ssim"] = ssim(sr, hr, self.ssim_window)
        return scores

    def _compared(self, image: Tensor) -> Tensor:
        """The picture in the space that is compared."""
        if self.space == "rgb" or image.shape[1] == 1:
            return image
        y = rgb_to_y(image)
        return round_8bit(y) if self.round_y else y

    def suffix(self) -> str:
        """Ending of metric names: ``psnr_y`` or ``psnr_rgb``."""
        return "y" if self.space == "y" else "rgb"


def _unit(image: Tensor) -> Tensor:
    """Float64 in [0, 1]; dividing in float32 would move the halves that 8-bit rounding decides on."""
    image = image.cpu() if image.device.type == "mps" else image  # Apple's GPUs have no float64
    return image.double() / 255 if image.dtype == torch.uint8 else image.double()


def mean_scores(images: dict[str, dict[str, float]]) -> dict[str, float]:
    """The arithmetic mean of each metric over pictures, as every paper reports it.

    A picture without any error has an infinite PSNR, which says nothing of the others: it is left out.

    Example:
        >>> mean_scores({"a": {"psnr": 30.0}, "b": {"psnr": 32.0}})
        {'psnr': 31.0}
    """
    names = next(iter(images.values()), {})
    finite = {name: [v[name] for v in images.values() if math.isfinite(v[name])] for name in names}
    return {name: sum(values) / len(values) if values else math.inf for name, values in finite.items()}
