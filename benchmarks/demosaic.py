"""CPSNR of demosaicing on the 18 pictures of McMaster (McM): our back-ends, and LibRaw's AHD.

    python benchmarks/demosaic.py [--data FOLDER] [--output benchmarks/demosaic.md]

CPSNR: one mean squared error over all pixels and channels of a picture, 8-bit results, mean over pictures; of whole
pictures, and without a border of 10 pixels. LibRaw demosaics a DNG that tifffile writes here, without white balance,
matrix, curve or denoising, so that nothing but its interpolation differs.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rawpy
import tifffile
import torch
from torch import Tensor

from sr_lightning.data.files.io import find_pictures, read_picture
from sr_lightning.functional import psnr, round_8bit, shave
from sr_lightning.functional.bayer import mosaic
from sr_lightning.functional.demosaic import DEMOSAIC

BORDER = 10
ALGORITHMS = {
    "LibRaw linear": rawpy.DemosaicAlgorithm.LINEAR,
    "LibRaw VNG": rawpy.DemosaicAlgorithm.VNG,
    "LibRaw PPG": rawpy.DemosaicAlgorithm.PPG,
    "LibRaw AHD": rawpy.DemosaicAlgorithm.AHD,
    "LibRaw DHT": rawpy.DemosaicAlgorithm.DHT,
}


def by_libraw(raw: Tensor, algorithm: rawpy.DemosaicAlgorithm) -> Tensor:
    """What LibRaw interpolates of a mosaic ``(1, 1, H, W)`` of 8-bit values."""
    samples = (raw[0, 0] * 255).round().numpy().astype(np.uint16) * 256
    identity = [1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1]
    tags = [
        (50706, "B", 4, (1, 4, 0, 0), True),  # DNGVersion
        (50708, "s", 0, "McMaster", True),  # UniqueCameraModel
        (33421, "H", 2, (2, 2), True),  # CFARepeatPatternDim
        (33422, "B", 4, (0, 1, 1, 2), True),  # CFAPattern
        (50714, "H", 1, 0, True),  # BlackLevel
        (50717, "H", 1, 65280, True),  # WhiteLevel
        (50721, "2i", 9, identity, True),  # ColorMatrix1
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),  # AsShotNeutral
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mosaic.dng"
        tifffile.imwrite(path, samples, photometric=32803, extratags=tags)
        with rawpy.imread(str(path)) as file:
            assert np.array_equal(file.raw_image_visible, samples)
            picture = file.postprocess(
                demosaic_algorithm=algorithm, output_bps=16, gamma=(1, 1), no_auto_bright=True, no_auto_scale=True,
                user_wb=[1, 1, 1, 1], output_color=rawpy.ColorSpace.raw, user_flip=0,
            )  # fmt: skip
    return torch.from_numpy(picture.astype(np.float64) / 65280).permute(2, 0, 1)[None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SR_DATA", "data")))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    files = find_pictures(options.data / "McMaster18")
    ways: dict[str, Callable[[Tensor], Tensor]] = dict(DEMOSAIC)
    for name, algorithm in ALGORITHMS.items():
        ways[name] = lambda raw, algorithm=algorithm: by_libraw(raw, algorithm)
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for file in files:
        truth = torch.from_numpy(read_picture(file).copy()).permute(2, 0, 1)[None].double() / 255
        raw = mosaic(truth)
        for name, way in ways.items():
            out = round_8bit(way(raw).clamp(0, 1))
            assert out.shape == truth.shape
            scores[name].append(tuple(psnr(shave(out, b), shave(truth, b)).item() for b in (0, BORDER)))  # type: ignore[arg-type]
    lines = ["| demosaicing | CPSNR, whole picture | CPSNR, 10 pixels of border left out |", "|---|---|---|"]
    lines += [f"| {name} | {np.mean(v, 0)[0]:.2f} | {np.mean(v, 0)[1]:.2f} |" for name, v in scores.items()]
    print("\n".join(lines))
    if options.output:
        note = f"{len(files)} pictures, RGGB; {__doc__.split(chr(10) * 2)[2].replace(chr(10), ' ').strip()}"
        options.output.write_text(f"{__doc__.split(chr(10))[0]}\n\n" + "\n".join(lines) + f"\n\n{note}\n")


if __name__ == "__main__":
    main()
