"""Camera RAW files: linear mosaics, and LibRaw's renderings."""

from sr_lightning.data.files.raw.development import (
    AS_SHOT,
    Development,
    as_linear_light,
    finished,
    is_for_mosaics,
    refuse_for_mosaics,
    seen_by_networks,
)
from sr_lightning.data.files.raw.from_mosaic import camera_picture, exposed
from sr_lightning.data.files.raw.names import EXTENSIONS, is_raw
from sr_lightning.data.files.raw.noted import exif_of_raw
from sr_lightning.data.files.raw.picture import IDENTITY, RawPicture
from sr_lightning.data.files.raw.reading import has_bayer_mosaic, read_headerless, read_raw
from sr_lightning.data.files.raw.rendering import camera_photo, camera_rendering, raw_size
from sr_lightning.data.files.raw.write_dng import write_linear_dng, write_mosaic_dng

__all__ = [
    "AS_SHOT",
    "EXTENSIONS",
    "IDENTITY",
    "Development",
    "RawPicture",
    "as_linear_light",
    "camera_photo",
    "camera_picture",
    "camera_rendering",
    "exif_of_raw",
    "exposed",
    "finished",
    "has_bayer_mosaic",
    "is_for_mosaics",
    "is_raw",
    "raw_size",
    "read_headerless",
    "read_raw",
    "refuse_for_mosaics",
    "seen_by_networks",
    "write_linear_dng",
    "write_mosaic_dng",
]
