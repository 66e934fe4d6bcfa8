"""Which RAW files which networks enlarge: files at hand, and one written here for each kind of sensor and tag.

    python benchmarks/raw_table.py [--data FOLDER] [--output docs/raw_files.md]

rawSR has small random weights here: the question is what it is given, not what it makes of it.
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from sr_lightning.data.files.raw import camera_rendering, is_raw, read_raw
from sr_lightning.errors import SRError
from sr_lightning.inference.upscaler import Upscaler
from sr_lightning.models.bicubic import Bicubic
from sr_lightning.models.rawsr import RawSR

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import dng_files as dng

SIDE = 96  # of what the networks enlarge
CORNERS = np.array([[1.0, 2.0], [1.5, 2.5]])[..., None]
NO_WARP = (1.0, 0, 0, 0, 0, 0)
QUAD, NONA = (np.kron(dng.BAYER, np.ones((side, side), int)).tolist() for side in (2, 3))
FOUR = [[0.9, -0.3, -0.1], [-0.4, 1.2, 0.2], [-0.1, 0.2, 0.7], [-0.2, 0.7, 0.5]]
CMYG = [[0.2, 0.7, 0.6], [0.8, 0.6, 0.1], [0.1, 0.9, 0.2], [0.7, 0.2, 0.6]]
PAGE = """# RAW files and networks

What becomes of each kind of RAW file, and what is said of it. `python benchmarks/raw_table.py` wrote this page.
"""


def written(folder: Path) -> Iterator[tuple[str, Path]]:
    """A file of each kind, and its name."""
    samples = np.random.default_rng(0).integers(dng.BLACK, dng.WHITE, (120, 144)).astype(np.uint16)
    colours, floats = samples[..., None].repeat(3, axis=2), samples.astype(np.float32) / dng.WHITE
    path = folder / "a.dng"
    for name in ("RGGB", "GRBG", "GBRG", "BGGR"):
        codes = ["RGB".index(colour) for colour in name]
        yield f"Bayer, {name}", dng.write_dng(path, samples, [codes[:2], codes[2:]])
    yield "X-Trans", dng.write_dng(path, samples, dng.X_TRANS)
    yield "quad-Bayer", dng.write_dng(path, samples, QUAD)
    yield "nona-Bayer, 3x3", dng.write_dng(path, samples, NONA)
    odd = [[0, 1, 0, 3], [1, 2, 1, 2], [0, 1, 0, 1], [1, 2, 1, 2]]
    yield "filters of 4x4 that nobody here knows", dng.write_dng(path, samples, odd)
    for kind, order, matrix in (("red, green, blue, cyan", (0, 1, 2, 3), FOUR), ("CYGM", (3, 5, 1, 4), CMYG)):
        filters, plane = [order[:2], (order[3], order[2])], (50710, "B", 4, order)
        yield (
            f"four colours: {kind}",
            dng.write_dng(path, samples, filters, matrix=np.ravel(matrix).tolist(), neutral=(1, 1, 1, 1), tags=[plane]),
        )
    yield "monochrome", dng.write_dng(path, samples, None)
    yield "linear DNG", dng.write_dng(path, colours, None)
    whites = (50717, "I", 3, (10000, 12000, 14000))
    yield "linear DNG, a white level for each channel", dng.write_dng(path, colours, None, tags=[whites])
    dng.in_place_of_strip(dng.write_dng(path, samples, rowsperstrip=120), 7, dng.lossless_jpeg(samples))
    yield "lossless JPEG", path
    dng.write_dng(path, floats, black=None, rowsperstrip=120)
    dng.in_place_of_strip(path, 8, dng.deflated(floats))
    yield "floating point in Deflate", path
    dng.in_place_of_strip(dng.write_dng(path, samples, rowsperstrip=120), 52546, b"\xff\x0a")
    yield "JPEG XL", path
    dng.in_place_of_strip(dng.write_dng(path, samples, rowsperstrip=120), 7, dng.lossless_jpeg(samples)[:9000])
    yield "lossless JPEG, cut off", path
    area = (0, 0, *samples.shape)
    opcodes: dict[str, dict[int, list[bytes]]] = {
        "GainMap in OpcodeList2": {2: [dng.gain_map(CORNERS, area)]},
        "FixVignetteRadial in OpcodeList3": {3: [dng.vignette((0.3, 0, 0, 0, 0))]},
        "WarpRectilinear in OpcodeList3": {3: [dng.warp([NO_WARP])]},
        "FixBadPixelsList, WarpFisheye": {1: [dng.opcode(5)], 3: [dng.opcode(2)]},
    }
    for kind, steps in opcodes.items():
        yield kind, dng.write_dng(path, samples, opcodes=steps)
    tags = {
        "BlackLevelDeltaH": (50715, "2i", 144, tuple(number for i in range(144) for number in (i % 5, 1))),
        "BlackLevelRepeatDim 4x2": (50713, "H", 2, (4, 2)),
        "DefaultScale 2:1": (50718, "2I", 2, (2, 1, 1, 1)),
        "BaselineExposure": (50730, "2i", 1, (1, 1)),
        "DefaultCropOrigin, DefaultCropSize": (50719, "I", 2, (5, 3)),
    }
    more = {
        "BlackLevelRepeatDim 4x2": [(50714, "I", 8, tuple(range(600, 608)))],
        "DefaultCropOrigin, DefaultCropSize": [(50720, "I", 2, (120, 100))],
    }
    for kind, tag in tags.items():
        yield (
            kind,
            dng.write_dng(
                path, samples, tags=[tag, *more.get(kind, [])], black=None if "RepeatDim" in kind else dng.BLACK
            ),
        )


def outcome(path: Path, enlarge: Callable[[Path], str]) -> str:
    """What a network does with a file, and what is said of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            done = f"works: {enlarge(path)}"
        except SRError as error:
            return f"refused: {_without(path, error)}"
    said = dict.fromkeys(_without(path, warning.message) for warning in caught)
    again = [sentence for sentence in said if "sampled again" in sentence]
    if again:
        done = "works: demosaiced and sampled again"
    return "; ".join([done, *(sentence for sentence in said if sentence not in again)])


def _without(path: Path, message: object) -> str:
    return str(message).removeprefix(f"{path}: ").replace("|", r"\|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SR_DATA", "data")))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rawsr = Upscaler(RawSR(scale=2, num_features=16, growth_rate=4, num_layers=4))
    bicubic = Upscaler(Bicubic(scale=2))

    def by_mosaic(path: Path) -> str:
        raw = read_raw(path)
        rawsr.raw(replace(raw, mosaic=raw.mosaic[:, :SIDE, :SIDE]))
        return "mosaic"

    def by_picture(path: Path) -> str:
        bicubic.array(camera_rendering(path)[:SIDE, :SIDE].transpose(2, 0, 1))
        return "LibRaw's rendering"

    lines = [PAGE]

    def row(name: str, path: Path) -> None:
        lines.append(f"| {name} | {outcome(path, by_mosaic)} | {outcome(path, by_picture)} |")
        print(lines[-1])

    head = ["| `{}` | `rawsr` | `bicubic`, and all other networks |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        lines += [head[0].replace("`{}`", "written for this table"), head[1]]
        for name, path in written(Path(folder)):
            row(name, path)
    lines += ["", head[0].replace("`{}`", "a camera's file, or of the collection of hard cases"), head[1]]
    for folder in (options.data / "raw", options.data.parent / "cases" / "dng"):
        for path in sorted(path for path in folder.rglob("*") if is_raw(path)):
            row(f"`{path.relative_to(folder)}`", path)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
