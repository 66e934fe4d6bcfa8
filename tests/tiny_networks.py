"""Every network of ``conf/model``, made small enough to run in a test."""

from copy import deepcopy
from functools import cache
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.errors import ConfigError
from sr_lightning.models import SuperResolutionModule

#: ``realesrgan`` and its like are RRDB and Compact with weights that a package has; ``auto`` is none.
NAMES = {path.stem for path in (CONF_DIR / "model").glob("[!_]*.yaml")}
MODELS = sorted(name for name in NAMES if "realesrgan" not in name and name != "auto")

WINDOWS = ["model.num_features=12", "model.num_heads=3", "model.window=4"]
HAT_S = ["model.compression=6", "model.reduction=2"]
#: With fewer features, the network of a distance has a layer of so few that their normalisation says nothing.
DAT = ["model.num_features=96", "model.num_heads=2", "model.window=[2,4]", "model.num_groups=1", "model.num_blocks=3"]
DAT += ["model.drop_path=0"]  # or a block may be left out for both pictures of a batch
ATD = [*WINDOWS, "model.num_groups=1", "model.num_blocks=2", "model.group=20", "model.num_tokens=6", "model.narrow=4"]

#: Overrides that make the large networks small enough to run; layers stay of the same kinds.
TINY = {
    "edsr": ["model.num_features=16", "model.num_blocks=2"],
    "edsr_baseline": ["model.num_features=16", "model.num_blocks=2"],
    "rdn": ["model.num_features=8", "model.growth_rate=8", "model.num_blocks=2", "model.num_layers=2"],
    "rdn_a": ["model.num_features=8", "model.growth_rate=8", "model.num_blocks=3", "model.num_layers=2"],
    "zssr": ["model.num_features=8", "model.num_layers=4"],
    "vdsr": ["model.num_features=8", "model.num_layers=4"],
    "drcn": ["model.num_features=8", "model.num_recursions=3"],
    "drrn_b1u9": ["model.num_features=8"],
    "drrn_b1u25": ["model.num_features=8"],
    "lapsrn": ["model.num_features=8", "model.num_layers=2"],
    "mslapsrn": ["model.num_features=8", "model.num_layers=2"],
    "glean": [
        "model.out_size=32",
        "model.num_features=8",
        "model.growth_rate=4",
        "model.num_blocks=1",
        "model.style_channels=16",
        "model.cap=16",
    ],
    "rcan": [
        "model.num_features=16",
        "model.num_groups=2",
        "model.num_blocks=2",
        "model.reduction=2",
        "model.value_range=1.0",  # at 255 random weights saturate the gates
    ],
    "wdsr_a": ["model.num_features=16", "model.num_blocks=2"],
    "wdsr_b": ["model.num_features=16", "model.num_blocks=2"],
    "photo": ["model.num_features=16", "model.num_blocks=2"],
    "mdsr": ["model.scales=[${scale}]", "model.num_features=16", "model.num_blocks=2"],
    "srresnet": ["model.num_features=16", "model.num_blocks=2"],
    "srresnet_raw": ["model.num_features=16", "model.num_blocks=2"],
    "edsr_raw": ["model.num_features=16", "model.num_blocks=2"],
    "srnet": ["model.num_features=32", "model.num_blocks=2"],
    "imdn": ["model.num_features=16", "model.num_blocks=2", "model.reduction=4"],
    "carn": ["model.scales=[${scale}]", "model.num_features=8"],
    "carn_m": ["model.scales=[${scale}]", "model.num_features=8"],
    "pan": ["model.num_features=8", "model.up_features=8", "model.num_blocks=2"],
    "rfdn": ["model.num_features=16", "model.num_blocks=2"],
    "span": ["model.num_features=8", "model.num_blocks=2"],
    "span_paper": ["model.num_features=8", "model.num_blocks=2", "model.value_range=1.0"],
    "rlfn": ["model.num_features=16", "model.num_blocks=2"],
    "rlfn_s": ["model.num_features=16", "model.num_blocks=2"],
    "rlfn_ntire": ["model.num_features=14", "model.mid_features=16", "model.num_blocks=2"],
    "bsrn": ["model.num_features=16", "model.num_blocks=2", "model.reduction=4"],
    "spanf": ["model.num_features=8", "model.num_blocks=2"],
    "spanv2": ["model.num_features=8", "model.num_blocks=2"],
    "smfanet": ["model.num_features=16", "model.num_blocks=2"],
    "smfanet_plus": ["model.num_features=16", "model.num_blocks=2"],
    "plksr": ["model.num_features=16", "model.num_blocks=2", "model.num_large=4"],
    "plksr_paper": ["model.num_features=16", "model.num_blocks=2", "model.num_large=4"],
    "plksr_tiny": ["model.num_features=16", "model.num_blocks=2", "model.num_large=4"],
    "realplksr": ["model.num_features=16", "model.num_blocks=2", "model.num_large=4"],
    "realplksr_dysample": ["model.num_features=16", "model.num_blocks=2", "model.num_large=4"],
    "rrdb": ["model.num_features=8", "model.growth_rate=4", "model.num_blocks=1"],
    "liif": ["model.trunk_args={num_features: 8, num_blocks: 2}", "model.hidden_features=16", "model.hidden_layers=2"],
    "liif_rdn": [
        "model.trunk_args={num_features: 8, growth_rate: 8, num_blocks: 2, num_layers: 2}",
        "model.hidden_features=16",
        "model.hidden_layers=2",
    ],
    "compact": ["model.num_features=8", "model.num_convs=2"],
    "msrresnet": ["model.num_features=8", "model.num_blocks=2"],
    "swinir": [*WINDOWS, "model.num_groups=1", "model.num_blocks=2"],
    "swinir_light": [*WINDOWS, "model.num_groups=1", "model.num_blocks=2"],
    "hat": [*WINDOWS, "model.num_groups=1", "model.num_blocks=2", "model.key_window=6", "model.reduction=2"],
    "hat_s": [*WINDOWS, "model.num_groups=1", "model.num_blocks=2", "model.key_window=6", *HAT_S],
    "omnisr": ["model.num_features=8", "model.num_groups=1", "model.window=4"],
    "dat": DAT,
    "dat_light": DAT,
    "atd": ATD,
    "atd_light": ATD,
    "pft": [*WINDOWS, "model.num_blocks=[2,2]"],
    "pft_light": [*WINDOWS, "model.num_blocks=[2,2]"],
    "packed_naf": ["model.num_features=8", "model.num_blocks=2"],
    "packed_edsr": ["model.num_features=8", "model.num_blocks=2"],
    "packed_srresnet": ["model.num_features=8", "model.num_blocks=2"],
    "packed_rcan": ["model.num_features=8", "model.num_groups=1", "model.num_blocks=2", "model.reduction=2"],
    "rawsr": ["model.num_features=16", "model.growth_rate=4", "model.num_layers=4"],
}


@cache  # composing takes as long as all of the rest
def composed(name: str, tiny: bool) -> DictConfig:
    return compose("train", [f"model={name}", "scale=2", *(TINY.get(name, []) if tiny else [])])


def config(name: str, scale: int = 2, tiny: bool = True) -> Any:
    cfg = deepcopy(composed(name, tiny))
    cfg.scale = scale
    return cfg.model


def make(name: str, scale: int = 2) -> SuperResolutionModule:
    torch.manual_seed(0)
    try:
        model = build(config(name, scale))
    except ConfigError as error:
        assert f"scale={scale}" in str(error)
        pytest.skip(f"{name} has no scale {scale}, and says so")
    # Published initialisations can be so small that an output says nothing; tests want signal everywhere.
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=(1 / parameter[0].numel()) ** 0.5)
    return model


def inputs(model: SuperResolutionModule, count: int, height: int, width: int, channels: int = 3) -> list[torch.Tensor]:
    """Random pictures of the kinds that the network reads."""
    channels = 4 if model.packed else channels
    of_kind = {"lr": (channels, height, width), "raw": (1, height, width), "white_balance": (3,)}
    return [torch.rand(count, *of_kind[kind]) for kind in model.inputs]
