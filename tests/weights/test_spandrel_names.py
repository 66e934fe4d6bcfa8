"""Networks of ours under spandrel's names: spandrel recognises them and computes the same, and so do we."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from sr_lightning.errors import ExportError
from sr_lightning.models import (
    ATD,
    DAT,
    EDSR,
    HAT,
    PLKSR,
    RCAN,
    RRDB,
    SPAN,
    Compact,
    OmniSR,
    RealPLKSR,
    SuperResolutionModule,
    SwinIR,
)
from sr_lightning.weights.load import load_model
from sr_lightning.weights.spandrel import spandrel_state

SMALL_RCAN: dict[str, Any] = {"num_features": 16, "num_groups": 2, "num_blocks": 2, "reduction": 4}
SMALL_PLKSR: dict[str, Any] = {"num_features": 16, "num_blocks": 2, "num_large": 4}
WINDOWS: dict[str, Any] = {"num_features": 12, "num_heads": 3, "window": 4}
LIGHT_DAT: dict[str, Any] = {"num_features": 60, "num_blocks": 3, "num_heads": 2, "mlp_ratio": 2.0}
LIGHT_ATD: dict[str, Any] = {"num_features": 48, "num_groups": 1, "num_blocks": 2, "num_heads": 4, "window": 4}
CASES: list[tuple[str, Any]] = [
    ("RCAN", lambda: RCAN(scale=2, **SMALL_RCAN)),
    ("RCAN", lambda: RCAN(scale=3, value_range=1.0, **SMALL_RCAN)),
    ("RCAN", lambda: RCAN(scale=8, **SMALL_RCAN)),
    ("RCAN", lambda: RCAN(scale=2, mean=(0.0, 0.0, 0.0), **SMALL_RCAN)),
    ("RCAN", lambda: RCAN(scale=2, mean=(0.5, 0.4, 0.3), **SMALL_RCAN)),
    ("SPAN", lambda: SPAN(scale=2, num_features=8)),
    ("SPAN", lambda: SPAN(scale=4, num_features=8, branches=True)),
    ("SPAN", lambda: SPAN(scale=3, num_features=8, value_range=1.0)),
    ("SPAN", lambda: SPAN(scale=4, num_features=8, branches=True, value_range=1.0)),
    ("SPAN", lambda: SPAN(scale=2, num_features=8, mean_shift=False)),
    ("Compact", lambda: Compact(scale=3, num_features=8, num_convs=3)),
    ("ESRGAN", lambda: RRDB(scale=4, num_features=8, num_blocks=2)),
    ("ESRGAN", lambda: RRDB(scale=2, unshuffle=2, num_features=8, num_blocks=2)),
    ("ESRGAN", lambda: RRDB(scale=1, num_features=8, num_blocks=2)),
    ("PLKSR", lambda: PLKSR(scale=2, **SMALL_PLKSR)),
    ("PLKSR", lambda: PLKSR(scale=3, shrink_kernel=1, attention=False, **SMALL_PLKSR)),
    ("PLKSR", lambda: RealPLKSR(scale=4, **SMALL_PLKSR)),
    ("PLKSR", lambda: RealPLKSR(scale=2, layer_norm=True, attention=False, **SMALL_PLKSR)),
    ("PLKSR", lambda: RealPLKSR(scale=3, dysample=True, **SMALL_PLKSR)),
    ("PLKSR", lambda: RealPLKSR(scale=4, dysample=True, **SMALL_PLKSR)),
    *(
        ("SwinIR", lambda scale=scale, more=more: SwinIR(scale=scale, num_groups=2, num_blocks=2, **WINDOWS, **more))
        for scale, more in ((3, {}), (4, {"upsampler": "direct"}), (2, {"upsampler": "nearest", "narrow_convs": True}))
    ),
    ("HAT", lambda: HAT(scale=2, num_groups=1, num_blocks=2, key_window=6, reduction=4, **WINDOWS)),
    ("DAT", lambda: DAT(scale=3, num_features=48, num_groups=2, num_blocks=4, num_heads=4, window=(2, 8))),
    ("DAT", lambda: DAT(scale=4, num_groups=1, upsampler="direct", narrow_convs=True, **LIGHT_DAT)),
    ("ATD", lambda: ATD(scale=3, num_groups=2, num_blocks=2, num_tokens=6, **WINDOWS)),
    ("ATD", lambda: ATD(scale=2, group=128, upsampler="direct", **LIGHT_ATD)),
    ("OmniSR", lambda: OmniSR(scale=4, num_features=8, num_groups=1, num_blocks=2, window=4)),
]


def network(make: Any) -> SuperResolutionModule:
    torch.manual_seed(0)
    model: SuperResolutionModule = make().eval()
    return model


def stably(values: Tensor, dim: int, stable: bool, sort: Any = torch.sort) -> Any:
    """ATD sorts pixels by category, and leaves the order within a category to the machine."""
    return sort(values, dim=dim, stable=True)


@torch.inference_mode()
def difference(model: SuperResolutionModule, other: Any) -> float:
    """The largest, relative to the values; in double precision, because gates turn rounding into differences."""
    lr = torch.rand(1, 3, 20, 17, generator=torch.Generator().manual_seed(1)).double()
    with patch.object(torch, "sort", stably):
        theirs = other.double().eval()(lr.clone())  # one of theirs changes its input
    ours = model.double()(lr)
    assert ours.std() > 0.01 and ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / ours.abs().max())


@pytest.mark.parametrize(("architecture", "make"), CASES)
def test_spandrel_computes_the_same(spandrel: Any, architecture: str, make: Any) -> None:
    model = network(make)
    theirs = spandrel.ModelLoader().load_from_state_dict(spandrel_state(model))
    assert (theirs.architecture.id, theirs.scale) == (architecture, model.scale)
    assert difference(model, theirs.model) <= 1e-5


@pytest.mark.parametrize(("_", "make"), CASES)
def test_we_read_it_back(_: str, make: Any, tmp_path: Path) -> None:
    model = network(make)
    torch.save(spandrel_state(model), tmp_path / "file.pth")
    again = load_model(tmp_path / "file.pth")
    assert type(again) is type(model) and difference(model, again) <= 1e-5


def test_the_count_of_published_files() -> None:
    """Of SPAN's training form, with 48 features."""
    for branches in (True, False):
        state = spandrel_state(SPAN(scale=4, num_features=48, branches=branches))
        assert sum(value.numel() for value in state.values()) == 2_236_728


def test_weights_are_copies_in_float32() -> None:
    model = RCAN(scale=2, **SMALL_RCAN)
    state = spandrel_state(model)
    assert all(value.is_contiguous() for value in state.values())
    state["body.0.body.0.body.0.weight"].zero_()
    assert model.net.state_dict()["body.body.0.body.0.body.0.weight"].abs().sum() > 0
    assert all(value.dtype == torch.float32 for value in spandrel_state(model.half()).values())


def test_what_spandrel_does_not_have() -> None:
    with pytest.raises(ExportError, match="spandrel has no EDSR; format=onnx writes a file that chaiNNer opens"):
        spandrel_state(EDSR(scale=2, num_features=8, num_blocks=1))
    with pytest.raises(ExportError, match=r"spandrel's RCAN has res_scale=1.0 alone, and this has 0.1; format=onnx"):
        spandrel_state(RCAN(scale=2, res_scale=0.1, **SMALL_RCAN))
    with pytest.raises(ExportError, match=r"spandrel's RRDB has scale=1, 2, 4, 8, 16 alone, and this has 3"):
        spandrel_state(RRDB(scale=3, num_features=8, num_blocks=1))
    with pytest.raises(ExportError, match=r"spandrel's SPAN has num_blocks=6 alone, and this has 2"):
        spandrel_state(SPAN(num_features=8, num_blocks=2))
