"""From a trained network to pictures of any size."""

from sr_lightning.inference.overlap import average_tiles
from sr_lightning.inference.receptive_field import receptive_radius
from sr_lightning.inference.tiling import upscale_tiles

__all__ = ["average_tiles", "receptive_radius", "upscale_tiles"]
