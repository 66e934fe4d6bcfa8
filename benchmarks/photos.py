"""The pictures and the table of docs/photos.md: six photographs, damaged in known ways, enlarged four times.

    python benchmarks/photos.py        # writes docs/images/photos_*.webp, prints the table

The photographs come with scikit-image and are free to use: its documentation names the sources. Columns: bicubic, span
(for clean pictures), photo, and Real-ESRGAN where its weights are installed.
"""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import sr_lightning as sr
from sr_lightning.data.files.io import read_picture
from sr_lightning.data.files.photographs import photograph
from sr_lightning.degradations import GaussianBlur, Noise
from sr_lightning.evaluation.crops import to_pixels
from sr_lightning.evaluation.scoring import markdown
from sr_lightning.functional import imresize, modcrop, psnr, rgb_to_y, shave
from sr_lightning.functional.ssim import ssim
from sr_lightning.weights import realesrgan

SCALE, SIDE, ZOOM, GAP = 4, 160, 2, 6
IMAGES = Path(__file__).resolve().parents[1] / "docs/images"


class Shot(NamedTuple):
    """A photograph, its damage, and the place that is shown."""

    file: str
    words: str
    noise: float
    quality: int
    blur: float
    at: tuple[int, int]  # top, left


SHOTS = (
    Shot("astronaut.png", "a face, from a phone", 8, 60, 0.8, (20, 150)),
    Shot("chelsea.png", "fur, a strongly compressed JPEG", 0, 25, 0.3, (60, 110)),
    Shot("coffee.png", "a dark room, much noise", 25, 90, 0.5, (110, 190)),
    Shot("motorcycle_left.png", "much detail, a little of everything", 5, 75, 0.8, (170, 330)),
    Shot("rocket.jpg", "nearly clean", 1, 95, 0.2, (150, 230)),
    Shot("page.png", "a scanned text", 6, 50, 0.5, (10, 60)),
)


def damaged(shot: Shot, hr: torch.Tensor, seed: int) -> NDArray[np.uint8]:
    """The small picture: blurred, reduced, with noise, out of a JPEG file."""
    x = GaussianBlur(sigma=shot.blur, size=13)(hr.float(), 1, seed)
    x = imresize(x, 1 / SCALE).clamp(0, 1)
    x = Noise(sigma=shot.noise)(x, 1, seed) if shot.noise else x
    with io.BytesIO() as file:
        Image.fromarray(to_pixels(x)).save(file, "JPEG", quality=shot.quality)
        file.seek(0)
        return np.asarray(Image.open(file).convert("RGB"))


def networks() -> dict[str, Any]:
    """What enlarges, by the name in the table."""
    found = {name: sr.load(name, scale=SCALE, device="cpu") for name in ("bicubic", "span", "photo")}
    if "realesrgan" in realesrgan.available():
        found["realesrgan"] = sr.load("realesrgan", device="cpu")
    return found


def row(shot: Shot, seed: int, compared: dict[str, Any]) -> tuple[dict[str, str], Image.Image]:
    """The numbers and the picture of one photograph."""
    pixels = read_picture(photograph(shot.file))
    pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    hr = modcrop(torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 255, SCALE)
    small = damaged(shot, hr, seed)
    results = {name: network.upscale(small) for name, network in compared.items()}
    truth = shave(rgb_to_y(hr), SCALE)
    numbers = {"photograph": f"{Path(shot.file).stem}: {shot.words}"}
    for name, made in results.items():
        y = shave(rgb_to_y(torch.from_numpy(made.copy()).permute(2, 0, 1)[None].double() / 255), SCALE)
        numbers[name] = f"{float(psnr(y, truth)):.2f} / {float(ssim(y, truth)):.3f}"
    repeated = small.repeat(SCALE, 0).repeat(SCALE, 1)
    return numbers, strip({"small picture": repeated, **results, "truth": to_pixels(hr)}, shot.at)


def strip(pictures: dict[str, NDArray[np.uint8]], at: tuple[int, int]) -> Image.Image:
    """The same place in each, side by side, with names."""
    side, font = SIDE * ZOOM, ImageFont.load_default(22)
    sheet = Image.new("RGB", (len(pictures) * (side + GAP) - GAP, side), "white")
    for number, (name, pixels) in enumerate(pictures.items()):
        cut = pixels[at[0] : at[0] + SIDE, at[1] : at[1] + SIDE]
        panel = Image.fromarray(np.ascontiguousarray(cut)).resize((side, side), Image.Resampling.NEAREST)
        ImageDraw.Draw(panel).text((8, side - 32), name, font=font, fill="white", stroke_width=3, stroke_fill="black")
        sheet.paste(panel, (number * (side + GAP), 0))
    return sheet


def main() -> None:
    """Writes one picture for each photograph."""
    compared, rows = networks(), []
    for seed, shot in enumerate(SHOTS, start=1):
        numbers, sheet = row(shot, seed, compared)
        rows.append(numbers)
        sheet.save(IMAGES / f"photos_{Path(shot.file).stem}.webp", quality=80, method=6)
    print(markdown(rows))


if __name__ == "__main__":
    main()
