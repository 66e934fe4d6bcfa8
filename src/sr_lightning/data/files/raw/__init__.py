"""Camera RAW files: linear mosaics, and LibRaw's renderings."""

from sr_lightning.data.files.raw.names import EXTENSIONS, is_raw
from sr_lightning.data.files.raw.picture import IDENTITY, RawPicture
from sr_lightning.data.files.raw.reading import read_headerless, read_raw
from sr_lightning.data.files.raw.rendering import camera_rendering, raw_size

__all__ = [
    "EXTENSIONS",
    "IDENTITY",
    "RawPicture",
    "camera_rendering",
    "is_raw",
    "raw_size",
    "read_headerless",
    "read_raw",
]
