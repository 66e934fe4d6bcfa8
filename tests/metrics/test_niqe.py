"""NIQE: the distance in closed form, files of parameters, and what pictures get."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import skimage.data
import torch

from sr_lightning.errors import CheckpointError
from sr_lightning.functional import imresize
from sr_lightning.functional.naturalness import niqe_features
from sr_lightning.metrics import Protocol
from sr_lightning.metrics.niqe import niqe, read_parameters


def coffee() -> torch.Tensor:
    return torch.from_numpy(skimage.data.coffee().copy()).permute(2, 0, 1)[None, :, :288, :384] / 255


def test_distance_in_closed_form() -> None:
    """One standard deviation away in one direction is a distance of 1."""
    features, _ = niqe_features(coffee())
    common = features.T.cov() + torch.eye(36)
    values, vectors = torch.linalg.eigh(common)
    mean = features.mean(0) + values[7].sqrt() * vectors[:, 7]
    assert niqe(coffee(), mean, 2 * common - features.T.cov()).item() == pytest.approx(1)
    assert niqe(coffee(), features.mean(0), common).item() == pytest.approx(0, abs=1e-9)


def test_damage_is_seen() -> None:
    hr, parameters = coffee(), read_parameters()
    clean = niqe(hr, *parameters).item()
    assert clean == pytest.approx(6.7501, abs=1e-3)
    noise = 25 / 255 * torch.randn(hr.shape, generator=torch.Generator().manual_seed(1))
    soft = imresize(imresize(hr, 0.25), 4)
    assert all(niqe(image.clamp(0, 1), *parameters).item() > clean + 2 for image in (hr + noise, soft))


@pytest.mark.parametrize("names", [("mu_prisparam", "cov_prisparam"), ("mu_pris_param", "cov_pris_param")])
@pytest.mark.parametrize("ending", ["npz", "mat"])
def test_files_of_parameters(tmp_path: Path, names: tuple[str, str], ending: str) -> None:
    mean, covariance = (p.numpy() for p in read_parameters())
    content = {names[0]: 1 + mean[None], names[1]: covariance}
    file = tmp_path / f"parameters.{ending}"
    np.savez(file, **content) if ending == "npz" else scipy.io.savemat(file, content)
    read = read_parameters(file)
    assert torch.equal(read[0], torch.from_numpy(1 + mean)) and torch.equal(read[1], torch.from_numpy(covariance))
    protocol = Protocol(name="p", metrics=["niqe"], niqe_parameters=str(file))
    assert protocol.measure(coffee())["niqe"].item() != Protocol(name="p", metrics=["niqe"]).measure(coffee())["niqe"]


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no such file; protocol\.niqe_parameters="):
        Protocol(name="p", metrics=["niqe"], niqe_parameters=str(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("no zip")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_parameters(tmp_path / "text.npz")
    (tmp_path / "text.mat").write_text("no mat")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_parameters(tmp_path / "text.mat")
    np.savez(tmp_path / "other.npz", mean=np.zeros(35), covariance=np.eye(35))
    with pytest.raises(CheckpointError, match="mean of 36 numbers"):
        read_parameters(tmp_path / "other.npz")


def test_small_and_flat_pictures() -> None:
    with pytest.raises(ValueError, match="at least 96x192"):
        niqe(torch.rand(1, 3, 100, 190), *read_parameters())
    assert niqe(torch.zeros(1, 1, 96, 192), *read_parameters()).isnan().all()


def test_blocks_are_measured_on_jpegs_grid_whatever_the_border() -> None:
    blocks = torch.rand(1, 3, 6, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    shaved = Protocol(name="p", metrics=["blockiness"], border_pixels=1).score(blocks, blocks, 2)["blockiness"]
    assert shaved == Protocol(name="p", metrics=["blockiness"]).measure(blocks)["blockiness"] > 2


def test_measures_without_truth() -> None:
    protocol = Protocol(name="p", metrics=["niqe", "blockiness", "noise"])
    alone = protocol.measure(coffee())
    compared = Protocol(name="p", metrics=["psnr", *protocol.metrics], border_scales=0).score(coffee(), coffee(), 2)
    assert {name: value.item() for name, value in alone.items()} == {name: compared[name].item() for name in alone}
    with pytest.raises(ValueError, match=r"psnr and ssim need the truth.*protocol=no_reference"):
        Protocol(name="p").measure(coffee())
