"""Metrics and the protocols that give them a meaning."""

from sr_lightning.metrics.protocol import Protocol, mean_scores

__all__ = ["Protocol", "mean_scores"]
