"""Evaluation of real photographs: protocols that degrade, folders without truth, photographed pairs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.config import build, compose
from sr_lightning.data.patches.store import degraded_store, open_store
from sr_lightning.degradations import seed_of
from sr_lightning.errors import ConfigError, DataError, PictureError
from sr_lightning.evaluate import evaluate
from sr_lightning.functional import psnr, rgb_to_y, round_8bit


def scored(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    return evaluate(compose("evaluate", [*arguments, "device=cpu", f"run_dir={tmp_path / 'run'}"]))


def smooth(seed: int, height: int = 200, width: int = 220) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Set14, BSD100 and McMaster18 of one picture each."""
    for number, name in enumerate(("Set14", "BSD100", "McMaster18")):
        (tmp_path / "sets" / name).mkdir(parents=True)
        Image.fromarray(smooth(number)).save(tmp_path / "sets" / name / f"{number}.png")
    return tmp_path / "sets"


@pytest.mark.parametrize("name", ["real_mild", "real_medium", "real_strong"])
def test_a_protocol_brings_sets_and_degradation(sets: Path, tmp_path: Path, name: str) -> None:
    result = scored(tmp_path, f"protocol={name}", "scale=4", f"data_dir={sets}")
    assert list(result["sets"]) == ["set14", "bsd100", "mcmaster18"]
    assert result["degradation"]["name"] == result["protocol"] == name
    assert {"psnr", "ssim", "niqe"} <= {*result["sets"]["mcmaster18"]}
    assert all(of_set["lr"] == "degradation" for of_set in result["sets"].values())


def test_what_is_typed_wins(sets: Path, tmp_path: Path) -> None:
    common = ["protocol=real_mild", "scale=2", f"data_dir={sets}", "data.sets=bsd100"]
    other = scored(tmp_path, *common, "degradation=dn")
    assert list(other["sets"]) == ["bsd100"] and other["degradation"]["name"] == "dn"
    clean = scored(tmp_path, *common, "degradation=bicubic")
    assert clean["sets"]["bsd100"]["psnr"] > other["sets"]["bsd100"]["psnr"] + 5
    with pytest.raises(ConfigError, match="degradation=dnn: there is no such config; did you mean 'dn'"):
        scored(tmp_path, *common, "degradation=dnn")


def test_lr_never_changes_between_runs(tmp_path: Path) -> None:
    """The same pixels in a new cache; others for another name, and where a training draws them."""
    for name in ("a", "b"):
        Image.fromarray(smooth(1, 96, 96)).save(tmp_path / f"{name}.png")
    lr = []
    for cache in ("first", "second"):
        arguments = ["data=folder", f"data.lr_dir={tmp_path}", "protocol=real_medium"]
        cfg = compose("evaluate", arguments)
        hr = open_store([tmp_path / "a.png", tmp_path / "b.png"], tmp_path / cache)
        lr.append(degraded_store(hr, build(cfg.degradation), 2, tmp_path / cache).pictures)
    assert all(np.array_equal(lr[0][i], lr[1][i]) for i in range(2))
    assert not np.array_equal(lr[0][0], lr[0][1])
    drawn = build(cfg.degradation).draw(np.random.default_rng(seed_of("baboon")))
    assert drawn["steps"][3]["quality"] == 35


def test_a_folder_without_truth(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(smooth(1)).save(photos / "colour.png")
    Image.fromarray(smooth(2)[..., 0]).save(photos / "grey.png")
    given = ["data=folder", f"data.lr_dir={photos}"]
    result = scored(tmp_path, *given, "protocol=no_reference", "scale=2", "save_images=true")
    measured = result["sets"]["photos"]
    assert {*measured["images"]["grey"]} == {"niqe", "blockiness", "noise"} and measured["lr"] == "files"
    pictures = tmp_path / "run" / "pictures" / "photos"
    assert Image.open(pictures / "colour.png").size == (440, 400) and not (pictures / "hr").exists()
    luma = scored(tmp_path, *given, "protocol=no_reference", "scale=2", "model=fsrcnn")
    assert luma["sets"]["photos"]["niqe"] > 0
    with pytest.raises(PictureError, match="psnr and ssim need the truth, and there is none; type protocol=no_ref"):
        scored(tmp_path, *given)
    plain = scored(tmp_path, *given, "protocol=no_reference", "scale=1")
    assert plain["sets"]["photos"]["images"]["colour"]["blockiness"] != measured["images"]["colour"]["blockiness"]
    with pytest.raises(ConfigError, match=r"for sr-evaluate alone; give data\.hr_dir=FOLDER"):
        build(compose("train", given).data).setup("fit")


def test_pairs_as_realsr_has_them(tmp_path: Path) -> None:
    """LR as large as HR, in one folder: compared as it is at scale 1, and made smaller for a network that enlarges."""
    hr = smooth(1)
    lr = (hr // 2 + 40).astype(np.uint8)
    Image.fromarray(hr).save(tmp_path / "Canon_001_HR.png")
    Image.fromarray(lr).save(tmp_path / "Canon_001_LR4.png")
    given = ["data=pairs", f"data.hr_dir={tmp_path}"]
    same = scored(tmp_path, *given, "scale=1", "protocol=realsr")
    y = [round_8bit(rgb_to_y(torch.from_numpy(p.copy()).permute(2, 0, 1)[None].double() / 255)) for p in (lr, hr)]
    (name,) = same["sets"]
    assert same["sets"][name]["images"]["Canon_001_HR"]["psnr"] == pytest.approx(psnr(*y).item(), abs=1e-9)
    enlarged = scored(tmp_path, *given, "scale=4")
    assert abs(enlarged["sets"][name]["psnr"] - same["sets"][name]["psnr"]) < 1  # a smooth picture
    with pytest.raises(DataError, match=r"Canon_001_HR\.png: no LR picture Canon_001_LR3"):
        scored(tmp_path, *given, "scale=1", "data.lr_ending=_LR3")
    with pytest.raises(DataError, match=r"no picture's name ends in _GT; data\.hr_ending="):
        scored(tmp_path, *given, "scale=1", "data.hr_ending=_GT")


def test_pairs_are_trained_on(tmp_path: Path) -> None:
    for number in range(6):
        Image.fromarray(smooth(number)).save(tmp_path / f"Nikon_{number}_HR.png")
        Image.fromarray(smooth(number)).save(tmp_path / f"Nikon_{number}_LR4.png")
    cfg = compose("train", ["data=pairs", f"data.hr_dir={tmp_path}", "data.num_val=2", "scale=2", "data.num_workers=0"])
    data = build(cfg.data)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["hr"].shape[-1] == 2 * batch["lr"].shape[-1] == 96
    assert len(data.val_sets["held_out"]) == 2
