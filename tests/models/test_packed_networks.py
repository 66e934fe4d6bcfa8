"""Networks of packed mosaics: blocks as their papers have them, baselines, and one patch learnt by heart."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from sr_lightning.errors import ConfigError
from sr_lightning.metrics import Protocol
from sr_lightning.models import EDSR, Bicubic, Packed, PackedBicubic
from sr_lightning.models.bicubic import baseline_of
from sr_lightning.models.packed import NAFBlock


def test_a_naf_block_is_the_equations_of_its_paper() -> None:
    torch.manual_seed(0)
    block, x = NAFBlock(6), torch.rand(2, 6, 7, 5)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    state = dict(block.named_parameters())

    def conv(z: torch.Tensor, name: str, **options: Any) -> torch.Tensor:
        return F.conv2d(z, state[f"{name}.weight"], state[f"{name}.bias"], **options)

    def norm(z: torch.Tensor, name: str) -> torch.Tensor:
        centred = z - z.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return scaled * state[f"{name}.weight"].view(1, -1, 1, 1) + state[f"{name}.bias"].view(1, -1, 1, 1)

    y = conv(conv(norm(x, "spatial.0"), "spatial.1"), "spatial.2", padding=1, groups=12)
    y = y[:, :6] * y[:, 6:]
    y = y * conv(y.mean((2, 3), keepdim=True), "spatial.4.conv")
    y = x + state["spatial_factor"] * conv(y, "spatial.5")
    z = conv(norm(y, "pointwise.0"), "pointwise.1")
    z = y + state["pointwise_factor"] * conv(z[:, :6] * z[:, 6:], "pointwise.3")
    torch.testing.assert_close(block(x), z, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("trunk", ["naf", "rcan"])
@pytest.mark.parametrize("grid", ["sensor", "cells"])
def test_it_adds_to_the_bicubic_enlargement_of_its_grid(trunk: Any, grid: Any) -> None:
    model = Packed(scale=2, trunk=trunk, grid=grid, num_features=8, num_blocks=1, reduction=2)
    for parameter in model.net.tail.parameters():  # type: ignore[union-attr]
        torch.nn.init.zeros_(parameter)
    lr = torch.rand(1, 4, 9, 8)
    assert torch.equal(model(lr), PackedBicubic(scale=2, grid=grid)(lr))
    baseline = baseline_of(model)
    assert torch.equal(baseline(lr), model(lr)) and isinstance(baseline, PackedBicubic)
    assert isinstance(baseline_of(EDSR(scale=3, num_features=8, num_blocks=1)), Bicubic)


@pytest.mark.parametrize("trunk", ["naf", "rcan"])
def test_it_learns_one_patch_by_heart(trunk: Any) -> None:
    torch.manual_seed(0)
    hr = torch.rand(1, 4, 16, 16)
    batch: Any = {"lr": F.avg_pool2d(hr, 2), "hr": hr, "name": ["a"]}
    model = Packed(scale=2, trunk=trunk, num_features=32, num_blocks=2, reduction=4)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(60):
        (loss,) = model.training_losses(batch).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


def test_pictures_and_mosaics_are_told_apart() -> None:
    picture, mosaic = ({"lr": torch.rand(1, n, 8, 8), "hr": torch.rand(1, n, 16, 16)} for n in (3, 4))
    with pytest.raises(ConfigError, match=r"four channels, and the pictures have 3; choose data=raw_sr"):
        Packed(scale=2, num_features=8, num_blocks=1).super_resolve(picture)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"the data are packed mosaics, and EDSR takes pictures: choose"):
        EDSR(scale=2, num_features=8, num_blocks=1).super_resolve(mosaic)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="compares packed mosaics, and the picture has 3 channels"):
        Protocol("raw", space="raw").score(picture["hr"], picture["hr"], 2)
    for space in ("y", "rgb"):
        with pytest.raises(ValueError, match="the data are packed mosaics of four planes; choose protocol=raw"):
            Protocol("other", space=space).score(mosaic["hr"], mosaic["hr"], 2)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"model.grid=pixels: there are sensor, cells, first"):
        PackedBicubic(scale=2, grid="pixels")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"model.trunk=unet: there are naf, rcan, edsr, srresnet"):
        Packed(scale=2, trunk="unet")  # type: ignore[arg-type]


def test_the_protocol_compares_planes_without_rounding() -> None:
    hr = torch.full((1, 4, 16, 16), 0.5)
    sr = hr + torch.tensor([1e-3, -1e-3, 1e-3, -1e-3]).view(1, 4, 1, 1)
    scores = Protocol("raw", space="raw", quantize=False, border_scales=0).score(sr, hr, 2)
    assert scores["psnr"].item() == pytest.approx(60, abs=1e-3)
