"""How often ``model=auto`` takes the better network: pictures that were damaged in known ways, enlarged by both.

    SR_DATA=… python benchmarks/auto_choice.py             # Set5, Set14, BSD100 and McMaster18: writes auto_choice.md

A choice is right by PSNR if that of its network is at most 0.1 dB below that of the other. It is right by label if it
is `span` for kinds `clean` and `fine_jpeg` (quality 93 to 99), and `photo` for `jpeg` (25 to 84) and `real_medium`;
`real_mild` and `realesrgan` lie between, and have no label. Damage is drawn from seeds that depend on the picture's
number.
"""

import io
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sr_lightning.config import build, compose
from sr_lightning.data.files.io import Photo, read_picture
from sr_lightning.evaluation.crops import to_pixels
from sr_lightning.evaluation.scoring import markdown
from sr_lightning.functional import imresize, modcrop, psnr, rgb_to_y, round_8bit, shave
from sr_lightning.inference.auto import CLEAN, PHOTO
from sr_lightning.inference.images import from_pil
from sr_lightning.inference.loading import load

TESTED = {"Set5": 1, "Set14": 1, "BSD100": 4, "McMaster18": 1}  # every picture, or every fourth
LABELS = {"clean": CLEAN, "fine_jpeg": CLEAN, "jpeg": PHOTO, "real_medium": PHOTO}
DEGRADATIONS = ("real_mild", "real_medium", "realesrgan")
ALLOWED = 0.1  # dB


class Case(NamedTuple):
    """A small picture, what it was made of, and how."""

    name: str
    kind: str
    scale: int
    photo: Photo
    hr: Tensor


def cases(folders: dict[str, int]) -> Iterator[Case]:
    """Every picture at x2 and x4, clean and damaged."""
    degradations = {name: build(compose("train", [f"degradation={name}"]).degradation) for name in DEGRADATIONS}
    paths = [
        path
        for folder, step in folders.items()
        for path in sorted((Path(os.environ["SR_DATA"]) / folder).iterdir())[::step]
    ]
    for number, path in enumerate(paths):
        pixels = read_picture(path)
        pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
        for scale in (2, 4):
            hr = modcrop(torch.from_numpy(pixels).permute(2, 0, 1)[None].double() / 255, scale)
            if min(hr.shape[-2:]) < 32 * scale:
                continue
            clean = to_pixels(imresize(hr, 1 / scale, rounding="per_pass"))
            rng = np.random.default_rng([number, scale])
            yield Case(path.stem, "clean", scale, Photo(clean), hr)
            yield Case(path.stem, "fine_jpeg", scale, jpeg(clean, int(rng.integers(93, 100))), hr)
            yield Case(path.stem, "jpeg", scale, jpeg(clean, int(rng.integers(25, 85))), hr)
            for name, degradation in degradations.items():
                lr = degradation(hr.float(), scale, [1, number, scale])
                yield Case(path.stem, name, scale, Photo(to_pixels(lr)), hr)


def jpeg(pixels: NDArray[np.uint8], quality: int) -> Photo:
    """The picture in a JPEG file."""
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        file.seek(0)
        return from_pil(Image.open(file))


def scored(network: Any, case: Case) -> float:
    """PSNR of luma, without a border of the scale."""
    sr = torch.from_numpy(network.photo(case.photo).pixels.copy()).permute(2, 0, 1)[None].double() / 255
    ours, truth = (shave(rgb_to_y(x), case.scale) for x in (round_8bit(sr), case.hr))
    return float(psnr(ours, truth))


def both(case: Case) -> dict[str, float]:
    """PSNR of either network."""
    return {name: scored(network(name, case.scale), case) for name in (CLEAN, PHOTO)}


_KNOWN: dict[tuple[str, int], Any] = {}


def network(name: str, scale: int) -> Any:
    """An upscaler, made once."""
    if (name, scale) not in _KNOWN:
        _KNOWN[name, scale] = load(name, scale, device="cpu", precision="float32")
    return _KNOWN[name, scale]


def measure() -> None:
    """Writes the table, and every wrong choice."""
    rows: dict[tuple[str, int], list[tuple[bool, float, float]]] = defaultdict(list)
    wrong, labelled = list[str](), list[bool]()
    for case in cases(TESTED):
        scores = both(case)
        auto = network("auto", case.scale)
        auto.chosen_for([case.photo])
        chosen = PHOTO if f"with {PHOTO}" in auto.noted else CLEAN
        lost = max(scores.values()) - scores[chosen]
        labelled += [chosen == LABELS[case.kind]] if case.kind in LABELS else []
        rows[case.kind, case.scale].append((lost <= ALLOWED, scores[CLEAN], scores[PHOTO]))
        if lost > ALLOWED:
            wrong.append(f"- {case.name} x{case.scale}, {case.kind}: {auto.noted}; {lost:.2f} dB lost")
    table = []
    for (kind, scale), found in sorted(rows.items()):
        right, clean, photo = np.array(found, dtype=float).T
        table.append(
            {
                "kind": kind,
                "scale": str(scale),
                "pictures": str(len(found)),
                CLEAN: f"{clean.mean():.2f}",
                PHOTO: f"{photo.mean():.2f}",
                "right": f"{right.mean():.0%}",
            }
        )
    everything = [right for found in rows.values() for right, *_ in found]
    text = "\n".join([
        "# How often `model=auto` is right",
        "",
        (__doc__ or "").partition("md\n\n")[2].rstrip(),
        "",
        markdown(table),
        "",
        f"Right by label: {sum(labelled)} of {len(labelled)}, {np.mean(labelled):.1%}.",
        "",
        f"Right by PSNR: {sum(everything)} of {len(everything)}, {np.mean(everything):.1%}. Wrong by PSNR:",
        "",
        *wrong,
    ])  # fmt: skip
    Path("benchmarks/auto_choice.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    measure()
