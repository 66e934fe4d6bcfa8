"""How much enlarged videos flicker: three clips with known motion, noise and H.264, enlarged twice by each network.

    python benchmarks/flicker.py       # prints the table of docs/photos.md

Each clip moves over a photograph of scikit-image. The motion that is compensated is that of the clean clip, which no
network made.
"""

import io
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

import sr_lightning as sr
from sr_lightning.data.files.io import read_picture
from sr_lightning.data.files.photographs import photograph
from sr_lightning.evaluation.scoring import markdown
from sr_lightning.metrics.flicker import flicker

FRAMES, HEIGHT, WIDTH, SCALE = 12, 240, 320, 2
Frames = list[NDArray[np.uint8]]
#: Photograph, pixels that it moves for each frame, deviation of the noise, and crf of H.264.
CLIPS = {
    "still, noise 8": ("coffee.png", (0.0, 0.0), 8.0, 18),
    "slow pan, noise 4, crf 28": ("motorcycle_left.png", (1.3, 0.7), 4.0, 28),
    "fast pan, crf 34": ("rocket.jpg", (5.2, -1.1), 1.0, 34),
}


def clean_clip(file: str, step: tuple[float, float]) -> Frames:
    """A window that moves over a photograph."""
    pixels = read_picture(photograph(file))
    frames = []
    for number in range(FRAMES):
        across, down = 40 + step[0] * number, 40 + step[1] * number
        shift = np.float32([[1, 0, -across], [0, 1, -down]])  # type: ignore[arg-type]
        frames.append(cv2.warpAffine(pixels, shift, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC))
    return frames


def damaged(frames: Frames, noise: float, crf: int) -> Frames:
    """Reduced, with noise, through H.264."""
    rng = np.random.default_rng(1)
    with io.BytesIO() as file:
        with av.open(file, "w", format="mp4") as out:
            stream: Any = out.add_stream("libx264", rate=25, options={"crf": str(crf)})
            stream.width, stream.height, stream.pix_fmt = WIDTH // SCALE, HEIGHT // SCALE, "yuv420p"
            for frame in frames:
                small = cv2.resize(frame, (WIDTH // SCALE, HEIGHT // SCALE), interpolation=cv2.INTER_AREA)
                noisy = (small + rng.normal(0, noise, small.shape)).round().clip(0, 255).astype(np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(noisy)))
            out.mux(stream.encode(None))
        file.seek(0)
        with av.open(file) as source:
            return [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]


def main() -> None:
    """Prints a row for each clip."""
    networks = {name: sr.load(name, scale=SCALE, device="cpu") for name in ("bicubic", "span", "photo")}
    rows = []
    for clip, (file, step, noise, crf) in CLIPS.items():
        truth = clean_clip(file, step)
        small = damaged(truth, noise, crf)
        row = {"clip": clip, "clean clip": f"{flicker(truth):.2f}"}
        for name, network in networks.items():
            row[name] = f"{flicker([network.upscale(frame) for frame in small], motion=truth):.2f}"
        rows.append(row)
    print(markdown(rows))


if __name__ == "__main__":
    main()
