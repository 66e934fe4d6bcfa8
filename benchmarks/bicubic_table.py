"""PSNR, SSIM and IFC of bicubic interpolation, beside the bicubic rows of SelfExSR that the Collection's README copies.

python benchmarks/bicubic_table.py [--data data] [--output benchmarks/bicubic_table.md]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from sr_lightning.config import build, compose
from sr_lightning.data.files.io import find_pictures, read_picture, to_uint8
from sr_lightning.functional import imresize
from sr_lightning.metrics import mean_scores

# SelfExSR's README: MATLAB on 8-bit RGB.
PUBLISHED = {
    ("Set5", 2): ("33.64", "5.72"),
    ("Set5", 3): ("30.39", "3.45"),
    ("Set5", 4): ("28.42", "2.28"),
    ("BSD100", 2): ("", "5.26"),
    ("BSD100", 3): ("", "3.00"),
    ("BSD100", 4): ("", "1.91"),
}


def score(folder: Path, name: str, scale: int) -> str:
    protocol = replace(build(compose("evaluate", [f"protocol={name}"]).protocol), metrics=("psnr", "ssim", "ifc"))
    rounding = "per_pass" if protocol.lr == "rgb8" else "none"
    values = {}
    for path in find_pictures(folder):
        hr = torch.tensor(to_uint8(read_picture(path))).permute(2, 0, 1)[None]
        lr, hr = protocol.prepare(hr, None, scale, luma=True)
        sr = imresize(lr, scale, rounding=rounding, edge=protocol.edge)
        values[path.stem] = {metric: value.item() for metric, value in protocol.score(sr, hr, scale).items()}
    mean = mean_scores(values)
    return f"{mean['psnr']:.4f} / {mean['ssim']:.4f} / {mean['ifc']:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = [
        "PSNR in dB / SSIM / IFC of bicubic interpolation, means over pictures, border of `scale` pixels left out.",
        "",
        "| set | scale | `y_matlab` | `y_selfex` | SelfExSR's README, PSNR and IFC |",
        "|---|---|---|---|---|",
    ]
    for folder in ("Set5", "Set14", "BSD100"):
        for scale in (2, 3, 4):
            ours = " | ".join(score(options.data / folder, name, scale) for name in ("y_matlab", "y_selfex"))
            theirs = " / ".join(part or "-" for part in PUBLISHED.get((folder, scale), ("", "")))
            lines.append(f"| {folder} | x{scale} | {ours} | {theirs} |")
            print(lines[-1], flush=True)
    lines += [
        "",
        "The README of cv_practise, a collection of reimplementations, takes its bicubic rows from SelfExSR and",
        "leaves the IFC of BSD100 blank. IFC depends on",
        "rounding: 8-bit RGB with rounded luma (`y_selfex`) lies below 8-bit luma (`y_matlab`), on the same pictures.",
    ]
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
