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
from sr_lightning.data.sets.benchmarks import Benchmarks
from sr_lightning.errors import SRError
from sr_lightning.evaluation.scoring import count_macs, count_parameters, markdown, score_sets
from sr_lightning.weights.load import load_weights

ROOT = Path(__file__).resolve().parents[1]
#: Scales in the table, besides those whose number of parameters is published.
SCALES = (2, 3, 4, 8)
#: Scales that are tried.
TRIED = (2, 3, 4, 5, 8, 16)
#: Counts that the contract tests fix, but no paper states.
UNPUBLISHED = {"mdsr", "mslapsrn"}

#: model, scale, file, protocol, further overrides, what authors or the file's README state for Set5 and Set14.
WEIGHTS: list[tuple[str, int, str, str, list[str], str, str]] = [
    *[("imdn", s, f"IMDN_x{s}.pth", "y_rgb8", [], c, "") for s, c in ((2, "38.00"), (3, "34.36"), (4, "32.21"))],
    ("pan", 2, "PAN_x2.pth", "y_rgb8", [], "38.0007", "33.5927"),
    ("pan", 3, "PAN_x3.pth", "y_rgb8", [], "34.4003", "30.3553"),
    ("pan", 4, "PAN_x4.pth", "y_rgb8", [], "32.1311", "28.6107"),
    *[("carn_m", s, "CARN-M_x234.pth", "y_rgb8", [], c, "") for s, c in ((2, "37.53"), (3, "33.99"), (4, "31.92"))],
    ("rfdn", 4, "RFDN_AIM_x4.pth", "y_rgb8", [], "", ""),
    ("span", 4, "SPAN_ntire24_ch28_x4.pth", "y_rgb8", [], "", ""),
    *[("dat_light", s, f"DAT_light_x{s}.safetensors", "y_rgb8", [], "", "") for s in (2, 3, 4)],
    *[("rlfn", s, f"RLFN_x{s}.pth", "y_rgb8", [], c, "") for s, c in ((2, ""), (4, "32.24"))],
    ("rlfn_ntire", 4, "RLFN_NTIRE_x4.pth", "y_rgb8", [], "", ""),
    *[("bsrn", s, f"BSRN_x{s}.pth", "y_rgb8", [], c, "") for s, c in ((2, ""), (3, ""), (4, "32.35"))],
    ("spanf", 4, "NTIRE25_team24_spanf.pth", "y_rgb8", [], "", ""),
    ("spanv2", 4, "NTIRE26_team22_spanv2_c2.pth", "y_rgb8", [], "", ""),
    *[("smfanet", s, f"SMFANet_DIV2K_x{s}.pth", "y_rgb8", [], "", "") for s in (2, 3, 4)],
    ("smfanet_plus", 4, "SMFANet_plus_DF2K_x4.pth", "y_rgb8", [], "", ""),
    *[("vdsr", s, "VDSR_x234_plain.pth", "y_float", [], c, "") for s, c in ((2, "37.65"), (3, "33.77"), (4, "31.45"))],
    ("lapsrn", 4, "LapSRN_x4_plain.pth", "y_float", ["model.deconv_kernel=4", "model.bias=false"], "31.65", ""),
    ("lapsrn", 2, "official_LapSRN_x2.mat", "y_lapsrn", [], "37.52", "33.08"),
    ("lapsrn", 4, "official_LapSRN_x4.mat", "y_lapsrn", [], "31.54", "28.19"),
    ("lapsrn", 8, "official_LapSRN_x8.mat", "y_lapsrn", [], "26.14", "24.44"),
    *[("mslapsrn", s, "official_MSLapSRN_D5R2.mat", "y_lapsrn", [], "", "") for s in (2, 4, 8)],
]  # fmt: skip

INTRODUCTION = """# Networks

Made by `python benchmarks/networks.py`. Parameters are the trainable scalars of the network; multiply-accumulates are
counted for one picture of 1280x720 after enlargement (luma networks: one channel; bicubic enlargement is free). Scales:
those of 2, 3, 4, 5, 8 and 16 that the config builds (any: all); networks with `model.scales` can have others there.
"""

SCORES = """## Published weights

Loaded with `python -m sr_lightning.evaluate weights=FILE protocol=NAME` and scored here, PSNR / SSIM. A number holds
for the protocol in its row alone, such as protocol=y_rgb8: without it, evaluate takes y_matlab, and scores otherwise.
What the authors or the file's page state stands beside it, as far as a document of theirs was at hand.

CARN-M's file has 414,811 numbers: 24 of them are the mean shift's at both ends, which is not trained and not counted
above. CARN-M's authors say themselves that their file scores otherwise than their paper, which the last columns quote.
"""


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
        models = {scale: model for scale in TRIED if (model := built(name, scale)) is not None}
        scales = "any" if len(models) == len(TRIED) else ", ".join(map(str, models))
        for scale in sorted({*SCALES, *published.get(name, {})} & models.keys()):
            counted = None if name in UNPUBLISHED else published.get(name, {}).get(scale)
            rows.append({
                "model": name, "scale": f"x{scale}", "parameters": f"{count_parameters(models[scale]):,}",
                "as published": "" if counted is None else f"{counted:,}",
                "GMACs at 720p": f"{count_macs(models[scale]) / 1e9:,.1f}", "supported scales": scales,
            })  # fmt: skip
    return rows


def built(name: str, scale: int) -> Any:
    """The network without memory for its weights, or None where it has no such scale."""
    try:
        with torch.device("meta"):
            return build(compose("train", [f"model={name}", f"scale={scale}"]).model)
    except SRError:
        return None


def score_rows(data: Path) -> list[dict[str, str]]:
    rows = []
    for name, scale, file, protocol, overrides, set5, set14 in WEIGHTS:
        cfg = compose("evaluate", [f"model={name}", f"scale={scale}", f"protocol={protocol}", *overrides])
        model = build(cfg.model, protocol=build(cfg.protocol))
        load_weights(model, next(data.glob(f"weights*/{file}")))
        sets = Benchmarks(scale, root=str(data), sets=["set5", "set14"])
        sets.setup("test")
        scores = score_sets(model, sets)
        cells = {s: f"{v['psnr']:.4f} / {v['ssim']:.4f}" for s, v in scores.items()}
        rows.append({
            "model": name, "scale": f"x{scale}", "weights": file, "protocol": protocol,
            "Set5": cells["set5"], "Set14": cells["set14"], "authors, Set5": set5, "authors, Set14": set14,
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "docs/networks.md")
    options = parser.parse_args()
    networks = markdown(network_rows())
    scores = markdown(score_rows(Path(os.environ.get("SR_DATA", "data"))))
    options.output.write_text(f"{INTRODUCTION}\n{networks}\n\n{SCORES}\n{scores}\n")


if __name__ == "__main__":
    main()
