"""Time of a RAW file through the shipped networks, beside LibRaw's demosaicing and bicubic enlargement.

    python benchmarks/raw_speed.py photo.dng [rounds]

Each way reads the file, enlarges x2 and writes a PNG of 16 bit; the ways take turns, and medians are told.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from sr_lightning.config import compose
from sr_lightning.data.files.raw import camera_rendering
from sr_lightning.inference.files.enlarging import upscale_file
from sr_lightning.inference.files.targets import Job
from sr_lightning.inference.loading import load_upscaler


def main() -> None:
    """Prints a table."""
    source, rounds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    height, width = camera_rendering(source).shape[:2]
    with tempfile.TemporaryDirectory() as folder:

        def bicubic() -> None:
            picture = camera_rendering(source, bits=16)
            enlarged = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(f"{folder}/bicubic.png", enlarged[..., ::-1])

        def by(model: str) -> None:
            cfg = compose("upscale", [f"model={model}", "overwrite=true", "compare=false", f"input={source}"])
            upscaler = load_upscaler(cfg)
            cfg.name = model
            upscale_file(Job(source, Path(folder)), upscaler, cfg, lambda _: None)

        ways = {"LibRaw and bicubic (OpenCV)": bicubic}
        ways |= {model: (lambda model=model: by(model)) for model in ("rawsr_tiny", "span", "photo")}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):  # the first warms up
            for name, way in ways.items():
                begin = time.perf_counter()
                way()
                if number:
                    times[name].append(time.perf_counter() - begin)
    for name, found in times.items():
        seconds = statistics.median(found)
        ratio = seconds / statistics.median(times["LibRaw and bicubic (OpenCV)"])
        print(f"| {name} | {height * width / 1e6 / seconds:.3f} megapixels/s | {ratio:.1f} x | {np.ptp(found):.1f} s |")


if __name__ == "__main__":
    main()
