"""rawSR's realistic synthesis: photographs with known truth, made while training or written as files."""

from sr_lightning.data.raw_synthesis.camera import ISP, Camera, PhotoParameters
from sr_lightning.data.raw_synthesis.files import RawSRFiles
from sr_lightning.data.raw_synthesis.module import RawSynthesis

__all__ = ["ISP", "Camera", "RawSRFiles", "RawSynthesis", "PhotoParameters"]
