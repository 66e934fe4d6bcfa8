"""Renders RAW files with LibRaw."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.metadata import CameraColours, Metadata
from sr_lightning.data.files.raw.colours import balance_of, matrix_of
from sr_lightning.data.files.raw.development import AS_SHOT, Development
from sr_lightning.data.files.raw.noted import exif_of_raw
from sr_lightning.data.files.raw.opening import opened


def camera_rendering(
    path: AnyPath, *, bits: int = 8, development: Development = AS_SHOT, **options: Any
) -> NDArray[Any]:
    """Renders a RAW file with LibRaw: ``(H, W, 3)``, uint8 or uint16.

    Args:
        path: Any file that LibRaw opens.
        bits: 8 or 16.
        development: Exposure, highlights, white balance and colours; by default, sRGB exposed as it was shot.
        options: Further ones of ``rawpy``'s ``postprocess``.

    Raises:
        PictureError: If the file cannot be read.
    """
    path = Path(path)
    with opened(path) as raw:
        return raw.postprocess(**({"output_bps": bits} | development.options_for(raw) | options))  # type: ignore[no-any-return]


def camera_photo(path: AnyPath, development: Development = AS_SHOT, *, bits: int = 16) -> Photo:
    """A RAW file as LibRaw renders it, with its metadata, the profile of its colours, and those of its camera.

    Args:
        path: Any file that LibRaw opens.
        development: See ``camera_rendering``.
        bits: 8 or 16.

    Raises:
        PictureError: If the file cannot be read.
    """
    path = Path(path)
    with opened(path) as raw:
        options = development.options_for(raw)
        pixels = raw.postprocess(output_bps=bits, **options)
        # What was not clipped comes back in the camera's colours, brightness included.
        camera = CameraColours(balance_of(raw, options["user_wb"][:3]), matrix_of(raw))
    return Photo(pixels, metadata=Metadata(exif=exif_of_raw(path), icc=development.profile, camera=camera))


def raw_size(path: AnyPath) -> tuple[int, int]:
    """Height and width of the result of ``camera_rendering``, without rendering it.

    Raises:
        PictureError: If the file cannot be read.
    """
    path = Path(path)
    with opened(path, unpack=False) as raw:
        sizes = raw.sizes
        return (sizes.iwidth, sizes.iheight) if raw.flip & 4 else (sizes.iheight, sizes.iwidth)
