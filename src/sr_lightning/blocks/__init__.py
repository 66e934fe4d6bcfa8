"""Layers that several networks share, named as in their papers."""

from sr_lightning.blocks.attention import MPRSA, ChannelAttention, MixAttention, SpatialAttention, attention
from sr_lightning.blocks.convolution import asymmetric, weight_normed
from sr_lightning.blocks.dense import DCABlock, DenseBlock, dense_layers, densely
from sr_lightning.blocks.luma import Luma, luma
from sr_lightning.blocks.normalization import DIV2K_MEAN, MeanShift, Standardize, normalization
from sr_lightning.blocks.raw import PackedRaw
from sr_lightning.blocks.reparameterization import BranchedConv
from sr_lightning.blocks.residual import ResidualBlock, relu
from sr_lightning.blocks.rrdb import RRDB
from sr_lightning.blocks.upsampling import bicubic, deconv, nearest_conv, pixel_shuffle, prime_factors, upsampler

__all__ = [
    "DIV2K_MEAN",
    "BranchedConv",
    "ChannelAttention",
    "DCABlock",
    "DenseBlock",
    "Luma",
    "MPRSA",
    "MeanShift",
    "MixAttention",
    "PackedRaw",
    "RRDB",
    "ResidualBlock",
    "SpatialAttention",
    "Standardize",
    "asymmetric",
    "attention",
    "bicubic",
    "deconv",
    "dense_layers",
    "densely",
    "luma",
    "nearest_conv",
    "normalization",
    "pixel_shuffle",
    "prime_factors",
    "relu",
    "upsampler",
    "weight_normed",
]
