"""Metrics and the protocols that give them a meaning."""

from typing import TYPE_CHECKING

from sr_lightning.lazy import imported_at_first_use
from sr_lightning.metrics.protocol import METRICS, Protocol, mean_scores

if TYPE_CHECKING:
    from sr_lightning.metrics.image import DISTS, IFC, LPIPS, MSSSIM, PSNR, SSIM, LRConsistency

#: At first use, because torchmetrics imports Lightning, SciPy and Matplotlib where they are installed.
_CLASSES = ["DISTS", "IFC", "LPIPS", "LRConsistency", "MSSSIM", "PSNR", "SSIM"]

__all__ = [
    "DISTS",
    "IFC",
    "LPIPS",
    "LRConsistency",
    "METRICS",
    "MSSSIM",
    "PSNR",
    "Protocol",
    "SSIM",
    "mean_scores",
]

if not TYPE_CHECKING:
    __getattr__ = imported_at_first_use(__name__, dict.fromkeys(_CLASSES, "image"))
