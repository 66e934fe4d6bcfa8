"""Lightning callbacks: what happens around training and belongs to no network."""

from sr_lightning.training.callbacks.averaged_picture import AveragedPicture
from sr_lightning.training.callbacks.channels_last import ChannelsLast
from sr_lightning.training.callbacks.compiling import Compile
from sr_lightning.training.callbacks.gradient_checkpointing import GradientCheckpointing
from sr_lightning.training.callbacks.interruption import StopAtSignal, resume_hint
from sr_lightning.training.callbacks.logged_losses import LoggedLosses
from sr_lightning.training.callbacks.measurements import Measurements
from sr_lightning.training.callbacks.moving_average import MovingAverage
from sr_lightning.training.callbacks.pictures import SamplePictures, picture_of
from sr_lightning.training.callbacks.progressive_patches import ProgressivePatches
from sr_lightning.training.callbacks.pruning import Pruning
from sr_lightning.training.callbacks.recipe import RecipeCheck
from sr_lightning.training.callbacks.settings import SettingsRecord, write_settings
from sr_lightning.training.callbacks.stability import AdjustableClipping, NoticeStandstill, SkipExploding, StopOnNaN
from sr_lightning.training.callbacks.state import ModelCheckpoint, RandomState, TrainingTime

__all__ = [
    "AdjustableClipping",
    "AveragedPicture",
    "ChannelsLast",
    "Compile",
    "GradientCheckpointing",
    "LoggedLosses",
    "Measurements",
    "ModelCheckpoint",
    "MovingAverage",
    "NoticeStandstill",
    "ProgressivePatches",
    "Pruning",
    "RandomState",
    "RecipeCheck",
    "SamplePictures",
    "SettingsRecord",
    "SkipExploding",
    "StopAtSignal",
    "StopOnNaN",
    "TrainingTime",
    "resume_hint",
    "picture_of",
    "write_settings",
]
