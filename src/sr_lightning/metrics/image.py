"""Metrics as torchmetrics classes: the mean of per-picture values, exact over batches and processes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from torchmetrics import Metric

from sr_lightning.devices import has_float64
from sr_lightning.functional import as_unit, ifc, imresize, ms_ssim, psnr, ssim
from sr_lightning.functional.precision import full_precision
from sr_lightning.functional.resize import Edge
from sr_lightning.functional.ssim import Window
from sr_lightning.limits import check_value
from sr_lightning.metrics.features import DISTSDistance, LPIPSDistance


class PictureMetric(Metric):
    """Base of the metrics. Subclasses compute one value for each picture; this class averages them.

    Pictures are ``(N, C, H, W)``: floating point in [0, 1], or uint8 or uint16, which are divided by their largest
    value. Pictures far outside of [0, 1] are refused. Nothing is computed in half precision. The PSNR of equal pictures
    is infinite; the mean leaves infinite values out if there are others. NaN makes the mean NaN.
    """

    is_differentiable = False
    full_state_update = False
    total: Tensor
    count: Tensor
    pictures: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("pictures", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def _apply(self, fn: Callable[..., Any], exclude_state: Sequence[str] = "") -> Self:
        """torchmetrics'; on a device without float64, values and their sums stay on the CPU."""
        device = fn(torch.zeros(1, device=self.total.device)).device
        if not has_float64(device):
            exclude_state = [*exclude_state, *self._defaults]
        return super()._apply(fn, exclude_state)  # type: ignore[return-value]

    def values(self, sr: Tensor, hr: Tensor) -> Tensor:
        """One value for each picture, ``(N,)``."""
        raise NotImplementedError

    def update(self, sr: Tensor, hr: Tensor) -> None:
        """Adds a batch of pictures ``(N, C, H, W)`` and what they are compared with."""
        with torch.no_grad(), full_precision(sr):
            values = self.values(sr, hr)
        counted = values != torch.inf  # the rule of sr_lightning.metrics.means
        self.total += values[counted].sum()
        self.count += counted.sum()
        self.pictures += len(values)

    def compute(self) -> Tensor:
        """Mean over all pictures, a scalar in float64; NaN if there are none."""
        if self.count == 0 and self.pictures > 0:
            return self.total + torch.inf
        return self.total / self.count


class PSNR(PictureMetric):
    """Mean of ``functional.psnr`` in dB.

    torchmetrics' default pools the squared error of all pictures first. For two pictures of 20 and 40 dB it gives 23.0,
    and this class gives 30.

    Example:
        >>> metric = PSNR()
        >>> metric.update(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1))
        >>> metric.update(torch.zeros(1, 3, 9, 9), torch.full((1, 3, 9, 9), 0.01))
        >>> metric.compute()
        tensor(30.0000, dtype=torch.float64)
    """

    higher_is_better = True

    def values(self, sr: Tensor, hr: Tensor) -> Tensor:
        return psnr(sr, hr)


class SSIM(PictureMetric):
    """Mean of ``functional.ssim``.

    torchmetrics averages over a reflected border too. Papers use the valid part, or zeros outside.

    Args:
        window: ``"valid"`` or ``"zero_padded"``.

    Example:
        >>> x = torch.rand(2, 3, 16, 16)
        >>> SSIM()(x, x)
        tensor(1., dtype=torch.float64)
    """

    higher_is_better = True

    def __init__(self, window: Window = "valid", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_value("window", window, Window)
        self.window: Window = window

    def values(self, sr: Tensor, hr: Tensor) -> Tensor:
        return ssim(sr, hr, self.window)


class MSSSIM(PictureMetric):
    """Mean of ``functional.ms_ssim``; pictures of at least 161 pixels each way.

    Example:
        >>> x = torch.rand(1, 1, 161, 161)
        >>> MSSSIM()(x, x)
        tensor(1., dtype=torch.float64)
    """

    higher_is_better = True

    def values(self, sr: Tensor, hr: Tensor) -> Tensor:
        return ms_ssim(sr, hr)


class IFC(PictureMetric):
    """Mean of ``functional.ifc``, mostly of luma; pictures of at least 72 pixels each way.

    Example:
        >>> metric = IFC()
        >>> bool(metric(torch.rand(1, 1, 72, 72), torch.rand(1, 1, 72, 72)) < 1)
        True
    """

    higher_is_better = True

    def values(self, sr: Tensor, hr: Tensor) -> Tensor:
        return ifc(sr, hr)


class LRConsistency(PictureMetric):
    """PSNR in dB between the super-resolved picture, bicubically downscaled, and the LR picture it came from.

    **Paper:** Lugmayr, Danelljan, Van Gool, Timofte, SRFlow, ECCV 2020, section 5.1, "LR-PSNR".

    Args:
        scale: Whole factor between SR and LR.
        edge: Border rule of the downscaling, see ``functional.imresize``.

    Example:
        >>> sr = torch.rand(1, 3, 24, 24)
        >>> metric = LRConsistency(scale=2)
        >>> bool(metric(sr, imresize(sr, 0.5)) > 100)
        True
    """

    higher_is_better = True

    def __init__(self, scale: int, edge: Edge = "symmetric", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.edge = scale, edge

    def values(self, sr: Tensor, hr: Tensor) -> Tensor:
        return psnr(imresize(as_unit(sr), 1 / self.scale, edge=self.edge), hr)

    def update(self, sr: Tensor, lr: Tensor) -> None:
        """Adds a batch of SR pictures ``(N, C, scale * H, scale * W)`` and LR pictures ``(N, C, H, W)``."""
        super().update(sr, lr)


class LPIPS(PictureMetric):
    """Mean of ``LPIPSDistance``, of pictures in RGB.

    Args:
        weights: torchvision's file of AlexNet or VGG16.

    Example:
        >>> metric = LPIPS("alexnet-owt-7be5be79.pth")  # doctest: +SKIP
    """

    higher_is_better = False

    def __init__(self, weights: str | Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.distance = LPIPSDistance(weights)

    def values(self, sr: Tensor, hr: Tensor) -> Tensor:
        return self.distance(sr, hr)  # type: ignore[no-any-return]


class DISTS(PictureMetric):
    """Mean of ``DISTSDistance``, of pictures in RGB.

    Args:
        weights: torchvision's file of VGG16.

    Example:
        >>> metric = DISTS("vgg16-397923af.pth")  # doctest: +SKIP
    """

    higher_is_better = False

    def __init__(self, weights: str | Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.distance = DISTSDistance(weights)

    def values(self, sr: Tensor, hr: Tensor) -> Tensor:
        return self.distance(sr, hr)  # type: ignore[no-any-return]
