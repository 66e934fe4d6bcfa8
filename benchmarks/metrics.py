"""Seconds for one 2040x1356 picture: imresize beside torch's own kernel, PSNR and SSIM.

    python benchmarks/metrics.py [--output benchmarks/metrics.md]

Ways take turns; medians. Exit code 1 where a target is missed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from sr_lightning.functional import imresize, psnr, ssim

ROUNDS = 15


def padded_interpolate(x: torch.Tensor) -> torch.Tensor:
    """Symmetric pad, torch's antialiased bicubic, crop: what imresize has to compete with."""
    x = torch.cat([x[..., :4, :].flip(-2), x, x[..., -4:, :].flip(-2)], -2)
    x = torch.cat([x[..., :4].flip(-1), x, x[..., -4:].flip(-1)], -1)
    return F.interpolate(x, scale_factor=0.5, mode="bicubic", antialias=True)[..., 2:-2, 2:-2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    colour = torch.rand(1, 3, 1356, 2040)
    sr, hr = torch.rand(1, 1, 1356, 2040), torch.rand(1, 1, 1356, 2040)
    assert (imresize(colour, 0.5) - padded_interpolate(colour)).abs().max() < 1e-5
    ways: dict[str, Callable[[], object]] = {
        "imresize, float32, half": lambda: imresize(colour, 0.5),
        "pad + F.interpolate + crop": lambda: padded_interpolate(colour),
        "psnr and ssim of luma": lambda: (psnr(sr, hr), ssim(sr, hr)),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 2):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            if turn > 1:
                times[name].append(time.perf_counter() - begin)
    ratio = statistics.median(
        a / b for a, b in zip(times["imresize, float32, half"], times["pad + F.interpolate + crop"], strict=True)
    )
    scoring = statistics.median(times["psnr and ssim of luma"])
    lines = ["| way | ms |", "|---|---|"]
    lines += [f"| {name} | {statistics.median(values) * 1e3:.1f} |" for name, values in times.items()]
    lines += ["", f"imresize takes {ratio:.2f} times as long as the padded kernel (target ≤ 1.2);"]
    lines += [f"PSNR and SSIM together take {scoring * 1e3:.0f} ms (target ≤ 200); {torch.get_num_threads()} threads."]
    print("\n".join(lines))
    if options.output:
        options.output.write_text(f"{__doc__.split(chr(10))[0]}\n\n" + "\n".join(lines) + "\n")
    return int(ratio > 1.2 or scoring > 0.2)


if __name__ == "__main__":
    sys.exit(main())
