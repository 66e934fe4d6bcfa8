"""Renders RAW files with LibRaw."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sr_lightning.atomic import AnyPath
from sr_lightning.data.files.raw.colours import gains_of, is_missing
from sr_lightning.data.files.raw.opening import opened

#: The sRGB curve as parameters of LibRaw, whose default is the curve of BT.709, which is darker.
SRGB_CURVE = (2.4, 12.92)


def camera_rendering(path: AnyPath, *, bits: int = 8, **options: Any) -> NDArray[Any]:
    """Renders a RAW file with LibRaw as the camera would: ``(H, W, 3)`` sRGB, uint8 or uint16.

    Args:
        path: Any file that LibRaw opens.
        bits: 8 or 16.
        options: Further ones of ``rawpy``'s ``postprocess``.

    Raises:
        PictureError: If the file cannot be read.
    """
    path = Path(path)
    with opened(path) as raw:
        if is_missing(raw.camera_whitebalance):  # as read_raw: daylight, else none
            red, green, blue = gains_of(raw)
            options = {"use_camera_wb": False, "user_wb": [red, green, blue, green]} | options
        usual = {"use_camera_wb": True, "output_bps": bits, "gamma": SRGB_CURVE}
        return raw.postprocess(**(usual | options))  # type: ignore[no-any-return]


def raw_size(path: AnyPath) -> tuple[int, int]:
    """Height and width of the result of ``camera_rendering``, from the file's header alone.

    Raises:
        PictureError: If the file cannot be read.
    """
    path = Path(path)
    with opened(path, unpack=False) as raw:
        sizes = raw.sizes
        return (sizes.iwidth, sizes.iheight) if sizes.flip & 4 else (sizes.iheight, sizes.iwidth)
