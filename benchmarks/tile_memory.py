"""Memory of a tile: what ``tile_size`` expects of a pixel, and what a fresh process takes.

    python benchmarks/tile_memory.py NETWORK SIDE

One network a run, because the peak of a process (``ru_maxrss``) never falls.
"""

import resource
import sys

import torch

from sr_lightning.config import build, compose
from sr_lightning.inference.tiles.tile_size import bytes_of_pixel

SMALL = 64  # pixels of a side, after which the peak is taken for the first time


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@torch.inference_mode()
def main(name: str, side: int) -> None:
    scale = 4 if name in ("rfdn", "spanv2", "spanf", "rlfn_ntire") else 2
    model = build(compose("train", [f"model={name}", f"scale={scale}"]).model).eval()
    model.to(memory_format=torch.channels_last)
    expected = bytes_of_pixel(model, [3])
    model(torch.rand(1, 3, SMALL, SMALL))
    before = peak()
    model(torch.rand(1, 3, side, side))
    taken = (peak() - before) / (side**2 - SMALL**2)
    print(f"| `{name}` x{scale} | {side} | {expected:,.0f} | {taken:,.0f} |")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
