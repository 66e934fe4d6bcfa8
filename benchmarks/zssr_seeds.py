"""Zero-shot super-resolution over many seeds: what a setting is worth beside what luck is.

    SR_DATA=… python benchmarks/zssr_seeds.py [--seeds 10] [--output benchmarks/zssr_seeds.md]

The middle 80x80 pixels of three bicubic LR pictures of Set5 x2, crops of 48 pixels, 1,000 iterations. One training
after another; goes on where it was stopped, and writes the table after each. Every name in VARIANTS is a column; others
come by --variant "NAME=overrides of upscale", or as --beside "NAME=FILE.py": a file whose function
`enlarge(lr, seed, iterations, crop)` makes pixels `(2H, 2W, 3)` in [0, 1] of `(H, W, 3)`, such as other people's code.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sr_lightning.atomic import atomic_write
from sr_lightning.config import build, compose
from sr_lightning.data.files.io import read_picture, to_uint8
from sr_lightning.evaluation.scoring import markdown
from sr_lightning.functional import imresize, round_8bit
from sr_lightning.inference.loading import load_upscaler

PICTURES, SIDE, CROP, ITERATIONS = ("butterfly", "bird", "woman"), 160, 48, 1000
VARIANTS = {
    "zero_shot=default": "",
    "zero_shot=official model.init=official": "zero_shot=official model.init=official",
}
Enlarge = Callable[[NDArray[np.uint8], int], NDArray[Any]]


def own(overrides: str) -> Enlarge:
    def enlarge(lr: NDArray[np.uint8], seed: int) -> NDArray[Any]:
        given = [
            f"zero_shot.seed={seed}",
            f"zero_shot.max_iterations={ITERATIONS}",
            f"zero_shot.fathers.crop_size={CROP}",
        ]
        cfg = compose("upscale", ["model=zssr", "scale=2", "device=cpu", *overrides.split(), *given])
        return load_upscaler(cfg).upscale(lr) / 255

    return enlarge


def beside(file: Path) -> Enlarge:
    function = run_path(str(file))["enlarge"]
    return lambda lr, seed: function(lr, seed, ITERATIONS, CROP)


def measure(path: Path, seed: int, enlarge: Enlarge) -> float:
    pixels = to_uint8(read_picture(path))
    top, left = ((n - SIDE) // 2 for n in pixels.shape[:2])
    hr = torch.from_numpy(pixels[top : top + SIDE, left : left + SIDE] / np.float32(255)).permute(2, 0, 1)[None]
    lr = (round_8bit(imresize(hr, 0.5))[0].permute(1, 2, 0) * 255).round().numpy().astype(np.uint8)
    sr = torch.from_numpy(np.ascontiguousarray(enlarge(lr, seed), np.float32)).permute(2, 0, 1)[None]
    protocol: Any = build(compose("evaluate", ["protocol=y_rgb8"]).protocol)
    return float(protocol.score(round_8bit(sr.clamp(0, 1)), hr, 2)["psnr"])


def table(results: dict[str, float]) -> str:
    """Mean and standard deviation of the seeds that every column has, and the lowest of them."""
    lines = [
        "# Zero-shot super-resolution over many seeds",
        "",
        f"`python benchmarks/zssr_seeds.py`: PSNR in dB by `y_rgb8`, {SIDE // 2}x{SIDE // 2} LR pixels of Set5 x2,",
        f"crops of {CROP}, {ITERATIONS:,} iterations: mean ± standard deviation, and the worst seed.",
        f"Torch {torch.__version__}, {platform.machine()}.",
        "",
    ]
    rows, columns = [], list(dict.fromkeys(key.split("/")[2] for key in results))
    for picture in PICTURES:
        row = {"picture": picture}
        for column in columns:
            values = [v for key, v in results.items() if key.split("/")[0] == picture and key.split("/")[2] == column]
            if values:
                row[column] = f"{np.mean(values):.2f} ± {np.std(values):.2f}, {min(values):.2f} ({len(values)})"
        rows.append({key: row.get(key, "") for key in ("picture", *columns)})
    return "\n".join([*lines, markdown(rows), "", "In brackets: how many seeds, 0 and up."]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SR_DATA", "data")) / "Set5")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/zssr_seeds.md"))
    parser.add_argument("--state", type=Path, default=Path("runs/zssr_seeds/results.json"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--variant", action="append", default=[], metavar="NAME=OVERRIDES")
    parser.add_argument("--beside", action="append", default=[], metavar="NAME=FILE")
    options = parser.parse_args()
    columns = {name: own(overrides) for name, overrides in VARIANTS.items()}
    columns |= {name: own(overrides) for name, _, overrides in (each.partition("=") for each in options.variant)}
    columns |= {name: beside(Path(file)) for name, _, file in (each.partition("=") for each in options.beside)}
    results: dict[str, float] = json.loads(options.state.read_text()) if options.state.is_file() else {}
    options.state.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(options.seeds):
        for picture in PICTURES:
            for name, enlarge in columns.items():
                key = f"{picture}/{seed}/{name}"
                if key in results:
                    continue
                results[key] = measure(options.data / f"{picture}.png", seed, enlarge)
                for file, text in ((options.state, json.dumps(results, indent=1)), (options.output, table(results))):
                    with atomic_write(file) as temporary:
                        temporary.write_text(text)
                print(key, f"{results[key]:.2f}", flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
