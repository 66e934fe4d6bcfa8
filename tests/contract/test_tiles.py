"""Tiled equals whole for every file in conf/model whose network looks at a part of the picture."""

from typing import Any

import pytest
import torch

from sr_lightning.inference import receptive_radius, upscale_tiles
from sr_lightning.inference.engines.agreement import photographs, tolerance
from sr_lightning.inference.engines.network import Field, WithConstants, field_of
from sr_lightning.models import RCAN, DeepResNet, RawSR, RealPLKSR, SRNet, SRResNet, SuperResolutionModule
from tiny_networks import MODELS, make

#: Attention or normalisation over the whole picture, or strides on a grid of the tile's own: tiled is close, not equal;
#: docs/tiles.md has the differences. Of all others, and of new networks, equality is demanded.
EVERYWHERE = {
    "atd",
    "atd_light",
    "bsrn",
    "dat",
    "dat_light",
    "deepresnet",
    "glean",
    "hat",
    "hat_s",
    "imdn",
    "omnisr",
    "packed_naf",
    "packed_rcan",
    "pft",
    "pft_light",
    "rawsr",
    "rawsr_tiny",
    "rcan",
    "realplksr",
    "realplksr_dysample",
    "rfdn",
    "rlfn",
    "rlfn_ntire",
    "rlfn_s",
    "smfanet",
    "smfanet_plus",
    "srnet",
    "srresnet",
    "srresnet_raw",
    "swinir",
    "swinir_light",
}
CASES = [(name, 2) for name in MODELS if name not in EVERYWHERE]
CASES += [(name, scale) for scale in (3, 4) for name in ("edsr_baseline", "fsrcnn", "espcn", "pan", "lapsrn", "vdsr")]


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_tiled_equals_whole(name: str, scale: int) -> None:
    model = make(name, scale).eval()
    given = dict(zip(model.inputs, photographs(model, 1, 72, 52), strict=True))
    allowed = tolerance(model.net, [*given.values()])
    with torch.inference_mode():
        expected = model(*given.values())[0]
    constants = {kind: given.pop(kind) for kind in ("white_balance",) if kind in given}
    kinds = [kind for kind in model.inputs if kind not in constants]
    multiple = 4 if "raw" in kinds else model.tile_multiple
    channels = tuple(4 if model.packed else 1 if kind == "raw" or model.luma else 3 for kind in kinds)
    halo = receptive_radius(WithConstants(model.net, model.inputs, constants), channels, scale, multiple)
    assert halo is not None
    result = torch.full_like(expected, torch.nan)
    net, pictures = WithConstants(model, model.inputs, constants), [x[0] for x in given.values()]
    for box, part in upscale_tiles(net, pictures, scale, halo=halo, tile=20, multiple=multiple):
        result[:, box.top : box.bottom, box.left : box.right] = part
    assert (result - expected).abs().max() <= allowed


@pytest.mark.parametrize("name", ["rfdn", "imdn", "smfanet", "realplksr"])
def test_what_looks_everywhere_is_known(name: str) -> None:
    """A grid of strides that begins at the tile's edge, and a mean of the whole picture."""
    assert receptive_radius(make(name, 2).net, (3,), 2) is None


def test_what_is_stated_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes a minute of a large network."""
    monkeypatch.setattr("sr_lightning.inference.engines.network.receptive_radius", None)
    for name in EVERYWHERE:
        assert field_of(make(name, 8 if name == "glean" else 2)) == Field(32, True)


SMALL: dict[str, Any] = {"scale": 2, "num_features": 16, "num_blocks": 1}
OF_ARGUMENTS = [
    *(RCAN(**SMALL, num_groups=1, attention=attention) for attention in ("none", "spatial", "multi_pool")),
    *(RCAN(**SMALL, num_groups=1, attention=attention) for attention in ("spatial+channel", "sa", "mpr_sa")),
    RCAN(**SMALL, num_groups=1, attention="none", block="dca"),
    *(RCAN(**SMALL, num_groups=1, attention="none", norm=norm) for norm in ("batch+weight", "instance")),
    *(SRNet(**SMALL, fusion_sign=1, attention=attention) for attention in ("none", "channel")),
    *(DeepResNet(scale=2, attention=attention) for attention in ("none", "channel_full")),
    *(SRResNet(**SMALL, norm=norm) for norm in ("none", "batch", "instance")),
    *(RealPLKSR(**SMALL, num_large=4, layer_norm=layer_norm) for layer_norm in (False, True)),
]


@pytest.mark.parametrize("model", OF_ARGUMENTS, ids=lambda model: type(model).__name__)
def test_what_is_stated_is_what_is_measured(model: SuperResolutionModule) -> None:
    assert model.looks_everywhere == (receptive_radius(model.net, (3,), 2) is None)


@pytest.mark.parametrize("variant", ["tpami", "cvpr19"])
def test_a_network_of_mosaics_states_what_is_measured(variant: Any) -> None:
    model = RawSR(scale=2, num_features=16, growth_rate=4, num_layers=4, variant=variant)
    assert model.looks_everywhere == (receptive_radius(model.net, (1, 3), 2, multiple=4) is None)
