"""Losses: each is a function, and a module for configs."""

from sr_lightning.blocks.vgg import VGGFeatures
from sr_lightning.losses.charbonnier import Charbonnier, charbonnier
from sr_lightning.losses.cobi import CoBi, contextual_bilateral
from sr_lightning.losses.colour import BlurredColourLoss, ColourLoss, blurred_colour_loss, colour_loss
from sr_lightning.losses.dct import DCTLoss, dct_loss
from sr_lightning.losses.fft import FFTLoss, fft_loss
from sr_lightning.losses.gan import GANLoss, discriminator_loss, generator_loss
from sr_lightning.losses.haar import HaarLoss, haar_loss
from sr_lightning.losses.ldl import LDL, artifact_map, ldl_loss
from sr_lightning.losses.mean_distance import MeanDistance
from sr_lightning.losses.mix import Mix
from sr_lightning.losses.perceptual import Perceptual, perceptual
from sr_lightning.losses.relation import RLoss, RNLLoss, nonlocal_relation_loss, relation_loss
from sr_lightning.losses.sharpening import sharpened
from sr_lightning.losses.ssim import SSIMLoss, ssim_loss

__all__ = [
    "BlurredColourLoss",
    "Charbonnier",
    "CoBi",
    "ColourLoss",
    "DCTLoss",
    "FFTLoss",
    "GANLoss",
    "HaarLoss",
    "LDL",
    "MeanDistance",
    "Mix",
    "Perceptual",
    "RLoss",
    "RNLLoss",
    "SSIMLoss",
    "VGGFeatures",
    "artifact_map",
    "blurred_colour_loss",
    "charbonnier",
    "colour_loss",
    "contextual_bilateral",
    "dct_loss",
    "discriminator_loss",
    "fft_loss",
    "generator_loss",
    "haar_loss",
    "ldl_loss",
    "nonlocal_relation_loss",
    "perceptual",
    "relation_loss",
    "sharpened",
    "ssim_loss",
]
