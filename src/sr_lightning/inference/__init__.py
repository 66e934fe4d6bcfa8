"""From a trained network to pictures of any size."""

from sr_lightning.inference.tiles.overlap import average_tiles
from sr_lightning.inference.tiles.receptive_field import receptive_radius
from sr_lightning.inference.tiles.tiling import upscale_tiles

__all__ = ["average_tiles", "receptive_radius", "upscale_tiles"]
