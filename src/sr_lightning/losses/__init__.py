"""Losses: each is a function, and a module for configs."""

from sr_lightning.blocks.vgg import VGGFeatures
from sr_lightning.losses.charbonnier import Charbonnier, charbonnier
from sr_lightning.losses.cobi import CoBi, contextual_bilateral
from sr_lightning.losses.dct import DCTLoss, dct_loss
from sr_lightning.losses.fft import FFTLoss, fft_loss
from sr_lightning.losses.gan import GANLoss, discriminator_loss, generator_loss
from sr_lightning.losses.haar import HaarLoss, haar_loss
from sr_lightning.losses.mix import Mix
from sr_lightning.losses.perceptual import Perceptual, perceptual
from sr_lightning.losses.relation import RLoss, RNLLoss, nonlocal_relation_loss, relation_loss
from sr_lightning.losses.ssim import SSIMLoss, ssim_loss

__all__ = [
    "Charbonnier",
    "CoBi",
    "DCTLoss",
    "FFTLoss",
    "GANLoss",
    "HaarLoss",
    "Mix",
    "Perceptual",
    "RLoss",
    "RNLLoss",
    "SSIMLoss",
    "VGGFeatures",
    "charbonnier",
    "contextual_bilateral",
    "dct_loss",
    "discriminator_loss",
    "fft_loss",
    "generator_loss",
    "haar_loss",
    "nonlocal_relation_loss",
    "perceptual",
    "relation_loss",
    "ssim_loss",
]
