"""Layouts of data sets, and what every data config promises."""

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import get_class
from PIL import Image

from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.data import Folder
from sr_lightning.data.patches.datamodule import Loading, PictureDataModule
from sr_lightning.errors import ConfigError, DataError

CONFIGS = sorted(path.stem for path in (CONF_DIR / "data").glob("*.yaml"))


@pytest.mark.parametrize("name", CONFIGS)
def test_config_names_only_what_its_class_takes(name: str) -> None:
    cfg = compose("train", [f"data={name}"]).data
    cls = get_class(cfg._target_)
    assert issubclass(cls, PictureDataModule)
    own = {key for key in inspect.signature(cls).parameters if key != "loading"}
    given = {str(key) for key in cfg} - {"_target_"}
    assert own <= given <= own | set(Loading.__annotations__)


def numbered(folder: Path, numbers: range, name: str, size: tuple[int, int]) -> None:
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    for i in numbers:
        pixels = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name.format(i))


@pytest.fixture
def df2k(tmp_path: Path) -> Path:
    """The official folders, with a few pictures; of Flickr2K, LR is there."""
    numbered(tmp_path / "DIV2K" / "DIV2K_train_HR", range(1, 4), "{:04d}.png", (32, 40))
    numbered(tmp_path / "DIV2K" / "DIV2K_valid_HR", range(801, 803), "{:04d}.png", (32, 40))
    numbered(tmp_path / "Flickr2K" / "Flickr2K_HR", range(2639, 2643), "{:06d}.png", (36, 30))
    numbered(tmp_path / "Flickr2K" / "Flickr2K_LR_bicubic" / "X2", range(2639, 2643), "{:06d}x2.png", (18, 15))
    return tmp_path


SMALL = ["data.patch_size=16", "data.num_workers=0", "data.batch_size=30"]


@pytest.mark.filterwarnings("ignore:.*of the pictures")
def test_flickr2k(df2k: Path) -> None:
    data = build(compose("train", ["data=flickr2k", f"data_dir={df2k}", *SMALL]).data)
    data.setup("fit")
    assert len(data.patches) == 2 and len(data.val_sets["flickr2k"]) == 2
    assert data.describe() == "2 pictures, LR pictures of the set at scale 2, patches of 16x16"
    small = np.array(Image.open(df2k / "Flickr2K" / "Flickr2K_LR_bicubic" / "X2" / "002641x2.png"))
    assert np.array_equal(data.val_sets["flickr2k"][0]["lr"].permute(1, 2, 0), small)
    with pytest.raises(DataError, match=r"nowhere/Flickr2K/Flickr2K_HR: no such folder; data=flickr2k expects"):
        build(compose("train", ["data=flickr2k", "data_dir=nowhere"]).data).setup("fit")


@pytest.mark.filterwarnings("ignore:.*of the pictures")
def test_df2k(df2k: Path) -> None:
    data = build(compose("train", ["data=df2k", f"data_dir={df2k}", *SMALL]).data)
    data.setup("fit")
    assert {name: len(part) for name, part in data.patches.parts.items()} == {"div2k": 3, "flickr2k": 4}
    assert data.val_names == ["div2k"]
    assert {len(name) for name in next(iter(data.train_dataloader()))["name"]} == {4, 6}


# --- pairs of patches in folders --------------------------------------------------------------------------------------


@pytest.fixture
def pairs(tmp_path: Path, real_data: Path) -> Callable[..., tuple[Path, Path]]:
    """Folders of equal-named patches of a real picture: HR of 32 pixels and every second of them."""

    def make(mode: str, enlarged: bool = False) -> tuple[Path, Path]:
        whole = np.array(Image.open(real_data / "Set5" / "butterfly.png").convert(mode))
        hr_dir, lr_dir = tmp_path / f"hr_{mode}", tmp_path / f"lr_{mode}{enlarged}"
        for folder in (hr_dir, lr_dir):
            folder.mkdir(exist_ok=True)
        for i in range(6):
            patch = whole[32 * i : 32 * i + 32, :32]
            small = patch[::2, ::2]
            Image.fromarray(patch).save(hr_dir / f"{i}.png")
            Image.fromarray(small.repeat(2, 0).repeat(2, 1) if enlarged else small).save(lr_dir / f"{i}.png")
        return hr_dir, lr_dir

    return make


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("patch_size", [32, None])
def test_folder_of_patches(mode: str, patch_size: int | None, pairs: Callable[..., tuple[Path, Path]]) -> None:
    hr_dir, lr_dir = pairs(mode)
    options = {"patch_size": patch_size, "batch_size": 4, "num_workers": 0, "batches_per_epoch": 3, "augment": False}
    data = Folder(2, str(hr_dir), str(lr_dir), num_val=1, **options)  # type: ignore[arg-type]
    data.setup("fit")
    for batch in data.train_dataloader():
        for lr, hr, name in zip(batch["lr"], batch["hr"], batch["name"], strict=True):
            pixels = np.array(Image.open(hr_dir / f"{name}.png"))
            assert hr.shape == (3 if mode == "RGB" else 1, 32, 32)
            assert np.array_equal(hr.permute(1, 2, 0).squeeze(), pixels) and torch.equal(lr, hr[:, ::2, ::2])


def test_folder_of_grey_patches_for_networks_of_rgb(pairs: Callable[..., tuple[Path, Path]]) -> None:
    hr_dir, lr_dir = pairs("L")
    data = Folder(2, str(hr_dir), str(lr_dir), num_val=1, patch_size=32, num_workers=0, channels=3)
    data.setup("fit")
    assert next(iter(data.train_dataloader()))["lr"].shape[1] == 3
    with pytest.raises(ConfigError, match=r"data\.channels=2"):
        Folder(2, str(hr_dir), channels=2)


def test_folder_of_enlarged_patches(pairs: Callable[..., tuple[Path, Path]]) -> None:
    hr_dir, lr_dir = pairs("L", enlarged=True)
    data = Folder(2, str(hr_dir), str(lr_dir), val_hr_dir=str(hr_dir), patch_size=20, num_workers=0)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["scale"] == 1 and batch["lr"].shape == batch["hr"].shape == (16, 1, 20, 20)
    with pytest.raises(DataError, match="LR and HR are the same picture"):
        Folder(2, str(hr_dir), str(hr_dir), val_hr_dir=str(hr_dir), patch_size=20).setup("fit")


@pytest.mark.filterwarnings("ignore:.*of the pictures")
def test_validation_on_some_pictures_spread_over_the_set(df2k: Path) -> None:
    settings = [f"data.hr_dir={df2k}/DIV2K/DIV2K_train_HR", f"data.val_hr_dir={df2k}/Flickr2K/Flickr2K_HR"]
    cfg = compose("train", ["data=folder", *settings, "data.max_val_pictures=2", *SMALL])
    data, whole = build(cfg.data), build(compose("train", ["data=folder", *settings, *SMALL]).data)
    for each in (data, whole):
        each.setup("fit")
    some, every = data.val_sets["flickr2k_hr"], whole.val_sets["flickr2k_hr"]
    assert len(every) == 4 and len(some) == 2
    assert torch.equal(some[0]["hr"], every[0]["hr"]) and torch.equal(some[1]["hr"], every[2]["hr"])
    data.val_sets = {}
    data.setup("test")  # evaluation takes all
    assert len(data.val_sets["flickr2k_hr"]) == 4
    with pytest.raises(ConfigError, match=r"data\.max_val_pictures=0"):
        build(compose("train", ["data=folder", *settings, "data.max_val_pictures=0"]).data)
