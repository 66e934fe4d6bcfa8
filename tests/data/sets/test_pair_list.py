"""JSON lists of pairs, as DeepResNet's: both notations, paths beside the list, and what is wrong with one is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sr_lightning.config import build, compose
from sr_lightning.data import PairList
from sr_lightning.errors import ConfigError, DataError

OPTIONS: dict[str, Any] = {"batch_size": 4, "batches_per_epoch": 5, "num_workers": 0}


@pytest.fixture
def patches(tmp_path: Path) -> Callable[..., list[dict[str, str]]]:
    """Equal-sized pairs in a folder; the list of them."""

    def make(name: str = "patches", count: int = 5, side: int = 24, scale: int = 3) -> list[dict[str, str]]:
        generator = np.random.default_rng(1)
        for part in ("HR", "LR"):
            (tmp_path / name / part).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            hr = generator.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(hr).save(tmp_path / name / "HR" / f"{i}.png")
            Image.fromarray(hr[::scale, ::scale]).save(tmp_path / name / "LR" / f"{i}x{scale}.png")
        return [{"HR": f"{name}/HR/{i}.png", "LR": f"{name}/LR/{i}x{scale}.png"} for i in range(count)]

    return make


@pytest.mark.parametrize("write", [json.dumps, str], ids=["JSON", "Python"])
def test_patches_are_read_whole(write: Any, patches: Any, tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(write(patches()))
    (tmp_path / "Set1.json").write_text(write(patches("one", 2)))
    (tmp_path / "set2.json").write_text(write(patches("two", 3)[1:]))
    overrides = [
        "data=pair_list",
        "scale=3",
        f"data.train_list={tmp_path}/train.json",
        f"data.val_list=[{tmp_path}/Set1.json,{tmp_path}/set2.json]",
        *(f"data.{key}={value}" for key, value in OPTIONS.items()),
        "data.augment=false",
    ]
    data = build(compose("train", overrides).data)
    data.setup("fit")
    assert {name: len(pictures) for name, pictures in data.val_sets.items()} == {"set1": 2, "set2": 2}
    assert [data.val_sets["set2"][i]["name"] for i in (0, 1)] == ["1", "2"]
    for batch in data.train_dataloader():
        assert batch["hr"].shape == (4, 3, 24, 24)
        for lr, hr, name in zip(batch["lr"], batch["hr"], batch["name"], strict=True):
            whole = np.array(Image.open(tmp_path / "patches" / "HR" / f"{name}.png"))
            assert np.array_equal(hr.permute(1, 2, 0), whole) and torch.equal(lr, hr[:, ::3, ::3])


def test_named_lists_and_lr_made_of_hr(patches: Any, tmp_path: Path) -> None:
    hr_only = [{"HR": entry["HR"]} for entry in patches()]
    (tmp_path / "train.json").write_text(json.dumps(hr_only))
    file = str(tmp_path / "train.json")
    data = PairList(3, file, {"mine": file}, patch_size=12, **OPTIONS)
    data.setup("fit")
    assert data.val_names == ["mine"] and "lr" not in data.val_sets["mine"][0]
    assert next(iter(data.train_dataloader()))["lr"].shape == (4, 3, 4, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[{", "is neither JSON nor a Python list"),
        ("open('x')", "is neither JSON nor a Python list"),
        ("[]", "must be a list of pairs"),
        ('{"HR": "a"}', "must be a list of pairs"),
        ('[["a", "b"]]', r"entry 1 is \['a', 'b'\] instead of"),
        ('[{"hr": "a"}]', "entry 1 is {'hr': 'a'} instead of"),
        ('[{"HR": "a", "LR": "b"}, {"HR": "a"}]', "entry 2 must have an LR path if others have one"),
        ('[{"HR": "a", "LR": "b"}]', r"train\.json: .*/a: no such file, and 1 more of its files are missing"),
    ],
)
def test_list_that_cannot_work(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(DataError, match=message):
        PairList(2, str(tmp_path / "train.json")).setup("fit")


def test_options_that_cannot_work(patches: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.train_list=FILE"):
        PairList(2)
    with pytest.raises(ConfigError, match="two lists of one name"):
        PairList(2, val_list=["a/set.json", "b/Set.json"])
    with pytest.raises(ConfigError, match=r"data\.channels=1: must be 3 or null"):
        PairList(2, "a", channels=1)
    with pytest.raises(DataError, match="nowhere: no such file"):
        PairList(2, str(tmp_path / "nowhere")).setup("fit")
    (tmp_path / "val.json").write_text(json.dumps([*patches(), *patches("other")]))
    with pytest.raises(DataError, match=r"val\.json: 2 HR pictures are called 0; rename them"):
        PairList(3, val_list=str(tmp_path / "val.json")).setup("fit")


@pytest.mark.parametrize("absolute", [False, True])
def test_files_elsewhere_are_not_read(absolute: bool, patches: Any, tmp_path: Path) -> None:
    """A stranger's list could name any file of this machine."""
    pairs, folder = patches(), tmp_path / "lists"
    (folder / "sub").mkdir(parents=True)
    up = str(tmp_path) if absolute else "sub/../.."
    (folder / "train.json").write_text(json.dumps([{key: f"{up}/{path}" for key, path in p.items()} for p in pairs]))
    with pytest.raises(
        DataError, match=rf"train\.json: .*/HR/0\.png lies outside {folder}; .* say data\.root="
    ) as caught:
        PairList(3, str(folder / "train.json")).train_pictures()
    root = str(caught.value).partition("data.root=")[2]
    assert root == str(tmp_path)
    pictures = PairList(3, str(folder / "train.json"), root=root).train_pictures()
    assert pictures is not None and len(pictures) == 5
    with pytest.raises(DataError, match="lies outside"):
        PairList(3, val_list=str(folder / "train.json")).val_pictures()
