"""What every experiment promises, for every file in conf/experiment: it composes, builds and trains."""

import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from sr_lightning.config import CONF_DIR, build, chosen_configs, compose
from sr_lightning.data import Samples
from sr_lightning.evaluation.scoring import count_parameters
from sr_lightning.models import SuperResolutionModule
from sr_lightning.training.building import build_model, build_trainer
from sr_lightning.training.fitting import fit
from sr_lightning.training.opposing import oppose
from tiny_networks import TINY

EXPERIMENTS = sorted(path.stem for path in (CONF_DIR / "experiment").glob("*.yaml"))

#: Keys of the data set that is always there.
SAMPLES = compose("train", ["data=samples"]).data

#: What makes two steps of any experiment quick; loss, optimizer, scheduler and callbacks stay.
QUICK = [
    "data=samples",
    "data.batch_size=2",
    "data.batches_per_epoch=2",
    "data.num_workers=0",
    "trainer=debug",
    "trainer.precision=32-true",
    "epochs=1",
    "trainer.enable_progress_bar=false",
    "logger=none",
]


#: What stands for files that an experiment needs.
WITHOUT_FILES = {"glean_x8": ["loss.losses.perceptual.network=random"]}


@pytest.fixture(params=EXPERIMENTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@cache
def published(name: str) -> DictConfig:
    return compose("train", [f"experiment={name}", *WITHOUT_FILES.get(name, ())])


def small(name: str, run_dir: Path) -> DictConfig:
    """The experiment on the sample photographs, with a tiny network; everything else is its own."""
    cfg = published(name)
    # Keys of the experiment's data set that the samples do not have; a user, too, takes them away.
    own = set(compose("train", [f"experiment={name}", "data=samples"]).data) - set(SAMPLES)
    # A network for several scales keeps them.
    tiny = [override for override in TINY.get(cfg.name, []) if not override.startswith("model.scales")]
    if "out_size" in cfg.model:  # its encoder begins at 8 pixels
        tiny.append(f"model.out_size={8 * cfg.scale}")
    if name in WITHOUT_FILES:
        tiny += [*WITHOUT_FILES[name], "loss.losses.perceptual.width=0.1"]
    if cfg.discriminator:
        tiny += ["discriminator.num_features=4", "loss.losses.perceptual.width=0.1"]
    plateau = "ReduceLROnPlateau" in cfg.scheduler._target_  # it watches val/psnr
    quick = [*QUICK, *(f"~data.{key}" for key in sorted(own))]
    network: Any = get_class(cfg.model._target_)
    if "raw" in network.inputs or network.packed:  # mosaics of the samples, by the experiment's own camera
        few = run_dir / "scenes"
        few.mkdir()
        for file in (*Samples().train_pictures().hr[:2], *Samples().val_pictures()["samples"].hr):
            (few / file.name).symlink_to(file)
        quick = [override for override in QUICK if override != "data=samples"]
        quick += [f"data.hr_dir={few}", "data.val_hr_dir=null", "data.num_val=2"]
    return compose(
        "train",
        [
            f"experiment={name}",
            *quick,
            f"data.patch_size={math.lcm(48, common(cfg))}",
            f"trainer.limit_val_batches={int(plateau)}",
            f"run_dir={run_dir}",
            *tiny,
        ],
    )


def common(cfg: DictConfig) -> int:
    """What the side of a patch must be a multiple of."""
    listed = cfg.data.scales is not None and not isinstance(cfg.data.scales, str)
    return math.lcm(*(cfg.data.scales if listed else [cfg.scale]))


def test_says_where_it_is_from(name: str) -> None:
    first, *rest = (CONF_DIR / "experiment" / f"{name}.yaml").read_text().splitlines()
    assert first == "# @package _global_"
    assert 1 <= next(i for i, line in enumerate(rest) if not line.startswith("# ")) <= 3


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("experiment", ["fast_291", "fast_t91", "pretrained", "small"])
def test_patches_fit_into_the_91_pictures(experiment: str, scale: int) -> None:
    patch = compose("train", [f"experiment={experiment}", f"scale={scale}"]).data.patch_size
    assert patch <= 78 and patch % scale == 0


def leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of everything that is no dictionary."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def test_repeats_nothing_of_the_experiment_that_it_inherits(name: str) -> None:
    file: Any = OmegaConf.to_container(OmegaConf.load(CONF_DIR / "experiment" / f"{name}.yaml"))
    defaults = file.pop("defaults")
    overrides = {key: choice for entry in defaults if isinstance(entry, dict) for key, choice in entry.items()}
    for parent in [entry for entry in defaults if isinstance(entry, str)]:
        chosen = chosen_configs("train", [f"experiment={parent}"])
        assert not [
            key for key, choice in overrides.items() if chosen.get(key.removeprefix("override /")) == str(choice)
        ]
        inherited = dict(leaves(OmegaConf.to_container(published(parent))))  # type: ignore[arg-type]
        assert not [key for key, value in leaves(file) if key in inherited and inherited[key] == value]


def test_composes_to_something_that_can_be_run(name: str) -> None:
    cfg = published(name)
    if named := re.search(r"_x(\d+)", name):
        assert cfg.scale == int(named[1])
    OmegaConf.to_container(cfg, resolve=True)
    assert cfg.data.patch_size % common(cfg) == 0
    assert cfg.data.scale == cfg.model.scale == cfg.scale


def test_every_part_is_built(name: str) -> None:
    cfg = published(name)
    with torch.device("meta"):
        model = build_model(cfg)
    assert isinstance(model, SuperResolutionModule)
    assert count_parameters(model) > 0
    assert not cfg.data.scales or model.multi_scale
    build(cfg.data)


def test_trains_two_steps(name: str, tmp_path: Path) -> None:
    cfg = small(name, tmp_path)
    torch.manual_seed(0)
    data, model, trainer = build(cfg.data), build_model(cfg), build_trainer(cfg, tmp_path)
    oppose(cfg, model)
    before = {key: value.clone() for key, value in model.net.named_parameters()}
    fit(trainer, model, data, None, tmp_path)
    # Lightning counts the steps of both optimizers of an adversarial network.
    assert trainer.global_step == 2 * len(trainer.optimizers)
    logged: dict[str, Any] = dict(trainer.callback_metrics)
    assert all(value.isfinite() for key, value in logged.items() if key.startswith("train/"))
    assert any(not torch.equal(before[key], value) for key, value in model.net.named_parameters())
    assert all(value.isfinite().all() for value in model.net.parameters())
