"""Networks by name, in folders as the hub has them, and on the hub."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import sr_lightning as sr
from sr_lightning.errors import CheckpointError, ConfigError
from sr_lightning.inference.auto import GAIN_ON_RAW
from sr_lightning.models import EDSR
from sr_lightning.weights.shipped import PHOTO, RAW, card_file, load_pretrained, pretrained_networks, weights_file


@pytest.fixture
def network() -> EDSR:
    torch.manual_seed(0)
    return EDSR(scale=3, num_features=8, num_blocks=1).eval()


def test_what_comes_with_the_package() -> None:
    assert pretrained_networks() == {name: [2, 3, 4] for name in ("espcn", "fsrcnn", "span")} | {
        "photo": [2, 4],
        "rawsr_tiny": [2, 4],
    }
    files = [weights_file(name, scale) for name, scales in pretrained_networks().items() for scale in scales]
    assert sum(path.stat().st_size for path in files) <= 6 * 2**20
    for name, scales in pretrained_networks().items():
        for scale in scales:
            card = card_file(name, scale).read_text()
            protocol = "`rawsr`" if name == RAW else "y_rgb8"
            for word in ("Data:", "sr_lightning.train", "Seed", protocol, "parameters", "| "):
                assert word in card


@pytest.mark.parametrize(
    ("name", "scale"),
    [(name, scale) for name, scales in pretrained_networks().items() for scale in scales if name != RAW],
)
def test_each_is_better_than_bicubic_on_pictures_it_never_saw(name: str, scale: int) -> None:
    from skimage.data import astronaut

    from sr_lightning.functional import imresize, psnr, rgb_to_y

    hr = torch.from_numpy(astronaut()[:240, 120:360] / 255.0).permute(2, 0, 1)[None]
    lr = imresize(hr, 1 / scale).clamp(0, 1)
    upscaler = sr.load(name, scale=scale)
    margin = slice(scale, -scale)

    def score(sr_picture: torch.Tensor) -> float:
        pair = rgb_to_y(sr_picture.double().clamp(0, 1)), rgb_to_y(hr)
        return psnr(*(y[..., margin, margin] for y in pair)).item()

    assert score(upscaler.upscale(lr)) > score(imresize(lr, scale)) + 0.5


def test_default_and_unknown_names() -> None:
    assert sr.load().model.scale == 2
    assert sr.load("span", scale=4).upscale(np.zeros((5, 6, 3), np.uint8)).shape == (20, 24, 3)
    assert sr.load("bicubic", scale=3).upscale(np.zeros((5, 6, 3), np.uint8)).shape == (15, 18, 3)
    with pytest.raises(ConfigError, match="did you mean 'span'"):
        sr.load("spam")
    with pytest.raises(ConfigError, match="for scale 2, 3, 4, but not for 8"):
        sr.load("span", scale=8)
    with pytest.raises(ConfigError, match="no network of this name is shipped"):
        load_pretrained("rdn", 2)


def test_folders_as_the_hub_has_them(network: EDSR, tmp_path: Path) -> None:
    folder = sr.save_pretrained(network, tmp_path / "mine")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    about = json.loads((folder / "config.json").read_text())
    assert (about["network"], about["scale"], about["arguments"]["num_features"]) == ("EDSR", 3, 8)
    assert "library_name: sr_lightning" in (folder / "README.md").read_text()
    lr = torch.rand(1, 3, 9, 7)
    for again in (sr.from_pretrained(folder), sr.load(folder).model.cpu(), sr.load(folder / "model.safetensors").model):
        torch.testing.assert_close(again.cpu()(lr), network(lr))
    with pytest.raises(ConfigError, match="trained for scale 3, not for 2"):
        sr.load(folder, scale=2)


def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match="is a folder; name a file"):
        sr.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="no such file of weights"):
        sr.load("runs/none.ckpt")
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="runs/typo: no such file of weights"):  # and no name on the Hub
        sr.load("runs/typo")
    with pytest.raises(ConfigError, match="nothing: no file or folder of weights, and no shipped network"):
        sr.from_pretrained("nothing")


def test_the_hub(network: EDSR, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own client, but for what goes over the net."""
    hub = pytest.importorskip("huggingface_hub")
    there = tmp_path / "there"

    def create_repo(self: Any, repo_id: str, **_: Any) -> Any:
        return hub.RepoUrl(f"https://huggingface.co/{repo_id}")

    def upload_folder(self: Any, *, repo_id: str, folder_path: str, **_: Any) -> str:
        Path(folder_path).rename(there / repo_id)
        Path(folder_path).mkdir()
        return f"https://huggingface.co/{repo_id}"

    def download(repo_id: str, name: str, revision: str | None = None) -> str:
        if not (there / repo_id).is_dir():
            raise hub.errors.RepositoryNotFoundError(
                "404 Client Error.\nmore", response=SimpleNamespace(headers={}, request=None, status_code=404)
            )
        return str(there / repo_id / name)

    (there / "me").mkdir(parents=True)
    monkeypatch.setattr(hub.HfApi, "create_repo", create_repo)
    monkeypatch.setattr(hub.HfApi, "upload_folder", upload_folder)
    monkeypatch.setattr(hub, "hf_hub_download", download)
    assert sr.push_to_hub(network, "me/mine", card="# Mine") == "https://huggingface.co/me/mine"
    assert (there / "me/mine/README.md").read_text() == "# Mine"
    lr = torch.rand(1, 3, 9, 7)
    assert torch.equal(sr.from_pretrained("me/mine")(lr), network(lr))
    with pytest.raises(CheckpointError, match="me/other: no such folder, and not found on the Hub"):
        sr.load("me/other")


@pytest.mark.parametrize(
    ("name", "scale"),
    [(name, scale) for name, scales in pretrained_networks().items() for scale in scales if name not in (PHOTO, RAW)],
)
def test_each_scores_on_set5_what_its_card_says(name: str, scale: int, real_data: Path) -> None:
    from sr_lightning.config import build, compose
    from sr_lightning.evaluation.scoring import score_sets

    cfg = compose("evaluate", ["protocol=y_matlab", f"scale={scale}", f"data_dir={real_data}"])
    model, data = load_pretrained(name, scale), build(cfg.data)
    model.protocol = build(cfg.protocol)
    data.setup("test")
    data.val_sets = {"set5": data.val_sets["set5"]}
    psnr = score_sets(model, data)["set5"]["psnr"]
    (row,) = [
        line for line in card_file(name, scale).read_text().splitlines() if line.startswith(f"| `y_matlab` | {name}")
    ]
    assert float(row.split("|")[3].split("/")[0]) == pytest.approx(psnr, abs=1e-3)


@pytest.mark.parametrize("scale", [2, 4])
def test_raw_files_get_what_the_card_says(scale: int, real_data: Path) -> None:
    """On photographs of McMaster's pictures, and more than demosaicing and the other networks give, as it says, too."""
    from sr_lightning.config import build, compose
    from sr_lightning.evaluation.scoring import score_sets

    folder = f"data.hr_dir={real_data}/McMaster18", f"data.val_hr_dir={real_data}/McMaster18"
    typed = ["data=raw_synthesis", "protocol=rawsr", f"scale={scale}", "data.camera.quality=null", *folder]
    cfg = compose("evaluate", typed)
    model, data = load_pretrained(RAW, scale), build(cfg.data)
    model.protocol = build(cfg.protocol)
    data.setup("test")
    (found,) = score_sets(model, data).values()
    rows = [line.split("|") for line in card_file(RAW, scale).read_text().splitlines() if line.startswith("| ")]
    all_of = {row[1].strip(): [float(cell.split("/")[0]) for cell in row[2:-1]] for row in rows if "/" in row[2]}
    card = {name: values[0] for name, values in all_of.items()}
    assert card[f"`{RAW}`"] == pytest.approx(found["psnr"], abs=0.01)
    assert found["psnr"] > card["demosaicing and bicubic"] + (1.7 if scale == 2 else 0.8)
    assert found["psnr"] > card["demosaicing and `span`"] + 0.3
    gains = np.subtract(all_of[f"`{RAW}`"], all_of["demosaicing and `photo`"])
    assert len(gains) == 4 and 0 <= gains.min() - GAIN_ON_RAW[scale] < 0.1
