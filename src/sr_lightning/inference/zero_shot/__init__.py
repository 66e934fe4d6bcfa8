"""Zero-shot super-resolution: a network is trained on the very picture that it enlarges."""

from sr_lightning.inference.zero_shot.fathers import AffineFathers, ZoomedFathers
from sr_lightning.inference.zero_shot.official import OfficialFathers
from sr_lightning.inference.zero_shot.policy import LineFit, Steps
from sr_lightning.inference.zero_shot.settings import Settings
from sr_lightning.inference.zero_shot.upscaler import ZeroShotUpscaler

__all__ = ["AffineFathers", "LineFit", "OfficialFathers", "Settings", "Steps", "ZeroShotUpscaler", "ZoomedFathers"]
