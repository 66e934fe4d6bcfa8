"""Files in every usual layout are recognised, and their networks compute what their authors' code computes.

``tests/golden/layouts`` has the names and shapes of each file, and the output of the reference for seeded weights.
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seeded_weights import seeded_state
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.load import identified, load_weights
from sr_lightning.weights.reading import read_weights

TABLES = (
    "edsr_rcan", "rdn_wdsr", "rrdb_compact", "srresnet", "distillation", "efficient", "carn_pan_lapsrn", "liif",
    "luma", "mmagic", "swinir_hat_omnisr", "dat_atd_pft",
)  # fmt: skip
FILES = sorted((Path(__file__).parents[1] / "golden" / "layouts").glob("*.npz"))


def reference(path: Path, folder: Path) -> tuple[dict[str, Any], Path, Tensor, Tensor]:
    """What the file says, weights as its authors would save them, the input and the reference's output."""
    with np.load(path) as arrays:
        about = json.loads(str(arrays["about"]))
        lr, sr = (torch.from_numpy(arrays[name]) for name in ("input", "output"))
        constants = {
            name.removeprefix("constant/"): torch.from_numpy(arrays[name]) for name in arrays if "constant/" in name
        }
    drawn = {name: shape for name, shape in about["shapes"].items() if name not in constants}
    state = seeded_state(drawn, about["seed"], about["factors"]) | constants
    state = {about["prefix"] + name: state[name] for name in about["shapes"]}
    torch.save({about["entry"]: state} if about["entry"] else state, folder / f"{path.stem}.pth")
    return about, folder / f"{path.stem}.pth", lr, sr


@torch.inference_mode()
def furthest(model: SuperResolutionModule, about: dict[str, Any], lr: Tensor, sr: Tensor) -> float:
    """The largest difference from the reference, relative to the range of its output."""
    ours = model.eval()(lr, scale=about["arguments"]["scale"]) if model.multi_scale else model.eval()(lr)
    ours = ours.clamp(0, 1) if about["clipped"] else ours
    assert ours.shape == sr.shape
    return float((ours - sr).abs().max() / max(1.0, float(sr.abs().max())))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_layout(path: Path, tmp_path: Path) -> None:
    about, file, lr, sr = reference(path, tmp_path)
    found = identified(read_weights(file))
    assert found.kind.__name__ == about["network"]
    open_ones = {**found.kind.untraced, **({"scale": ()} if found.kind.multi_scale else {})}
    stated = {name: value for name, value in about["arguments"].items() if name not in open_ones}
    assert {name: found.arguments.get(name, getattr(found.kind, name)) for name in stated} == stated
    model = found.build(**{name: about["arguments"][name] for name in open_ones if name in about["arguments"]})
    assert furthest(model, about, lr, sr) < 1e-5
    again: Any = found.kind(**{**found.arguments, **about["arguments"]})
    load_weights(again, file)
    assert furthest(again, about, lr, sr) < 1e-5


def test_the_files_say_what_their_calls_do() -> None:
    """``golden/references`` makes them again; mmagic's GLEAN alone was made by hand."""
    tables = [import_module(f"golden.references.{name}") for name in TABLES]
    calls = {layout.name: layout.about() for table in tables for layout in table.LAYOUTS}
    for path in FILES:
        with np.load(path) as arrays:
            about = json.loads(str(arrays["about"]))
        if path.stem != "glean_mmagic_x4":
            assert json.loads(json.dumps(calls[path.stem])).items() <= about.items(), path.stem
