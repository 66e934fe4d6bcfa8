"""What merging a burst of RAW frames gains, on simulated frames of McMaster's 18 pictures.

    SR_DATA=… python benchmarks/burst.py [--output benchmarks/burst.md] [--picture docs/images/burst.webp]
    python benchmarks/burst.py --large    # memory and time of eight frames of 24 megapixels; takes minutes

A picture is taken back to a camera's linear colours, moved by up to 6 pixels and turned by some 0.2 degrees, made half
as large by means of 2x2 pixels, and sampled as RGGB with noise of variance 0.01 x + 0.0001, as ISO 3200 has it. The
truth is the same frame without noise, and, of results twice as large, the picture itself as that frame shows it.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

import sr_lightning as sr
from sr_lightning.data.files.io import find_pictures, read_picture
from sr_lightning.data.files.raw import RawPicture, read_raw, write_mosaic_dng
from sr_lightning.errors import SRError
from sr_lightning.functional import imresize, psnr, shave
from sr_lightning.functional.bayer import mosaic
from sr_lightning.functional.demosaic import demosaic_malvar
from sr_lightning.functional.isp import develop, undevelop
from sr_lightning.inference.burst import enlarged_burst, merged_burst, read_burst

SHOT, READ = 0.01, 0.0001
SHIFT, TURN = 6.0, 0.003  # pixels of the frame, radian
FRAMES = 16
BORDER = 12
GAINS = (2.0, 1.0, 1.6)
MATRIX = ((1.6, -0.4, -0.2), (-0.2, 1.5, -0.3), (0.0, -0.5, 1.5))
LARGE = (4000, 6000)
#: The picture that is shown, its part, and how many times larger.
SHOWN, PART = "01", (slice(300, 420), slice(200, 320))


@dataclass
class Shot:
    """A simulated frame: its file, what it would be without noise, and the scene twice as large as it shows it."""

    file: Path
    clean: Tensor
    scene: Tensor


def linear(file: Path) -> np.ndarray:
    picture = torch.from_numpy(read_picture(file).copy()).permute(2, 0, 1).double() / 255
    return undevelop(picture, GAINS, MATRIX).clamp(0, 1).permute(1, 2, 0).numpy().astype(np.float32)


def moved(scene: np.ndarray, rng: np.random.Generator, shift: float) -> np.ndarray:
    """As a hand holds the camera another time."""
    height, width = scene.shape[:2]
    angle, middle = rng.normal(0, TURN), np.array([width / 2, height / 2])
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    warp = np.column_stack([turn, rng.uniform(-shift, shift, 2) + middle - turn @ middle])
    return cv2.warpAffine(scene, warp, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def noisy(clean: Tensor, rng: np.random.Generator) -> Tensor:
    normal = torch.from_numpy(rng.standard_normal(clean.shape, np.float32))
    return clean + normal * (SHOT * clean + READ).sqrt()


def photograph(file: Path, folder: Path, count: int = FRAMES) -> list[Shot]:
    """Frames of a picture; the first is not moved."""
    rng, shots = np.random.default_rng(0), []
    scene = linear(file)
    for number in range(count):
        shown = (moved(scene, rng, 2 * SHIFT) if number else scene).clip(0, 1)
        height, width = (side // 4 * 2 for side in shown.shape[:2])
        small = cv2.resize(shown[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        clean = mosaic(torch.from_numpy(small).permute(2, 0, 1))
        target = folder / f"{number:02d}.dng"
        write_mosaic_dng(target, noisy(clean, rng), like=RawPicture(clean, "RGGB", GAINS, MATRIX))
        large = torch.from_numpy(shown[: 2 * height, : 2 * width]).permute(2, 0, 1)
        shots.append(Shot(target, clean, develop(large, GAINS, MATRIX)))
    return shots


def shown(samples: Tensor) -> Tensor:
    return develop(demosaic_malvar(samples[None].clamp(0, 1))[0], GAINS, MATRIX)


def score(result: Tensor, truth: Tensor, border: int = BORDER) -> float:
    return psnr(shave(result[None].double(), border), shave(truth[None].double(), border)).item()


def as_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max).permute(2, 0, 1)


def network(weights: str) -> sr.Upscaler | None:
    try:
        return sr.load(weights, scale=2)
    except SRError as error:
        print(f"without a network for mosaics; --weights=FILE names one: {error}", file=sys.stderr)
        return None


def scores(
    shots: list[Shot], pictures: dict[str, Tensor], rawsr: sr.Upscaler | None
) -> tuple[dict[str, float], dict[str, float]]:
    """PSNR of results in the frames' own size and in twice that; ``pictures`` gets the latter of eight frames."""
    by_file = {shot.file: shot for shot in shots}
    small = {"best single frame": max(score(shown(read_raw(shot.file).mosaic), shown(shot.clean)) for shot in shots)}
    large: dict[str, float] = {}
    for count in (2, 4, 8, 16):
        burst = read_burst([shot.file for shot in shots[:count]])
        reference = by_file[burst.source]
        merged = merged_burst(burst)
        if count == 8:
            mean = torch.stack([read_raw(shot.file).mosaic for shot in shots[:8]]).mean(0)
            small["mean of 8 without alignment"] = max(score(shown(mean), shown(shot.clean)) for shot in shots[:8])
            single = read_raw(reference.file)
            pictures["single frame, bicubic"] = imresize(shown(single.mosaic)[None], scale=2)[0].clamp(0, 1)
            pictures["8 merged, bicubic"] = imresize(shown(merged.mosaic)[None], scale=2)[0].clamp(0, 1)
            pictures["8, burst=super"] = as_tensor(enlarged_burst(burst, 2))
            if rawsr is not None:
                pictures["single frame, rawsr_tiny"] = as_tensor(rawsr.raw(single, bits=16))
                pictures["8 merged, rawsr_tiny"] = as_tensor(rawsr.raw(merged, bits=16))
            large = {name: score(picture, reference.scene, 2 * BORDER) for name, picture in pictures.items()}
            pictures["truth"] = reference.scene
        small[f"{count} merged"] = score(shown(merged.mosaic), shown(reference.clean))
    return small, large


def table(head: str, rows: list[dict[str, float]]) -> list[str]:
    first = rows[0] if rows else {}
    base = next(iter(first), "")
    lines = [f"| {head} | PSNR | gain | least gain |", "|---|---|---|---|"]
    for name in first:
        gains = [row[name] - row[base] for row in rows]
        least = "" if name == base else f"{min(gains):+.2f}"
        lines.append(f"| {name} | {np.mean([row[name] for row in rows]):.2f} | {np.mean(gains):+.2f} | {least} |")
    return [*lines, ""]


def draw(target: Path, pictures: dict[str, Tensor]) -> None:
    from PIL import Image

    best = "8 merged, rawsr_tiny" if "8 merged, rawsr_tiny" in pictures else "8, burst=super"
    parts = [pictures[name][:, *PART] for name in ("single frame, bicubic", "8 merged, bicubic", best, "truth")]
    row = torch.cat(parts, 2).permute(1, 2, 0).clamp(0, 1)
    picture = Image.fromarray((row.numpy() * 255).round().astype(np.uint8))
    picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST).save(target, quality=90)


def large(data: Path) -> str:
    """Memory and time of the command for eight frames of 24 megapixels: many pictures beside each other."""
    rng = np.random.default_rng(0)
    files = find_pictures(data / "McMaster18")
    height, width = LARGE
    with tempfile.TemporaryDirectory() as folder:
        scenes = [linear(file) for file in files]
        rows = [
            np.hstack([scenes[rng.integers(len(scenes))] for _ in range(-(-width // 500))])
            for _ in range(-(-height // 500))
        ]
        scene = np.vstack(rows)[:height, :width]
        for number in range(8):
            clean = mosaic(torch.from_numpy(moved(scene, rng, 30).clip(0, 1)).permute(2, 0, 1))
            like = RawPicture(clean, "RGGB", GAINS, MATRIX)
            write_mosaic_dng(Path(folder) / f"{number}.dng", noisy(clean, rng), like=like)
        command = [sys.executable, "-m", "sr_lightning.upscale", f"input={folder}/*.dng", "burst=dng", "device=cpu"]
        subprocess.run(command, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime
    return f"Eight frames of 24 megapixels, `burst=dng`: {used.ru_maxrss / 2**20:.1f} GB, {seconds:.0f} s of a core."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SR_DATA", "data")))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--weights", default="rawsr_tiny", help="a file, while the package has none")
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    if options.large:
        print(large(options.data))
        return
    rawsr = network(options.weights)
    small: list[dict[str, float]] = []
    twice: list[dict[str, float]] = []
    for file in find_pictures(options.data / "McMaster18"):
        pictures: dict[str, Tensor] = {}
        with tempfile.TemporaryDirectory() as folder:
            of_frames, of_enlarged = scores(photograph(file, Path(folder)), pictures, rawsr)
        small.append(of_frames)
        twice.append(of_enlarged)
        print(file.stem, {name: round(value, 2) for name, value in (of_frames | of_enlarged).items()}, flush=True)
        if options.picture and file.stem == SHOWN:
            draw(options.picture, pictures)
    lines = [*table("in the size of the frames", small), *table("twice as large", twice)]
    print("\n".join(lines))
    if options.output:
        options.output.write_text("\n".join([__doc__.split("\n")[0], "", *lines]))


if __name__ == "__main__":
    main()
