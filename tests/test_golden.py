"""MATLAB's resizing and colours, and every protocol, by small files that others computed: tests/golden/README.md."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import loadmat
from torch import Tensor

from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.functional import imresize, modcrop, rgb_to_y, rgb_to_ycbcr, round_8bit
from sr_lightning.metrics import Protocol

GOLDEN = Path(__file__).parent / "golden"
RESIZED: dict[str, Any] = {k: v for k, v in loadmat(GOLDEN / "resized.mat").items() if not k.startswith("__")}
SCORES: dict[str, dict[str, float]] = json.loads((GOLDEN / "scores.json").read_text())
#: Those of damaged or real pictures have the metrics of others, or none that need a truth.
NAMES = {path.stem for path in (CONF_DIR / "protocol").glob("*.yaml")}
PROTOCOLS = sorted(name for name in NAMES if not name.startswith("real_") and name not in ("realsr", "no_reference"))


def picture(name: str) -> Tensor:
    """``(1, C, H, W)`` uint8."""
    pixels = np.asarray(Image.open(GOLDEN / f"{name}.png"))
    return torch.tensor(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)[None]


def planar(values: Any) -> Tensor:
    array = values.reshape(*values.shape[:2], -1)
    return torch.tensor(array).permute(2, 0, 1)[None].double() / 255


@pytest.mark.parametrize("key", [key for key in RESIZED if re.search("_(down|up)\\d", key) and "luma" not in key])
def test_resized_as_octave_does(key: str) -> None:
    name, way, scale, edge, rounding = re.fullmatch(r"([a-z]+)_(down|up)(\d)_([a-z]+)_([a-z_]+)", key).groups()  # type: ignore[union-attr]
    whole, options = picture(name).double() / 255, {"edge": edge, "rounding": rounding}
    if way == "up":
        made = imresize(whole[:, 1:2, :6, :6], int(scale), **options)  # type: ignore[arg-type]
    else:
        made = imresize(modcrop(whole, int(scale)), 1 / int(scale), **options)  # type: ignore[arg-type]
        made = made[:, 1:2] if rounding == "none" else made
    expected = planar(RESIZED[key])
    if rounding == "none":
        torch.testing.assert_close(made, expected, atol=1e-7, rtol=0)  # the file has single precision
    else:
        assert torch.equal(made, expected)


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_colours_as_octave_has_them(name: str) -> None:
    whole = picture(name).double() / 255
    assert torch.equal(round_8bit(rgb_to_ycbcr(whole)), planar(RESIZED[f"{name}_ycbcr"]))
    exact = planar(RESIZED[f"{name}_ycbcr_exact"]) * 255
    # Octave's coefficients of chroma have more digits than MATLAB's; those of luma are the same.
    made = rgb_to_ycbcr(whole[..., :16, :16])
    torch.testing.assert_close(made, exact, atol=3e-7, rtol=0)
    torch.testing.assert_close(made[:, :1], exact[:, :1], atol=1e-7, rtol=0)
    torch.testing.assert_close(rgb_to_y(whole), rgb_to_ycbcr(whole)[:, :1], atol=1e-15, rtol=0)


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_the_lr_pictures_of_protocols(name: str) -> None:
    for protocol in PROTOCOLS:
        made: Protocol = build(compose("evaluate", [f"protocol={protocol}"]).protocol)
        lr, _ = made.prepare(picture(name), None, 3, luma=made.lr == "y")
        if made.lr == "rgb8":
            assert torch.equal(lr, planar(RESIZED[f"{name}_down3_{made.edge}_per_pass"]))
        elif made.round_y:
            torch.testing.assert_close(lr, planar(RESIZED[f"{name}_luma_down3"]), atol=1e-7, rtol=0)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_scores_as_scikit_image_computes_them(name: str) -> None:
    protocol: Protocol = build(compose("evaluate", [f"protocol={name}"]).protocol)
    keys = [key for key in SCORES if key.split()[0] == name]
    assert len(keys) == (18 if protocol.space == "y" else 9)
    for key in keys:
        _, file, scale, space = key.split()
        whole = picture(file)
        if protocol.space == "raw":  # as if colours were the planes of a packed mosaic
            whole = whole[:, [0, 1, 1, 2]] if whole.shape[1] == 3 else whole.expand(-1, 4, -1, -1)
        _, hr = protocol.prepare(whole, None, int(scale[1:]), luma=False)
        sr = disturbed((rgb_to_y(hr) if hr.shape[1] == 3 else hr) if space == "luma" else hr)
        found = {metric: value.item() for metric, value in protocol.score(sr, hr, int(scale[1:])).items()}
        assert found == pytest.approx(SCORES[key], abs=1e-6), key


def disturbed(image: Tensor) -> Tensor:
    channel, row, column = torch.meshgrid(*(torch.arange(n).double() for n in image.shape[1:]), indexing="ij")
    return image + 0.08 * torch.sin(0.7 * row + 1.3 * column + channel)
