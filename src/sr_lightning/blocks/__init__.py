"""Layers that several networks share, named as in their papers."""

from sr_lightning.blocks.luma import Luma, luma
from sr_lightning.blocks.normalization import DIV2K_MEAN, MeanShift
from sr_lightning.blocks.residual import ResidualBlock
from sr_lightning.blocks.upsampling import pixel_shuffle, stages, upsampler

__all__ = ["DIV2K_MEAN", "Luma", "MeanShift", "ResidualBlock", "luma", "pixel_shuffle", "stages", "upsampler"]
