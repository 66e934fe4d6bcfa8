"""Configs and runs of older releases name classes where they were."""

from importlib import import_module
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from sr_lightning.config import build
from sr_lightning.config.renamed import MOVED
from sr_lightning.data import Samples
from sr_lightning.training.recorded_settings import check_recorded


@pytest.mark.parametrize("new", MOVED.values())
def test_every_new_place_is_there(new: str) -> None:
    import_module(new)


def test_a_config_of_an_older_release_builds() -> None:
    root = OmegaConf.create(
        {"scale": 3, "data": {"_target_": "sr_lightning.data.samples.Samples", "scale": "${scale}"}}
    )
    OmegaConf.set_struct(root, True)
    OmegaConf.set_readonly(root, True)
    built = build(root.data)
    assert isinstance(built, Samples) and built.scale == 3
    assert root.data._target_ == "sr_lightning.data.samples.Samples"  # the user's own config stays


def test_names_of_an_older_release_inside_lists_and_dictionaries_build() -> None:
    parts = [{"_target_": "sr_lightning.callbacks.RandomState"}]
    cfg = OmegaConf.create({"_target_": "builtins.dict", "one": {"two": parts}, "three": None, "four": "${one}"})
    assert type(build(cfg)["one"]["two"][0]).__name__ == "RandomState"


def test_a_run_of_an_older_release_may_name_them() -> None:
    check_recorded(["data._target_=sr_lightning.data.t91.T91"], Path("config.yaml"))
