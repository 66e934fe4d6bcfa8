"""From a trained network to pictures of any size."""

from sr_lightning.inference.receptive_field import receptive_radius
from sr_lightning.inference.tiling import upscale_tiles

__all__ = ["receptive_radius", "upscale_tiles"]
