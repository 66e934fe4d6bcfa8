"""Makes docs/images/raw_real.webp: parts of one RAW file from the mosaic to results.

python benchmarks/raw_pictures.py nikon_dsc1339_rggb.dng
"""

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sr_lightning.data.files.raw import RawPicture, camera_photo, read_raw
from sr_lightning.functional.bayer import mosaic
from sr_lightning.functional.isp import develop
from sr_lightning.inference.loading import load

TARGET = Path(__file__).resolve().parents[1] / "docs/images/raw_real.webp"
#: Top and left of the parts, in pixels of the sensor, and their size.
PARTS, ROWS, COLUMNS = ((60, 100), (250, 430), (150, 300)), 90, 120
ZOOM = 4


def as_filters_see(raw: RawPicture) -> NDArray[np.uint8]:
    """A mosaic, each pixel in the colour of its filter."""
    sampled = mosaic(torch.ones(3, *raw.mosaic.shape[-2:]), raw.pattern)
    own = torch.stack([mosaic(torch.eye(3)[c].view(3, 1, 1).expand_as(sampled.expand(3, -1, -1)), raw.pattern)[0]
                       for c in range(3)])  # fmt: skip
    shown = develop(own * raw.mosaic.clamp(0, 1), raw.gains, torch.eye(3))
    return (shown * 255).byte().permute(1, 2, 0).numpy()


def main() -> None:
    """Writes the picture."""
    source = Path(sys.argv[1])
    picture = camera_photo(source, bits=8)
    shown = {
        "mosaic": as_filters_see(read_raw(source)),
        "LibRaw, bicubic": load("bicubic", 2).photo(picture).pixels,
        "LibRaw, span": load("span", 2).photo(picture).pixels,
        "rawsr_tiny": np.asarray(load("rawsr_tiny", 2).upscale(source)),
    }
    rows = []
    for top, left in PARTS:
        row = []
        for pixels in shown.values():
            scale = pixels.shape[0] // picture.pixels.shape[0]
            part = pixels[top * scale : (top + ROWS) * scale, left * scale : (left + COLUMNS) * scale]
            row.append(part.repeat(ZOOM // scale, 0).repeat(ZOOM // scale, 1))
        rows.append(np.concatenate(row, axis=1))
    sheet = Image.fromarray(np.pad(np.concatenate(rows), ((28, 0), (0, 0), (0, 0)), constant_values=255))
    draw = ImageDraw.Draw(sheet)
    for number, name in enumerate(shown):
        draw.text((number * COLUMNS * ZOOM + 8, 4), name, fill=0, font=ImageFont.load_default(18))
    sheet.save(TARGET, quality=85)


if __name__ == "__main__":
    main()
