"""Metrics and the protocols that give them a meaning."""

from sr_lightning.metrics.image import DISTS, IFC, LPIPS, MSSSIM, PSNR, SSIM, LRConsistency
from sr_lightning.metrics.protocol import METRICS, Protocol, mean_scores

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
