"""Losses for looks: colours, artefacts, sharpened truth, random features, and metrics as losses.

Numbers of the authors' code: csjliang/LDL at 2d22ddd, Apache-2.0, and the sharpening of XPixelGroup/BasicSR at 8d56e3a,
Apache-2.0, for pictures that are drawn here again.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sr_lightning import losses
from sr_lightning.blocks.vgg import VGGFeatures, _architecture
from sr_lightning.config import build, compose
from sr_lightning.errors import ConfigError, DataError


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random(shape, np.float32))


#: Of the first of two random pictures to the second.
GOLDEN_RANDOM = 0.73240077


# --- colours ----------------------------------------------------------------------------------------------------------


def test_colour_loss_sees_a_cast_and_no_texture() -> None:
    hr = drawn(0, 2, 3, 40, 56)
    cast = torch.tensor([0.02, -0.01, 0.03]).view(1, 3, 1, 1)
    assert losses.colour_loss(hr + cast, hr).item() == pytest.approx(0.02, rel=1e-4)
    checkers = 0.1 * (1 - 2 * ((torch.arange(40)[:, None] + torch.arange(56)) % 2))
    assert losses.colour_loss(hr + checkers, hr).item() == pytest.approx(0, abs=1e-6)
    tiles = [(..., slice(y, y + 16), slice(x, x + 16)) for y in (0, 16, 32) for x in (0, 16, 32, 48)]
    by_hand = [(hr[tile] ** 2 - hr[tile]).mean((2, 3)).abs() for tile in tiles]
    assert losses.ColourLoss()(hr**2, hr).item() == pytest.approx(torch.stack(by_hand).mean().item(), rel=1e-4)
    with pytest.raises(ConfigError, match=r"loss\.tile=0"):
        losses.ColourLoss(0)


def test_the_guard_lowers_drift() -> None:
    """A loss that pulls towards redder pictures with a slope of 0.1, and the guard back with one of 1/3."""
    hr = torch.full((1, 3, 32, 32), 0.5)
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)

    def drift(guard: float) -> float:
        shift = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.SGD([shift], lr=0.01)
        for _ in range(50):
            sr = hr + shift * red
            loss = -0.1 * shift.sum() + guard * losses.colour_loss(sr, hr)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return shift.abs().item()

    assert drift(0.0) == pytest.approx(0.05, rel=1e-4)
    assert drift(1.0) < 0.004


def test_blurred_colour_loss_is_a_convolutions() -> None:
    sr, hr = drawn(1, 1, 3, 40, 44), drawn(2, 1, 3, 40, 44)
    offsets = np.arange(-10, 11)
    taps = np.exp(-(offsets**2) / 18)
    kernel = torch.from_numpy(np.outer(taps, taps) / taps.sum() ** 2).float().expand(3, 1, 21, 21)
    difference = F.conv2d(F.pad(sr - hr, [10] * 4, mode="reflect"), kernel, groups=3)
    assert losses.BlurredColourLoss()(sr, hr).item() == pytest.approx(difference.square().mean().item(), rel=1e-4)
    with pytest.raises(DataError, match=r"at least 11 pixels each way, got 8x40; type data\.patch_size=22 or more"):
        losses.blurred_colour_loss(sr[..., :8, :40], hr[..., :8, :40])


# --- artefacts --------------------------------------------------------------------------------------------------------


def test_ldl_is_its_authors() -> None:
    draw = np.random.default_rng(1)
    sr, hr, average = (torch.from_numpy(draw.random((2, 3, 20, 24), np.float32)) for _ in range(3))
    sr.requires_grad_()
    loss = losses.ldl_loss(sr, hr, average)
    loss.backward()
    assert loss.item() == pytest.approx(0.02533543, rel=1e-4)
    assert losses.artifact_map(sr, hr, average).mean().item() == pytest.approx(0.06060552, rel=1e-4)
    assert sr.grad is not None and sr.grad.abs().sum().item() == pytest.approx(0.39630693, rel=1e-3)


def test_ldl_without_an_error_or_an_average() -> None:
    hr = drawn(1, 1, 3, 16, 16)
    sr = hr.clone().requires_grad_()
    losses.ldl_loss(sr, hr, hr).backward()
    assert sr.grad is not None and sr.grad.isfinite().all()
    with pytest.raises(ConfigError, match=r"ldl compares with the moving average .*callbacks=\[default,ema\]"):
        build(compose("train", ["loss=ldl"]).loss)(hr, hr)
    with pytest.raises(ConfigError, match=r"loss\.window=4: must be odd"):
        losses.LDL(4)
    with pytest.raises(DataError, match=r"at least 4 pixels each way, got 3x16; type data\.patch_size=8"):
        losses.ldl_loss(*3 * [hr[:, :, :3]])


# --- sharpened truth --------------------------------------------------------------------------------------------------


def test_sharpening_is_basicsrs() -> None:
    hr = F.interpolate(drawn(2, 1, 3, 5, 6), scale_factor=12)
    sharp = losses.sharpened(hr)
    assert sharp[0, 0, 12, 10:14].tolist() == pytest.approx([0.44463718, 0.45456791, 0.01287042, 0.01375760], abs=1e-5)
    assert (sharp - hr).abs().mean().item() == pytest.approx(0.06032979, rel=1e-4)
    assert sharp.min() >= 0 and sharp.max() <= 1
    with pytest.raises(DataError, match="at least 26 pixels"):
        losses.sharpened(hr[..., :20, :])


def test_a_mix_compares_with_sharpened_truth() -> None:
    sr, hr = drawn(3, 1, 3, 32, 32), F.interpolate(drawn(4, 1, 3, 4, 4), scale_factor=8)
    mix = build(compose("train", ["loss=mix", "loss.sharpen=0.5", "~loss.losses.fft", "~loss.weights.fft"]).loss)
    assert mix(sr, hr).item() == pytest.approx((sr - losses.sharpened(hr)).abs().mean().item())
    with pytest.raises(ConfigError, match=r"loss\.sharpen=-1"):
        losses.Mix({"l1": nn.L1Loss()}, sharpen=-1)


# --- features ---------------------------------------------------------------------------------------------------------


def test_random_features_are_the_same_everywhere() -> None:
    layers = {"conv1_2": 0.1, "conv3_4": 1.0}
    first, second = (losses.Perceptual(network="random", layers=layers, width=0.25) for _ in range(2))
    sr, hr = drawn(5, 1, 3, 32, 32), drawn(6, 1, 3, 32, 32)
    assert torch.equal(first(sr, hr), second(sr, hr))
    assert first(sr, hr).item() == pytest.approx(GOLDEN_RANDOM, rel=1e-4)
    assert first.features(hr)["conv3_4"].shape == (1, 64, 8, 8)
    assert not list(first.parameters()) and not any("_net" in name for name in first.state_dict())
    with pytest.raises(ConfigError, match=r"network=random: has no use for weights=a\.pth"):
        losses.Perceptual("a.pth", "random")
    with pytest.raises(ConfigError, match="set network=random"):
        losses.Perceptual()
    with pytest.raises(ConfigError, match=r"width=0: must be"):
        losses.Perceptual(network="random", width=0)


def test_random_features_notice_blur_more_than_l1_does() -> None:
    """Beside noise of the same L1 distance, a blurred picture is farther in deep random features."""
    hr = F.interpolate(drawn(7, 1, 3, 24, 24), scale_factor=2)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal(hr.shape).astype(np.float32))
    blur = F.avg_pool2d(hr, 5, 1, 2, count_include_pad=False)
    noisy = hr + noise * ((blur - hr).abs().mean() / noise.abs().mean())
    criterion = losses.Perceptual(network="random", layers={"relu3_2": 1.0}, width=0.25)
    assert F.l1_loss(noisy, hr).item() == pytest.approx(F.l1_loss(blur, hr).item(), rel=1e-4)
    assert criterion(blur, hr) > 1.1 * criterion(noisy, hr)


def test_weights_of_a_narrower_network_of_ones_own(tmp_path: Path) -> None:
    random = VGGFeatures(None, ["conv2_1"], "random", width=0.125)
    torch.save({f"features.{name}": value for name, value in random._net[0].state_dict().items()}, tmp_path / "own.pth")
    own = VGGFeatures(tmp_path / "own.pth", ["conv2_1"], width=0.125)
    x = drawn(8, 1, 3, 16, 16)
    assert torch.equal(own(x)["conv2_1"], random(x)["conv2_1"])


@pytest.mark.parametrize("name", ["lpips", "dists"])
def test_metrics_as_losses(name: str, tmp_path: Path) -> None:
    modules = nn.Sequential(*_architecture("vgg16")[1])
    torch.manual_seed(0)
    for layer in modules:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    torch.save({f"features.{key}": value for key, value in modules.state_dict().items()}, tmp_path / "vgg16.pth")
    criterion = build(compose("train", [f"loss={name}", f"loss.distance.weights={tmp_path / 'vgg16.pth'}"]).loss)
    hr = drawn(9, 2, 3, 32, 32)
    sr = (0.9 * hr).requires_grad_()
    value = criterion(sr, hr)
    value.backward()
    assert value.dtype == torch.float32 and value.ndim == 0 and value > criterion(0.99 * hr, hr) > 0
    assert sr.grad is not None and sr.grad.isfinite().all() and sr.grad.abs().sum() > 0
    flat = torch.zeros(1, 3, 32, 32, requires_grad=True)  # where all features of a place may be 0
    criterion(flat, hr[:1]).backward()
    assert flat.grad is not None and flat.grad.isfinite().all()
    with pytest.raises(ConfigError, match="weights: needs a file"):
        build(compose("train", [f"loss={name}"]).loss)
