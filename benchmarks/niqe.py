"""Learns NIQE's parameters from photographs, and compares them with those of its authors.

    python benchmarks/niqe.py learn --data SETS --output src/sr_lightning/metrics/niqe_parameters.npz
    python benchmarks/niqe.py compare --data SETS --original niqe_pris_params.npz

``SETS`` holds BSD200 and BSDS500_test to learn from, and Set14 and BSD100 to compare on. The original file is that of
BasicSR, or the authors' ``modelparameters.mat``.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from sr_lightning.data.files.io import find_pictures, read_picture
from sr_lightning.evaluation.scoring import markdown
from sr_lightning.functional import imresize
from sr_lightning.functional.naturalness import niqe_features
from sr_lightning.metrics.niqe import niqe, read_parameters

SHARP = 0.75  # of the sharpest block of a picture, the authors' threshold
LEARNT_FROM = ("BSD200", "BSDS500_test")


def picture(path: Path) -> Tensor:
    return torch.from_numpy(read_picture(path).copy()).permute(2, 0, 1)[None]


def learn(data: Path, output: Path) -> None:
    chosen = []
    for name in LEARNT_FROM:
        for path in find_pictures(data / name):
            features, sharpness = niqe_features(picture(path))
            chosen.append(features[sharpness > SHARP * sharpness.max()])
    blocks = torch.cat(chosen).numpy()
    np.savez(output, mean=blocks.mean(0), covariance=np.cov(blocks.T))
    print(f"{len(blocks)} blocks of {len(chosen)} pictures: {output}")


def compare(data: Path, original: Path) -> None:
    rows, pairs = [], []
    parameters = read_parameters(None), read_parameters(original)
    for name in ("Set14", "BSD100"):
        values: dict[str, list[list[float]]] = {}
        for path in find_pictures(data / name):
            hr = picture(path) / 255
            small = tuple(side // 4 for side in hr.shape[-2:])
            kinds = {
                "HR": hr,
                "bicubic x2": imresize(imresize(hr, 0.5, rounding="once"), 2, rounding="once"),
                "bicubic x4": imresize(imresize(hr, size=small, rounding="once"), 4, rounding="once"),
                "noise 10": hr + 10 / 255 * torch.randn(hr.shape, generator=torch.Generator().manual_seed(1)),
            }
            for kind, image in kinds.items():
                both = [niqe(image.clamp(0, 1), *p).item() for p in parameters]
                values.setdefault(kind, []).append(both)
        for kind, scores in values.items():
            ours, theirs = np.mean(scores, 0)
            rank = spearmanr(*np.transpose(scores)).statistic
            rows.append({"set": name, "pictures": kind, "ours": f"{ours:.2f}", "original": f"{theirs:.2f}",
                         "rank correlation": f"{rank:.2f}"})  # fmt: skip
            pairs += scores
    print(markdown(rows))
    print(f"rank correlation of all {len(pairs)} pictures: {spearmanr(*np.transpose(pairs)).statistic:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["learn", "compare"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--original", type=Path)
    arguments = parser.parse_args()
    if arguments.action == "learn":
        learn(arguments.data, arguments.output)
    else:
        compare(arguments.data, arguments.original)
