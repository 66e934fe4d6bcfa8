"""Makes the tables of docs/weights.md: every layout beside its reference, and published files on Set5.

SR_DATA=data PYTHONPATH=tests python benchmarks/weights.py            # writes docs/weights.md
PYTHONPATH=tests python benchmarks/weights.py layouts                 # without pictures: Set5 stays as it is
"""

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from joined_weights import joined_liif
from seeded_weights import seeded_state
from sr_lightning.data.files.io import read_picture
from sr_lightning.errors import CheckpointError
from sr_lightning.inference.finding import find_network
from sr_lightning.metrics import Protocol
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.describe import in_words
from sr_lightning.weights.elsewhere import network_elsewhere
from sr_lightning.weights.identify import identify
from sr_lightning.weights.known_files import known_file
from sr_lightning.weights.load import identified
from sr_lightning.weights.reading import read_weights

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "weights.md"

#: PSNR on Set5 that the authors, or measurements of their code, state: ``y_rgb8``.
STATED = {
    "IMDN_x2": "37.996", "IMDN_x3": "34.360", "IMDN_x4": "32.210", "PAN_x2": "38.001", "PAN_x3": "34.400",
    "PAN_x4": "32.131", "CARN-M_x234": "37.678, 34.058, 31.883", "RFDN_AIM_x4": "32.159",
    "SPAN_ntire24_ch28_x4": "31.739", "RLFN_x4": "32.238", "RLFN_NTIRE_x4": "32.097", "BSRN_x4": "32.35",
    "SMFANet_DIV2K_x2": "38.044", "SMFANet_DIV2K_x3": "34.458", "SMFANet_DIV2K_x4": "32.253",
    "SMFANet_plus_DF2K_x4": "32.511",
    "edsr_baseline_liif": "37.974, 34.394, 32.234",
    "realesr-general-x4v3_fp16": "26.644", "realesr-general-wdn-x4v3_fp16": "26.701",
}  # fmt: skip


def layouts() -> Iterator[str]:
    """A row for each stored reference."""
    for path in sorted((ROOT / "tests/golden/layouts").glob("*.npz")):
        with np.load(path) as arrays, tempfile.TemporaryDirectory() as folder:
            about = json.loads(str(arrays["about"]))
            lr, sr = (torch.from_numpy(arrays[name]) for name in ("input", "output"))
            constants = {n.removeprefix("constant/"): torch.from_numpy(arrays[n]) for n in arrays if "constant/" in n}
            drawn = {name: shape for name, shape in about["shapes"].items() if name not in constants}
            state = seeded_state(drawn, about["seed"], about["factors"]) | constants
            file = Path(folder) / f"{path.stem}.pth"
            state = {about["prefix"] + name: state[name] for name in about["shapes"]}
            torch.save({about["entry"]: state} if about["entry"] else state, file)
            repository, module, _, commit = about["source"].split(" ")[:4]
            try:
                found = identified(read_weights(file))
                told = {n: v for n, v in about["arguments"].items() if n in found.kind.untraced or n == "scale"}
                told = {n: v for n, v in told.items() if found.arguments.get(n) != v}
                model = found.build(**told).eval()
                with torch.inference_mode():
                    ours = model(lr, scale=about["arguments"]["scale"]) if model.multi_scale else model(lr)
                ours = ours.clamp(0, 1) if about["clipped"] else ours
                apart = f"{float((ours - sr).abs().max() / max(1.0, float(sr.abs().max()))):.0e}"
                words = in_words(found.kind, found.arguments)
                extra = " ".join(f"{name}={value}" for name, value in told.items())
            except CheckpointError as error:
                words, extra, apart = str(error).partition(": ")[2][:80], "", "-"
            yield f"| {about['whose']} | {repository} `{module}` {commit[:7]} | {words} | {extra} | {apart} |"


def files(data: Path) -> Iterator[str]:
    """A row for each published file at hand."""
    pictures = [read_picture(path) for path in sorted((data / "Set5").glob("*.png"))]
    folder = tempfile.TemporaryDirectory()
    joined = joined_liif(data, Path(folder.name))
    for path in [*sorted(data.glob("weights*/*")), joined]:
        if path.suffix not in (".pth", ".safetensors", ".mat") or "_opts" in path.name:
            continue
        file = read_weights(path)
        known = known_file(file)
        sentence = None if identify(file) else network_elsewhere(file.state)
        if sentence:
            yield f"| {known.name if known else path.name} | {sentence} | | |"
            continue
        stated = STATED.get(path.stem, "")
        scales = [2, 3, 4] if "x234" in path.stem or path == joined else [2, 4] if "MSLapSRN" in path.stem else [None]
        scores = []
        for scale in scales:
            network, line = find_network(path, scale)
            assert isinstance(network, SuperResolutionModule)
            scores.append(f"{set5(network, pictures):.3f}")
        words = re.sub(r" \(names.*| by a look.*", "", str(line).partition(": ")[2])
        yield f"| {known.name if known else path.name} | {words} | {', '.join(scores)} | {stated} |"
        print(path.name, scores, flush=True)


@torch.inference_mode()
def set5(network: SuperResolutionModule, pictures: list[np.ndarray]) -> float:
    """Mean PSNR by ``y_rgb8``."""
    network.protocol = Protocol("y_rgb8")
    values = []
    for picture in pictures:
        hr = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]
        values.append(float(network.score({"hr": hr, "name": [""]})[1]["psnr"]))
    return sum(values) / len(values)


def put(text: str, name: str, rows: list[str]) -> str:
    """The page with these rows in the table between two comments."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    head = rest.partition(end)[0].splitlines()[:2]
    return before + begin + "\n".join([*head, *rows]) + "\n" + end + rest.partition(end)[2]


def main() -> None:
    """Writes the tables."""
    text = put(PAGE.read_text(encoding="utf-8"), "layouts", list(layouts()))
    if "layouts" not in sys.argv:
        text = put(text, "files", list(files(Path(os.environ["SR_DATA"]))))
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
