"""Protocols against published tables: the metric proven without any network."""

import re
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from reading import load
from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.errors import CheckpointError, ConfigError, PictureError
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
    channels = 4 if p.space == "raw" else 3
    hr = torch.randint(0, 256, (1, channels, 119, 215), dtype=torch.uint8)
    lr, truth = p.prepare(hr, None, 3, luma=False)
    assert truth.shape == (1, channels, 117, 213)
    assert lr.shape[-2:] == (39, 71)
    scores = p.score(truth, truth, 3)
    assert {*scores} == {*p.metrics}
    assert "psnr" not in scores or scores["psnr"].isinf().all()
    assert "ssim" not in scores or scores["ssim"].item() == pytest.approx(1)


def test_grey_pictures() -> None:
    grey = torch.randint(0, 256, (1, 1, 24, 24), dtype=torch.uint8)
    direct, stacked = (Protocol("p", grey=rule).prepare(grey, None, 2, luma=True)[1] for rule in ("direct", "stack"))
    assert direct.shape[1] == 1
    assert stacked.shape[1] == 3


def test_grey_lr_is_stacked_as_grey_hr() -> None:
    lr, hr = Protocol("p", grey="stack").prepare(torch.rand(1, 1, 24, 24), torch.rand(1, 1, 12, 12), 2, luma=False)
    assert lr.shape == (1, 3, 12, 12) and hr.shape == (1, 3, 24, 24)


def test_networks_compare_the_picture_with_the_truth_inside_the_border(monkeypatch: pytest.MonkeyPatch) -> None:
    class First(torch.nn.Module):
        def forward(self, sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
            assert sr.shape == hr.shape == (1, 3, 20, 20)
            return (sr - hr).mean()

    monkeypatch.setattr(Protocol, "_distance", lambda self, metric: First())
    own = Protocol("p", metrics=["lpips"], lpips_weights="there", border_scales=1)
    sr, hr = torch.full((1, 3, 24, 24), 0.75), torch.full((1, 3, 24, 24), 0.5)
    assert float(own.score(sr, hr, 2)["lpips"]) == pytest.approx(0.25, abs=0.002)  # of 8 bit


def test_given_lr_is_used() -> None:
    hr, lr = torch.zeros(1, 3, 24, 24), torch.rand(1, 3, 12, 12)
    torch.testing.assert_close(Protocol("p").prepare(hr, lr, 2, luma=False)[0], lr.double())


def test_unknown_metric() -> None:
    with pytest.raises(ConfigError, match=r"protocol\.metrics=fid: must be psnr, ssim, ms_ssim, ifc"):
        Protocol("p", metrics=["psnr", "fid"])  # type: ignore[list-item]


@pytest.mark.parametrize("change", [{"space": "lab"}, {"lr": "RGB"}, {"edge": "wrap"}, {"grey": "x"}, {"metrics": []}])
def test_unknown_values(change: dict) -> None:
    with pytest.raises(ConfigError, match=f"protocol.{next(iter(change))}="):
        Protocol("p", **change)


def test_a_perfect_picture_does_not_spoil_the_mean() -> None:
    assert mean_scores({"a": {"psnr": 30.0}, "b": {"psnr": float("inf")}}) == {"psnr": 30.0}
    assert mean_scores({"a": {"psnr": float("inf")}}) == {"psnr": float("inf")}


def test_a_network_that_diverged_has_no_mean() -> None:
    nan = float("nan")
    for others in ({}, {"b": {"psnr": 30.0}}, {"b": {"psnr": float("inf")}}):
        assert isnan(mean_scores({"a": {"psnr": nan}, **others})["psnr"])


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


# SPECIFICATION's IFC of bicubic pictures, as in the tables of SelfExSR and LapSRN with 8-bit luma.
IFC = {"Set5": (6.083, 3.579, 2.329), "Set14": (6.105, 3.473, 2.237)}


@pytest.mark.parametrize("folder", IFC)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_ifc(real_data: Path, folder: str, scale: int) -> None:
    p, values = replace(protocol("y_matlab"), metrics=["ifc"]), []
    for path in sorted((real_data / folder).glob("*.png")):
        lr, hr = p.prepare(load(path), None, scale, luma=True)
        values.append(p.score(imresize(lr, scale), hr, scale)["ifc"].item())
    assert sum(values) / len(values) == pytest.approx(IFC[folder][scale - 2], abs=0.002)


def by_numpy(name: str, sr: np.ndarray, hr: np.ndarray, scale: int) -> dict[str, float]:
    """The protocols without a published table, written anew from their descriptions with scikit-image.

    Pictures are float64 RGB ``(H, W, 3)`` in [0, 1], the truth of 8 bit.
    """
    sr = sr.clip(0, 1)
    if name in ("rgb_div2k", "y_lapsrn"):
        sr = np.floor(sr * 255 + 0.5 + 1e-9) / 255  # enlarged 8-bit levels lie on halves, but for their last digit
    if name in ("y_lapsrn", "collection"):
        sr, hr = (image @ np.array([65.481, 128.553, 24.966]) / 255 + 16 / 255 for image in (sr, hr))
    cut = {"rgb_div2k": scale + 6, "y_lapsrn": scale, "collection": scale}.get(name, 0)
    if cut:
        sr, hr = (image[cut:-cut, cut:-cut] for image in (sr, hr))
    scores = {"psnr": peak_signal_noise_ratio(hr, sr, data_range=1)}
    if name != "collection":
        margin = [(5, 5), (5, 5)]
        planes = [(sr, hr)] if sr.ndim == 2 else [(sr[..., c], hr[..., c]) for c in range(3)]
        if name == "deepresnet":
            planes = [(np.pad(x, margin), np.pad(y, margin)) for x, y in planes]
        maps = [
            structural_similarity(
                x, y, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
            )[1][5:-5, 5:-5]
            for x, y in planes
        ]
        scores["ssim"] = float(np.mean(maps))
    return scores


@pytest.mark.parametrize("name", ["rgb_div2k", "y_lapsrn", "deepresnet", "rawsr", "collection"])
@pytest.mark.parametrize("scale", [2, 3])
def test_protocols_without_a_table(real_data: Path, name: str, scale: int) -> None:
    p = protocol(name)
    lr, hr = p.prepare(load(real_data / "Set5" / "butterfly.png"), None, scale, luma=False)
    sr = imresize(lr, scale)
    arrays = (image[0].permute(1, 2, 0).numpy() for image in (sr, hr))
    scores = {metric: value.item() for metric, value in p.score(sr, hr, scale).items()}
    assert scores == pytest.approx(by_numpy(name, *arrays, scale), abs=1e-9)


def test_rgb_of_pans_network(real_data: Path) -> None:
    """RGB with a border of the scale, of the network whose authors published each picture's value."""
    log = (real_data / "golden_sr" / "PAN_logs" / "PANx4.log").read_text()
    published = dict(re.findall(r"(baby|bird|butterfly|head|woman)\S*\s+- PSNR: ([\d.]+) dB", log))
    if len(published) < 5:
        pytest.skip("PAN's log has another form")
    from sr_lightning.weights.load import load_weights

    model = build(compose("evaluate", ["model=pan", "scale=4"]).model, protocol=Protocol("rgb", space="rgb"))
    load_weights(model, real_data / "weights" / "PAN_x4.pth")
    with torch.inference_mode():
        for name, value in published.items():
            hr = (load(real_data / "Set5" / f"{name}.png") * 255).round().byte()
            scores = model.eval().score({"hr": hr, "name": [name]})[1]
            assert scores["psnr"].item() == pytest.approx(float(value), abs=0.002)


def test_lr_consistency() -> None:
    p = Protocol("p", space="rgb", metrics=["lr_psnr"], quantize=False)
    lr, hr = p.prepare(torch.rand(1, 3, 24, 24), None, 2, luma=False)
    assert p.score(hr, hr, 2, lr)["lr_psnr"].item() > 50  # LR is of 8 bit
    assert p.score(hr, hr, 2, imresize(hr, 0.5) + 0.1)["lr_psnr"].item() == pytest.approx(20, abs=1e-3)
    with pytest.raises(ValueError, match="lr="):
        p.score(hr, hr, 2)


def test_too_small_for_ifc_names_the_picture() -> None:
    from sr_lightning.models.bicubic import Bicubic

    model = Bicubic(scale=2, protocol=Protocol("p", metrics=["ifc"]))
    with pytest.raises(PictureError, match=r"tiny: cannot be scored by p: IFC needs at least 72x72 pixels, got 60x60"):
        model.score({"hr": torch.zeros(1, 3, 64, 64, dtype=torch.uint8), "name": ["tiny"]})


def test_networks_need_their_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"protocol\.lpips_weights=FILE"):
        Protocol("p", metrics=["lpips"])
    with pytest.raises(CheckpointError, match="no such file of DISTS"):
        Protocol("p", metrics=["dists"], dists_weights=str(tmp_path / "none.pth"))
