"""Degradations make LR pictures from HR pictures. They compose, and draw their parameters from a seed."""

from sr_lightning.degradations.base import Choice, Compose, Degradation, Grid, Parameters, Sometimes, seed_of
from sr_lightning.degradations.blur import DefocusBlur, GaussianBlur, KernelBlur, MotionBlur, SincBlur
from sr_lightning.degradations.jpeg import JPEG
from sr_lightning.degradations.noise import Noise, PoissonNoise
from sr_lightning.degradations.resize import Bicubic, Resize, Subsample

__all__ = [
    "Bicubic",
    "Choice",
    "Compose",
    "DefocusBlur",
    "Degradation",
    "GaussianBlur",
    "Grid",
    "JPEG",
    "KernelBlur",
    "MotionBlur",
    "Noise",
    "Parameters",
    "PoissonNoise",
    "Resize",
    "SincBlur",
    "Sometimes",
    "Subsample",
    "seed_of",
]
