"""Protocols against published tables: the metric proven without any network."""

import re
from pathlib import Path

import pytest
import torch

from conftest import load
from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.functional import imresize, modcrop
from sr_lightning.metrics import Protocol, mean_scores

NAMES = sorted(path.stem for path in (CONF_DIR / "protocol").glob("*.yaml"))


def protocol(name: str) -> Protocol:
    return build(compose("evaluate", [f"protocol={name}"]).protocol)


def test_all_are_there_and_know_their_name() -> None:
    assert set(NAMES) >= {
        "y_matlab", "y_rgb8", "y_selfex", "rgb_div2k", "y_lapsrn", "deepresnet", "rawsr", "collection"
    }  # fmt: skip
    for name in NAMES:
        assert protocol(name).name == name


# (protocol, set, rounding of the enlargement) -> PSNR and SSIM at x2, x3, x4
BICUBIC = {
    ("y_matlab", "Set5", "none"): ((33.6614, 0.9299), (30.3922, 0.8682), (28.4207, 0.8104)),
    ("y_matlab", "Set14", "none"): ((30.2318, 0.8687), (27.5405, 0.7736), (26.0001, 0.7019)),
    ("y_matlab", "BSD100", "none"): ((29.5579, 0.8431), (27.2072, 0.7384), (25.9606, 0.6674)),
    ("y_rgb8", "Set5", "per_pass"): ((33.6734, 0.9303), (30.4033, 0.8689), (28.4290, 0.8111)),
    # SelfExSR's own table has two digits.
    ("y_selfex", "Set5", "per_pass"): ((33.64, None), (30.39, None), (28.42, None)),
}


@pytest.mark.parametrize(("name", "folder", "rounding"), BICUBIC)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_rows(real_data: Path, name: str, folder: str, rounding: str, scale: int) -> None:
    p, scores = protocol(name), {}
    for path in sorted((real_data / folder).glob("*.png")):
        lr, hr = p.prepare(load(path), None, scale, luma=True)
        values = p.score(imresize(lr, scale, rounding=rounding, edge=p.edge), hr, scale)
        scores[path.stem] = {metric: value.item() for metric, value in values.items()}
    psnr, ssim = BICUBIC[name, folder, rounding][scale - 2]
    mean = mean_scores(scores)
    assert mean["psnr"] == pytest.approx(psnr, abs=0.015 if ssim is None else 0.0005)
    if ssim:
        assert mean["ssim"] == pytest.approx(ssim, abs=0.0001)


def test_rcans_pictures_score_what_its_authors_say(real_data: Path) -> None:
    folder, p, seen = real_data / "golden_sr" / "RCAN_Set5", protocol("y_rgb8"), 0
    report = (folder / "PSNR_SSIM_Results_BI_model.txt").read_text().split("Method_2")[0]
    for scale, name, psnr, ssim in re.findall(r"x(\d) \d (\w+)_RCAN_x\d\.png: PSNR= ([\d.]+) SSIM= ([\d.]+)", report):
        sr = load(folder / f"x{scale}" / f"{name}_RCAN_x{scale}.png")
        hr = modcrop(load(real_data / "Set5" / f"{name}.png"), int(scale))
        values = p.score(sr, hr, int(scale))
        assert values["psnr"].item() == pytest.approx(float(psnr), abs=1e-4)
        assert values["ssim"].item() == pytest.approx(float(ssim), abs=2e-6)
        seen += 1
    assert seen == 20


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_picture(name: str) -> None:
    p = protocol(name)
    hr = torch.randint(0, 256, (1, 3, 47, 50), dtype=torch.uint8)
    lr, truth = p.prepare(hr, None, 3, luma=False)
    assert truth.shape == (1, 3, 45, 48)
    assert lr.shape[-2:] == (15, 16)
    scores = p.score(truth, truth, 3)
    assert scores["psnr"].isinf().all()
    assert "ssim" not in scores or scores["ssim"].item() == pytest.approx(1)


def test_grey_pictures() -> None:
    grey = torch.randint(0, 256, (1, 1, 24, 24), dtype=torch.uint8)
    direct, stacked = (Protocol("p", grey=rule).prepare(grey, None, 2, luma=True)[1] for rule in ("direct", "stack"))
    assert direct.shape[1] == 1
    assert stacked.shape[1] == 3


def test_given_lr_is_used() -> None:
    hr, lr = torch.zeros(1, 3, 24, 24), torch.rand(1, 3, 12, 12)
    torch.testing.assert_close(Protocol("p").prepare(hr, lr, 2, luma=False)[0], lr.double())


def test_unknown_metric() -> None:
    with pytest.raises(ValueError, match="must be a list of psnr and ssim"):
        Protocol("p", metrics=["psnr", "fid"])  # type: ignore[list-item]


@pytest.mark.parametrize("change", [{"space": "lab"}, {"lr": "RGB"}, {"edge": "wrap"}, {"grey": "x"}, {"metrics": []}])
def test_unknown_values(change: dict) -> None:
    with pytest.raises(ValueError, match=f"protocol.{next(iter(change))}="):
        Protocol("p", **change)


def test_a_perfect_picture_does_not_spoil_the_mean() -> None:
    assert mean_scores({"a": {"psnr": 30.0}, "b": {"psnr": float("inf")}}) == {"psnr": 30.0}


def test_given_lr_of_a_luma_protocol_is_luma() -> None:
    hr, lr = torch.zeros(1, 3, 24, 24), torch.rand(1, 3, 12, 12)
    assert protocol("y_matlab").prepare(hr, lr, 2, luma=True)[0].shape[1] == 1
    assert protocol("y_matlab").prepare(hr, lr, 2, luma=False)[0].shape[1] == 3


def test_grey_pictures_of_rgb_networks(real_data: Path) -> None:
    """Set14's bridge through a network that takes RGB alone scores as through one of luma."""
    from sr_lightning.models.base import SuperResolutionModule

    class Plain(torch.nn.Module):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            assert lr.shape[1] == 3
            return imresize(lr, 2)

    model = SuperResolutionModule(Plain(), scale=2, protocol=protocol("y_matlab"))
    bridge = (load(real_data / "Set14" / "bridge.png") * 255).round().byte()
    rgb = model.score({"hr": bridge, "name": ["bridge"]})[1]["psnr"].item()
    model.luma = True
    model.net = torch.nn.Upsample()  # unused below
    lr, hr = model.protocol.prepare(bridge, None, 2, luma=True)
    assert rgb == pytest.approx(model.protocol.score(imresize(lr, 2), hr, 2)["psnr"].item(), abs=1e-9)
