"""From a trained network to pictures of any size."""

from typing import TYPE_CHECKING

from sr_lightning.lazy import imported_at_first_use

if TYPE_CHECKING:
    from sr_lightning.inference.tiles.overlap import average_tiles
    from sr_lightning.inference.tiles.receptive_field import receptive_radius
    from sr_lightning.inference.tiles.tiling import upscale_tiles

_HOMES = {
    "average_tiles": "tiles.overlap",
    "receptive_radius": "tiles.receptive_field",
    "upscale_tiles": "tiles.tiling",
}

__all__ = ["average_tiles", "receptive_radius", "upscale_tiles"]

if not TYPE_CHECKING:  # at first use, because torch takes seconds
    __getattr__ = imported_at_first_use(__name__, _HOMES)
