"""Evaluation protocols: all steps from a network's output to the number in a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, nan
from typing import Annotated, Literal, get_args

from pydantic import Field
from torch import Tensor, nn

from sr_lightning.functional import (
    as_unit,
    blockiness,
    ifc,
    imresize,
    ms_ssim,
    noise_estimate,
    psnr,
    rgb_to_y,
    round_8bit,
    shave,
    ssim,
)
from sr_lightning.functional.coordinates import size_at, size_before
from sr_lightning.functional.psnr import check_truth
from sr_lightning.functional.resize import Edge, Rounding
from sr_lightning.functional.ssim import Window
from sr_lightning.limits import check_settings
from sr_lightning.metrics.features import DISTSDistance, LPIPSDistance, load_once
from sr_lightning.metrics.means import mean_score
from sr_lightning.metrics.niqe import niqe, read_parameters

Name = Literal["psnr", "ssim", "ms_ssim", "ifc", "lr_psnr", "lpips", "dists", "niqe", "blockiness", "noise"]
METRICS: tuple[str, ...] = get_args(Name)
#: Metrics of the output alone, in colour where it has some.
NO_REFERENCE: tuple[Name, ...] = ("niqe", "blockiness", "noise")
#: Metrics of RGB pictures, in any space; each needs the file of a network's weights.
_NETWORKS = {"lpips": LPIPSDistance, "dists": DISTSDistance}


@dataclass(frozen=True)
class Protocol:
    """How a super-resolved picture is compared with the truth.

    PSNR values of one pair of pictures differ by more than 1 dB between the protocols in use, so every
    table and result file of this library names the protocol it was made with.

    Args:
        name: What tables and result files print.
        metrics: Which are computed: ``psnr``, ``ssim``, ``ms_ssim`` and ``ifc`` in the protocol's space and without
            the border; ``lpips`` and ``dists`` in RGB, without the border; ``lr_psnr`` in the protocol's space,
            unrounded, between LR and the whole output downscaled; ``niqe``, ``blockiness`` and ``noise`` of the output
            alone, in RGB, without the border.
        space: ``"y"`` compares BT.601 luma, ``"rgb"`` all channels, ``"raw"`` the four planes of a packed mosaic.
        round_y: Round luma to 8 bit, as MATLAB's ``rgb2ycbcr`` does with ``uint8`` pictures.
        quantize: Round the network's output to 8 bit before anything else.
        lr: How the low-resolution picture is made where the data set has none: ``"y"`` from (rounded)
            luma in double precision, ``"rgb"`` from RGB in double precision, ``"rgb8"`` as an 8-bit file.
        edge: Border rule of that downscaling.
        border: Pixels left out on every side, ``border_scales * scale + border_pixels``, rounded up.
        grey: A grey picture is compared as it is (``"direct"``) or as RGB of three equal channels (``"stack"``).
        ssim_window: See ``functional.ssim``.
        lpips_weights: torchvision's file of AlexNet or VGG16, which ``lpips`` needs; whoever names it gets ``lpips``.
        dists_weights: torchvision's file of VGG16, which ``dists`` needs; whoever names it gets ``dists``.
        niqe_parameters: A file of NIQE's parameters, see ``read_parameters``; None for those of this library.
        sets: The sets of ``data=benchmarks`` that the protocol is for, where no others are named.

    Raises:
        ConfigError: If a value is none of these.
        ValueError: If a metric lacks its file of weights.
        CheckpointError: If a file of weights is absent, damaged or of another network.

    Example:
        >>> import torch
        >>> protocol = Protocol(name="y_rgb8")
        >>> hr = torch.rand(1, 3, 48, 48)
        >>> sorted(protocol.score(hr, hr, scale=2))
        ['psnr', 'ssim']
    """

    name: str
    metrics: Annotated[Sequence[Name], Field(min_length=1)] = ("psnr", "ssim")
    space: Literal["y", "rgb", "raw"] = "y"
    round_y: bool = False
    quantize: bool = True
    lr: Literal["y", "rgb", "rgb8"] = "rgb8"
    edge: Edge = "symmetric"
    border_scales: int = 1
    border_pixels: int = 0
    grey: Literal["direct", "stack"] = "stack"
    ssim_window: Window = "valid"
    lpips_weights: str | None = None
    dists_weights: str | None = None
    niqe_parameters: str | None = None
    sets: Sequence[str] = ("set5", "set14", "bsd100")

    def __post_init__(self) -> None:
        check_settings(self, "protocol.")
        if "niqe" in self.metrics:
            read_parameters(self.niqe_parameters)
        named = [metric for metric in _NETWORKS if getattr(self, f"{metric}_weights") is not None]
        object.__setattr__(self, "metrics", [*dict.fromkeys([*self.metrics, *named])])
        for metric in self.network_metrics():
            self._distance(metric)  # a wrong file ends the run before it begins

    def prepare(self, hr: Tensor, lr: Tensor | None, scale: float, luma: bool) -> tuple[Tensor, Tensor]:
        """The network's input and the truth to compare with.

        Args:
            hr: ``(1, C, H, W)`` uint8, or float in [0, 1].
            lr: The data set's own low-resolution picture, or None to make it bicubically.
            scale: Factor between the two, whole or not.
            luma: Whether the network reads luma alone.

        Returns:
            ``lr`` and ``hr`` in float64, ``hr`` cropped to ``scale`` times the size of ``lr``, which is rounded.
        """
        hr, lr = as_unit(hr), None if lr is None else as_unit(lr)
        check_truth(hr)
        if hr.shape[1] == 1 and self.grey == "stack":
            hr = hr.expand(-1, 3, -1, -1)
            lr = lr.expand(-1, 3, -1, -1) if lr is not None and lr.shape[1] == 1 else lr
        size = size_before(hr.shape[-2], scale), size_before(hr.shape[-1], scale)
        hr = hr[..., : size_at(size[0], scale), : size_at(size[1], scale)]
        if lr is not None:
            return self._compared(lr) if self.lr == "y" and luma else lr, hr
        if self.lr == "y" and luma:
            return imresize(self._compared(hr), size=size, edge=self.edge), hr
        rounding: Rounding = "per_pass" if self.lr == "rgb8" else "none"
        return imresize(hr, size=size, edge=self.edge, rounding=rounding), hr

    def score(self, sr: Tensor, hr: Tensor, scale: float, lr: Tensor | None = None) -> dict[str, Tensor]:
        """The metrics of every picture, ``(N,)`` float64 each.

        Args:
            sr: ``(N, C, H, W)``: RGB, or luma alone where the protocol compares luma.
            hr: ``(N, C, H, W)`` in [0, 1], as ``prepare`` returns it.
            scale: Factor that the border depends on.
            lr: What the network saw, as ``prepare`` returns it; ``lr_psnr`` alone needs it.

        Raises:
            ValueError: If the sizes differ, a picture is too small for a metric, or the truth is far outside of [0, 1].
        """
        sr, hr = as_unit(sr), as_unit(hr)
        check_truth(hr)
        sr = round_8bit(sr) if self.quantize else sr.clamp(0, 1)
        border = ceil(self.border_scales * scale) + self.border_pixels
        x, y = (shave(self._compared(image), border) for image in (sr, hr))
        measures: dict[str, Callable[[], Tensor]] = {
            "psnr": lambda: psnr(x, y),
            "ssim": lambda: ssim(x, y, self.ssim_window),
            "ms_ssim": lambda: ms_ssim(x, y),
            "ifc": lambda: ifc(x, y),
            "lr_psnr": lambda: self._lr_psnr(sr, lr),
            **{name: partial(self._network_metric, name, shave(sr, border), shave(hr, border)) for name in _NETWORKS},
            **self._alone(sr, border),
        }
        return {metric: measures[metric]() for metric in self.metrics}

    def measure(self, sr: Tensor) -> dict[str, Tensor]:
        """The metrics of pictures without truth, ``(N,)`` float64 each.

        Args:
            sr: ``(N, C, H, W)``, RGB or grey.

        Raises:
            ValueError: If a metric compares with the truth, or a picture is too small for it.
        """
        comparing = [metric for metric in self.metrics if metric not in NO_REFERENCE]
        if comparing:
            raise ValueError(f"{' and '.join(comparing)} need the truth, and there is none; type protocol=no_reference")
        sr = as_unit(sr)
        measures = self._alone(round_8bit(sr) if self.quantize else sr.clamp(0, 1), border=0)
        return {metric: measures[metric]() for metric in self.metrics}

    def _alone(self, sr: Tensor, border: int) -> dict[str, Callable[[], Tensor]]:
        """The metrics of ``NO_REFERENCE``; NaN of a picture with NaN, as the others are.

        That of blocks has no border, because shaving moves JPEG's grid.
        """
        known, inner = sr.isfinite().flatten(1).all(1), shave(sr, border)

        def of_known(measure: Callable[[Tensor], Tensor], picture: Tensor) -> Tensor:
            scores = sr.new_full((len(sr),), nan)
            if known.any():
                scores[known] = measure(picture[known])
            return scores

        return {
            "niqe": lambda: of_known(lambda x: niqe(x, *read_parameters(self.niqe_parameters)), inner),
            "blockiness": lambda: of_known(blockiness, sr),
            "noise": lambda: of_known(noise_estimate, inner),
        }

    def network_metrics(self) -> tuple[Name, ...]:
        """The metrics that compare RGB by a network, in every space."""
        return tuple(metric for metric in self.metrics if metric in _NETWORKS)

    def rgb_metrics(self) -> tuple[Name, ...]:
        """The metrics of RGB, in every space."""
        return tuple(metric for metric in self.metrics if metric in _NETWORKS or metric in NO_REFERENCE)

    def _lr_psnr(self, sr: Tensor, lr: Tensor | None) -> Tensor:
        if lr is None:
            raise ValueError("lr_psnr compares with LR: give score(..., lr=)")
        ours = imresize(sr, size=(lr.shape[-2], lr.shape[-1]), edge=self.edge)
        return psnr(*(self._in_space(image) for image in (ours, as_unit(lr))))

    def _network_metric(self, metric: str, sr: Tensor, hr: Tensor) -> Tensor:
        if sr.shape[1] != hr.shape[1]:
            raise ValueError(f"{metric} compares RGB, but the output is luma alone")
        return self._distance(metric).to(sr.device)(sr, hr)  # type: ignore[no-any-return]

    def _distance(self, metric: str) -> nn.Module:
        weights = getattr(self, f"{metric}_weights")
        if weights is None:
            raise ValueError(f"protocol.metrics has {metric}, which needs protocol.{metric}_weights=FILE")
        return load_once(_NETWORKS[metric], str(weights))

    def _in_space(self, image: Tensor) -> Tensor:
        channels = image.shape[1]
        if self.space == "raw" and channels != 4:
            raise ValueError(
                f"it compares packed mosaics, and the picture has {channels} channels; try protocol=rgb_div2k"
            )
        if self.space != "raw" and channels == 4:
            raise ValueError("the data are packed mosaics of four planes; choose protocol=raw")
        return image if self.space != "y" or image.shape[1] == 1 else rgb_to_y(image)

    def _compared(self, image: Tensor) -> Tensor:
        """The picture in the space that is compared."""
        compared = self._in_space(image)
        return round_8bit(compared) if self.round_y and compared is not image else compared

    def suffix(self) -> str:
        """Ending of metric names: ``psnr_y``, ``psnr_rgb`` or ``psnr_raw``."""
        return self.space


def mean_scores(images: dict[str, dict[str, float]]) -> dict[str, float]:
    """The mean of each metric over pictures, as every paper reports it, by ``mean_score``.

    Example:
        >>> mean_scores({"a": {"psnr": 30.0}, "b": {"psnr": 32.0}})
        {'psnr': 31.0}
    """
    names = next(iter(images.values()), {})
    return {name: mean_score(values[name] for values in images.values()) for name in names}
