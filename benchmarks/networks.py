"""The table of networks: parameters, multiply-accumulates, and what published weights score.

    SR_DATA=… python benchmarks/networks.py --output docs/networks.md

Parameters beside the published count come from the contract tests; scores are measured here, on Set5 and Set14.
"""

import argparse
import importlib.util
import os
from pathlib import Path
from typing import Any

import torch

from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.data.benchmarks import Benchmarks
from sr_lightning.errors import SRError
from sr_lightning.scoring import count_macs, count_parameters, markdown, score_sets
from sr_lightning.weights import load_published

ROOT = Path(__file__).resolve().parents[1]
SCALES = (2, 3, 4, 8)
#: Counts that the contract tests fix, but no paper states.
UNPUBLISHED = {"mdsr", "mslapsrn"}

#: model, scale, file, protocol, further overrides, what the authors (or the file's README) state for Set5.
WEIGHTS: list[tuple[str, int, str, str, list[str], str]] = [
    *[("imdn", s, f"IMDN_x{s}.pth", "y_rgb8", [], claim) for s, claim in ((2, "38.00"), (3, "34.36"), (4, "32.21"))],
    *[("pan", s, f"PAN_x{s}.pth", "y_rgb8", [], c) for s, c in ((2, "38.0007"), (3, "34.4003"), (4, "32.1311"))],
    *[("carn_m", s, "CARN-M_x234.pth", "y_rgb8", [], c) for s, c in ((2, "37.53"), (3, "33.99"), (4, "31.92"))],
    ("rfdn", 4, "RFDN_AIM_x4.pth", "y_rgb8", [], ""),
    ("span", 4, "SPAN_ntire24_ch28_x4.pth", "y_rgb8", [], ""),
    *[("vdsr", s, "VDSR_x234_plain.pth", "y_float", [], c) for s, c in ((2, "37.65"), (3, "33.77"), (4, "31.45"))],
    ("lapsrn", 4, "LapSRN_x4_plain.pth", "y_float", ["model.deconv_kernel=4", "model.bias=false"], "31.65"),
    ("lapsrn", 2, "official_LapSRN_x2.mat", "y_lapsrn", [], "37.52"),
    ("lapsrn", 4, "official_LapSRN_x4.mat", "y_lapsrn", [], "31.54"),
    ("lapsrn", 8, "official_LapSRN_x8.mat", "y_lapsrn", [], "26.14"),
    *[("mslapsrn", s, "official_MSLapSRN_D5R2.mat", "y_lapsrn", [], "") for s in (2, 4, 8)],
]  # fmt: skip


def published_counts() -> dict[str, dict[int, int]]:
    spec = importlib.util.spec_from_file_location("contract", ROOT / "tests/contract/test_models.py")
    assert spec is not None and spec.loader is not None
    contract: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(contract)
    counts: dict[str, dict[int, int]] = contract.PARAMETERS
    return counts


def network_rows() -> list[dict[str, str]]:
    rows, published = [], published_counts()
    for name in sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml")):
        for scale in SCALES:
            try:
                with torch.device("meta"):
                    model = build(compose("train", [f"model={name}", f"scale={scale}"]).model)
                    parameters, macs = count_parameters(model), f"{count_macs(model) / 1e9:,.1f}"
            except SRError:
                continue
            counted = None if name in UNPUBLISHED else published.get(name, {}).get(scale)
            published_count = "" if counted is None else f"{counted:,}"
            rows.append({
                "model": name, "scale": f"x{scale}", "parameters": f"{parameters:,}",
                "as published": published_count, "GMACs at 720p": macs,
            })  # fmt: skip
    return rows


def score_rows(data: Path) -> list[dict[str, str]]:
    rows = []
    for name, scale, file, protocol, overrides, claim in WEIGHTS:
        cfg = compose("evaluate", [f"model={name}", f"scale={scale}", f"protocol={protocol}", *overrides])
        model = build(cfg.model, protocol=build(cfg.protocol))
        load_published(model, data / "weights" / file)
        sets = Benchmarks(scale, root=str(data), sets=["set5", "set14"])
        sets.setup("test")
        scores = score_sets(model, sets)
        cells = {s: f"{v['psnr']:.4f} / {v['ssim']:.4f}" for s, v in scores.items()}
        rows.append({
            "model": name, "scale": f"x{scale}", "weights": file, "protocol": protocol,
            "Set5": cells["set5"], "Set14": cells["set14"], "authors, Set5": claim,
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "docs/networks.md")
    options = parser.parse_args()
    networks = markdown(network_rows())
    scores = markdown(score_rows(Path(os.environ.get("SR_DATA", "data"))))
    options.output.write_text(
        "# Networks\n\nMade by `python benchmarks/networks.py`. Parameters are the trainable scalars of the network; "
        "multiply-accumulates are counted for one picture of 1280x720 after enlargement (luma networks: one channel; "
        "bicubic enlargement is free).\n\n"
        f"{networks}\n\n## Published weights\n\nLoaded with `evaluate weights=FILE` and scored here, PSNR / SSIM.\n\n"
        f"{scores}\n"
    )


if __name__ == "__main__":
    main()
