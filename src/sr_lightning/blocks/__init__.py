"""Layers that several networks share, named as in their papers."""

from sr_lightning.blocks.attention import (
    MPRSA,
    ChannelAttention,
    ContrastAttention,
    EnhancedSpatialAttention,
    MixAttention,
    PixelAttention,
    SpatialAttention,
    attention,
)
from sr_lightning.blocks.convolution import BlueprintConv, Partial, asymmetric, weight_normed
from sr_lightning.blocks.dense import DCABlock, DenseBlock, dense_layers, densely
from sr_lightning.blocks.distillation import ResidualDistillationBlock
from sr_lightning.blocks.dysample import DySample
from sr_lightning.blocks.large_kernel import LargeKernelBlock
from sr_lightning.blocks.luma import Luma, luma
from sr_lightning.blocks.normalization import DIV2K_MEAN, ChannelNorm, MeanShift, Standardize, normalization
from sr_lightning.blocks.parameter_free import ParameterFreeBlock
from sr_lightning.blocks.raw import PackedRaw
from sr_lightning.blocks.reparameterization import BranchedConv
from sr_lightning.blocks.residual import ResidualBlock, ResidualGroup, looks_at_all, relu
from sr_lightning.blocks.rrdb import RRDB
from sr_lightning.blocks.upsampling import (
    RepeatedPixels,
    bicubic,
    deconv,
    nearest_conv,
    pixel_shuffle,
    prime_factors,
    unshuffle,
    upsampler,
)

__all__ = [
    "DIV2K_MEAN",
    "BlueprintConv",
    "BranchedConv",
    "ChannelAttention",
    "ChannelNorm",
    "ContrastAttention",
    "DCABlock",
    "DenseBlock",
    "DySample",
    "EnhancedSpatialAttention",
    "LargeKernelBlock",
    "Luma",
    "MPRSA",
    "MeanShift",
    "MixAttention",
    "PackedRaw",
    "ParameterFreeBlock",
    "Partial",
    "PixelAttention",
    "RRDB",
    "RepeatedPixels",
    "ResidualBlock",
    "ResidualDistillationBlock",
    "ResidualGroup",
    "SpatialAttention",
    "Standardize",
    "asymmetric",
    "attention",
    "bicubic",
    "deconv",
    "dense_layers",
    "densely",
    "looks_at_all",
    "luma",
    "nearest_conv",
    "normalization",
    "pixel_shuffle",
    "prime_factors",
    "relu",
    "unshuffle",
    "upsampler",
    "weight_normed",
]
