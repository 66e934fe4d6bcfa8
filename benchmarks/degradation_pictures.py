"""Draws docs/images/degradations.webp: parts of scikit-image's photographs, as each degradation leaves them.

``python benchmarks/degradation_pictures.py`` needs scikit-image, and PyAV for ``video``.
"""

from pathlib import Path

import numpy as np
import skimage.data
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sr_lightning.config import build, compose

SCALE, SIDE, LABEL = 2, 176, 20
#: Seeds that show what not every draw has: printed dots, a scratch, a strong compression.
SEEDS = {"scan": 7, "old_photo": 133, "video": 9}
#: Rows: a photograph, its part (top, left), and what is done to it.
ROWS = [
    ("astronaut", (25, 140), ["bicubic", "bd", "dn", "gaussian", "anisotropic", "defocus"]),
    ("chelsea", (50, 110), ["motion", "poisson", "jpeg", "real_mild", "real_medium", "photo"]),
    ("coffee", (90, 250), ["glean", "realesrgan", "bsrgan", "old_photo", "scan", "video"]),
]


def main() -> None:
    """Writes the sheet."""
    columns = 1 + max(len(names) for _, _, names in ROWS)
    sheet = Image.new("RGB", (columns * SIDE, len(ROWS) * (SIDE + LABEL)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, (photograph, (top, left), names) in enumerate(ROWS):
        pixels = getattr(skimage.data, photograph)()
        hr = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        for column, name in enumerate(["", *names]):
            # The whole photograph is degraded, so that no rim of the part shows.
            made = enlarged(degraded(hr, name)) if name else hr
            place = (column * SIDE, row * (SIDE + LABEL) + LABEL)
            sheet.paste(as_image(made[..., top : top + SIDE, left : left + SIDE]), place)
            draw.text((place[0] + 4, place[1] - LABEL + 1), name or photograph, fill="black", font=font)
    sheet.save(Path(__file__).parents[1] / "docs/images/degradations.webp", quality=70, method=6)


def degraded(hr: Tensor, name: str) -> Tensor:
    """LR by a degradation."""
    made: Tensor = build(compose("train", [f"degradation={name}"]).degradation)(hr, SCALE, SEEDS.get(name, 5))
    return made


def enlarged(lr: Tensor) -> Tensor:
    """Each pixel as a square."""
    return lr.repeat_interleave(SCALE, -1).repeat_interleave(SCALE, -2)


def as_image(picture: Tensor) -> Image.Image:
    """``(1, 3, H, W)`` in [0, 1] as a picture."""
    levels = picture[0].permute(1, 2, 0).numpy() * 255
    return Image.fromarray(np.rint(levels).astype(np.uint8))


if __name__ == "__main__":
    main()
