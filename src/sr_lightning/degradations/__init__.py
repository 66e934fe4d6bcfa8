"""Degradations make LR pictures from HR pictures. They compose, and draw their parameters from a seed."""

from sr_lightning.degradations.base import Choice, Compose, Degradation, Grid, Parameters, Sometimes, seed_of
from sr_lightning.degradations.blur import DefocusBlur, GaussianBlur, KernelBlur, MotionBlur, SincBlur
from sr_lightning.degradations.bsrgan import BlindReduce, CVResize, HalvedAtFour, ScaledGaussianBlur, Shuffled
from sr_lightning.degradations.jpeg import JPEG
from sr_lightning.degradations.noise import MixedNoise, Noise, PoissonByLevels, PoissonNoise
from sr_lightning.degradations.prints import Fade, Grain, Halftone, Marks
from sr_lightning.degradations.resize import Bicubic, Resize, Subsample
from sr_lightning.degradations.video import VideoCodec

__all__ = [
    "Bicubic",
    "BlindReduce",
    "CVResize",
    "Choice",
    "Compose",
    "DefocusBlur",
    "Degradation",
    "Fade",
    "GaussianBlur",
    "Grain",
    "Grid",
    "Halftone",
    "HalvedAtFour",
    "JPEG",
    "KernelBlur",
    "Marks",
    "MixedNoise",
    "MotionBlur",
    "Noise",
    "Parameters",
    "PoissonByLevels",
    "PoissonNoise",
    "Resize",
    "ScaledGaussianBlur",
    "Shuffled",
    "SincBlur",
    "Sometimes",
    "Subsample",
    "VideoCodec",
    "seed_of",
]
