"""Ways to encode a picture as PNG: ``python benchmarks/png.py RESULT.png``.

``pip install isal deflate fpng_py`` adds three.
"""

import io
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROUNDS = 3


def pillow(image: Image.Image, level: int, strategy: int) -> bytes:
    """By Pillow, which chooses the filter of each row."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=level, compress_type=strategy)
    return file.getvalue()


def averaged(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Rows by PNG's filter 3: what differs from the mean of the samples at the left and above."""
    height, _, channels = pixels.shape
    rows = pixels.reshape(height, -1)
    above, left = np.zeros_like(rows), np.zeros_like(rows)
    above[1:], left[:, channels:] = rows[:-1], rows[:, :-channels]
    return np.insert(rows - ((above & left) + ((above ^ left) >> 1)), 0, 3, axis=1)


def main() -> None:
    """Prints a table; ways take turns, medians count."""
    image = Image.open(sys.argv[1]).convert("RGB")
    pixels = np.asarray(image)
    ways: dict[str, Callable[[], Any]] = {
        "Pillow, level 4 (until now)": lambda: pillow(image, 4, zlib.Z_FILTERED),
        **{f"Pillow, level {n}": partial(pillow, image, n, zlib.Z_FILTERED) for n in (1, 2, 3, 6)},
        "Pillow, level 4, runs alone (chosen)": lambda: pillow(image, 4, zlib.Z_RLE),
        "Pillow, level 4, no runs": lambda: pillow(image, 4, zlib.Z_HUFFMAN_ONLY),
        "OpenCV": lambda: cv2.imencode(".png", pixels[..., ::-1])[1],
    }
    others: dict[str, tuple[str, Callable[[Any], Any]]] = {
        "isal.isal_zlib": ("ISA-L, level 3, filter 3 by NumPy", lambda m: m.compress(averaged(pixels).data, 3)),
        "deflate": ("libdeflate, level 4, filter 3 by NumPy", lambda m: m.zlib_compress(averaged(pixels).data, 4)),
        "fpng_py": ("fpng", lambda m: m.fpng_encode_image_to_memory(pixels.tobytes(), *image.size, 3, 0)),
    }
    for name, (label, way) in others.items():
        try:
            ways[label] = partial(way, import_module(name))
        except ImportError:
            print(f"{name} is not installed", file=sys.stderr)
    seconds: dict[str, list[float]] = {label: [] for label in ways}
    sizes: dict[str, int] = {}
    for _ in range(ROUNDS):
        for label, encode in ways.items():
            begin = time.perf_counter()
            sizes[label] = len(encode())
            seconds[label].append(time.perf_counter() - begin)
    took = {label: statistics.median(each) for label, each in seconds.items()}
    now = next(iter(ways))
    print("| way | s | times as fast | MB | larger by |\n|---|---|---|---|---|")
    for label in ways:
        size = f"{sizes[label] / 1e6:.2f} | {sizes[label] / sizes[now] - 1:+.1%}"
        print(f"| {label} | {took[label]:.2f} | {took[now] / took[label]:.2f} | {size} |")


if __name__ == "__main__":
    main()
