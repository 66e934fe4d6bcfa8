"""The picture at the top of the README: a detail of a photograph that no network here was trained on, three times.

Run: ``python benchmarks/banner.py``
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from skimage.data import astronaut

import sr_lightning as sr
from sr_lightning.functional import imresize

SCALE, BOX, ZOOM = 3, (150, 0, 342, 192), 2  # left, top, right, bottom in pixels of the photograph
TARGET = Path(__file__).resolve().parents[1] / "docs/images/banner.webp"


def main() -> None:
    hr = torch.from_numpy(astronaut()[:510, :510]).permute(2, 0, 1)[None] / 255
    lr = (imresize(hr.double(), 1 / SCALE).clamp(0, 1) * 255).round() / 255
    pictures = {
        "small picture": lr.repeat_interleave(SCALE, -1).repeat_interleave(SCALE, -2),
        "bicubic x3": imresize(lr, SCALE).clamp(0, 1),
        "sr-upscale x3": sr.load("span", scale=SCALE, device="cpu").upscale(lr),
        "original": hr,
    }
    left, top, right, bottom = BOX
    side, font = (right - left) * ZOOM, ImageFont.load_default(26)
    banner = Image.new("RGB", (len(pictures) * side + (len(pictures) - 1) * 8, side), "white")
    for i, (name, picture) in enumerate(pictures.items()):
        pixels = (picture[0, :, top:bottom, left:right] * 255).round().byte().permute(1, 2, 0).numpy()
        panel = Image.fromarray(np.ascontiguousarray(pixels)).resize((side, side), Image.Resampling.NEAREST)
        draw = ImageDraw.Draw(panel)
        draw.text((12, side - 40), name, font=font, fill="white", stroke_width=3, stroke_fill="black")
        banner.paste(panel, (i * (side + 8), 0))
    banner.save(TARGET, quality=85, method=6)


if __name__ == "__main__":
    main()
