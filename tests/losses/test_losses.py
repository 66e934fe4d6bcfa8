"""Losses against closed forms and other ways to compute them."""

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.fft import dctn
from torch import Tensor, nn

from sr_lightning import losses
from sr_lightning.config import CONF_DIR, build, compose
from sr_lightning.errors import ConfigError, DataError
from sr_lightning.functional import ssim
from sr_lightning.losses.gan import Kind
from sr_lightning.losses.haar import haar

#: Those that need a file of weights, or an average of weights, are tested on their own.
NEED_MORE = {"perceptual", "lpips", "dists", "ldl", "real_gan", "real_psnr"}
CONFIGS = sorted({path.stem for path in (CONF_DIR / "loss").glob("*.yaml")} - NEED_MORE)


def pictures(height: int = 24, width: int = 20, channels: int = 3) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    hr = torch.rand(2, channels, height, width)
    return (hr + 0.1 * torch.randn_like(hr)).clamp(0, 1), hr


def loss(name: str, *overrides: str) -> Any:
    return build(compose("train", [f"loss={name}", *overrides]).loss)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_is_a_loss(name: str) -> None:
    torch.manual_seed(0)
    criterion, (sr, hr) = loss(name), pictures()
    sr.requires_grad_()
    value = criterion(sr, hr)
    assert value.ndim == 0 and value.dtype == torch.float32 and value > 0
    value.backward()
    assert sr.grad is not None and sr.grad.isfinite().all() and sr.grad.abs().sum() > 0
    closer = criterion((0.3 * sr + 0.7 * hr).detach(), hr)
    assert closer < value


@pytest.mark.parametrize("name", CONFIGS)
def test_equal_pictures_have_finite_gradients(name: str) -> None:
    criterion, (_, hr) = loss(name), pictures()
    sr = hr.clone().requires_grad_()
    criterion(sr, hr).backward()
    assert sr.grad is not None and sr.grad.isfinite().all()


@pytest.mark.parametrize("name", sorted({*CONFIGS} - {"l1", "l2", "smooth_l1", "cobi"}))
def test_half_precision_in_and_autocast_around(name: str) -> None:
    criterion, (sr, hr) = loss(name), pictures()
    if name == "mix":  # torch's own losses keep the type they are given; training hands them float32
        return
    sr, hr = sr.bfloat16(), hr.bfloat16()
    expected = criterion(sr.float(), hr.float())
    with torch.autocast("cpu", torch.bfloat16):
        value = criterion(sr, hr)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)


# --- Charbonnier, SSIM ------------------------------------------------------------------------------------------------


def test_charbonnier() -> None:
    sr, hr = pictures()
    assert losses.charbonnier(hr, hr).item() == pytest.approx(1e-3)
    expected = sum(math.hypot(d, 1e-3) for d in (sr - hr).double().flatten().tolist()) / sr.numel()
    assert losses.Charbonnier()(sr, hr).item() == pytest.approx(expected, rel=1e-5)
    assert losses.Charbonnier(eps=1.0)(hr, hr).item() == pytest.approx(1)
    # The sum over a picture, the mean over the batch.
    assert losses.Charbonnier(reduction="sum")(sr, hr).item() == pytest.approx(expected * sr[0].numel(), rel=1e-5)
    with pytest.raises(ConfigError, match="reduction=none: must be mean or sum"):
        losses.Charbonnier(reduction="none")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one shape"):
        losses.charbonnier(sr, hr[:, :1])


def test_sums_of_squares() -> None:
    """Caffe's Euclidean loss does not depend on the number of patches, the sum of the PyTorch ports does."""
    sr, hr = pictures(48, 48, channels=1)
    squares = (sr - hr).square().sum().item()
    assert loss("l2_sum")(sr, hr).item() == pytest.approx(squares, rel=1e-5)
    assert loss("euclidean", "data.patch_size=48")(sr, hr).item() == pytest.approx(squares / 2 / len(sr), rel=1e-5)


def test_ssim_loss_is_one_minus_the_metric() -> None:
    sr, hr = pictures()
    assert losses.SSIMLoss()(sr, hr).item() == pytest.approx(1 - ssim(sr, hr).mean().item(), rel=1e-6)


def test_ssim_gradient_is_the_slope() -> None:
    torch.manual_seed(2)
    sr, hr = (torch.rand(1, 1, 12, 13, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: 1 - ssim(x, hr).mean(), sr.requires_grad_())


# --- FFT --------------------------------------------------------------------------------------------------------------


def dft(image: Tensor) -> Tensor:
    """The half spectrum from its definition, by matrices."""

    def matrix(n: int) -> Tensor:
        k = torch.arange(n, dtype=torch.float64)
        return torch.exp(-2j * math.pi * k[:, None] * k / n)

    h, w = image.shape[-2:]
    whole = matrix(h) @ image.to(torch.complex128) @ matrix(w).mT
    return whole[..., : w // 2 + 1]


@pytest.mark.parametrize("size", [(8, 10), (7, 9)])
def test_fft_as_the_code_has_it(size: tuple[int, int]) -> None:
    sr, hr = pictures(*size)
    per_channel = [dft(sr[:, c]) - dft(hr[:, c]) for c in range(3)]
    expected = 0.01 * sum((d.real.abs().mean() + d.imag.abs().mean()) / 2 for d in per_channel)
    assert losses.fft_loss(sr, hr, "none").item() == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("high_pass", ["ideal", "gaussian"])
@pytest.mark.parametrize("cutoff", [0.1, 0.5, 1.2])
def test_fft_high_pass(high_pass: Any, cutoff: float) -> None:
    sr, hr = pictures(8, 12)
    difference = dft(sr) - dft(hr)
    total = 0.0
    for v in range(8):
        for u in range(7):
            radius = math.hypot(min(v, 8 - v) / 4, u / 6)
            keep = float(radius >= cutoff) if high_pass == "ideal" else 1 - math.exp(-(radius**2) / (2 * cutoff**2))
            total += keep * float(difference[..., v, u].real.abs().sum() + difference[..., v, u].imag.abs().sum())
    expected = 0.01 * total / (2 * 8 * 7 * 2)  # a mean over pictures, frequencies and parts; a sum over channels
    assert losses.FFTLoss(high_pass, cutoff)(sr, hr).item() == pytest.approx(expected, rel=1e-5)


def test_fft_says_what_it_does_not_know() -> None:
    with pytest.raises(ConfigError, match=r"loss\.high_pass=butter: must be none, ideal or gaussian"):
        loss("fft", "loss.high_pass=butter")
    with pytest.raises(ConfigError, match=r"loss\.cutoff=0"):
        loss("fft", "loss.cutoff=0")


# --- adversarial ------------------------------------------------------------------------------------------------------


def log_sigmoid(x: Tensor) -> Tensor:
    return torch.log(1 / (1 + torch.exp(-x.double())))


def test_vanilla() -> None:
    torch.manual_seed(0)
    fake, real = torch.randn(5, 1), torch.randn(5, 1)
    gan = losses.GANLoss()
    assert gan(fake).item() == pytest.approx(-log_sigmoid(fake).mean().item(), rel=1e-5)
    expected = -log_sigmoid(real).mean() - log_sigmoid(-fake).mean()
    assert gan.discriminator(fake, real).item() == pytest.approx(expected.item(), rel=1e-5)
    assert gan(torch.tensor([-200.0])).item() == pytest.approx(200)  # no logarithm of zero


def test_relativistic() -> None:
    torch.manual_seed(0)
    fake, real = torch.randn(4, 1, 3, 3), torch.randn(4, 1, 3, 3)
    gan = losses.GANLoss("relativistic")
    real_over, fake_over = real - fake.mean(), fake - real.mean()
    generator = -log_sigmoid(-real_over).mean() - log_sigmoid(fake_over).mean()
    discriminator = -log_sigmoid(real_over).mean() - log_sigmoid(-fake_over).mean()
    assert gan(fake, real).item() == pytest.approx(generator.item(), rel=1e-5)
    assert gan.discriminator(fake, real).item() == pytest.approx(discriminator.item(), rel=1e-5)
    with pytest.raises(ValueError, match="real"):
        gan(fake)
    with pytest.raises(ConfigError, match="gan=wgan: must be vanilla, lsgan, hinge or relativistic"):
        losses.GANLoss("wgan")  # type: ignore[arg-type]


def test_least_squares_and_hinge() -> None:
    fake, real = torch.tensor([-2.0, 0.5]), torch.tensor([-1.0, 3.0])
    square, hinge = losses.GANLoss("lsgan"), losses.GANLoss("hinge")
    assert square(fake).item() == pytest.approx((9 + 0.25) / 2)
    assert square.discriminator(fake, real).item() == pytest.approx((4 + 4) / 2 + (4 + 0.25) / 2)
    assert hinge(fake).item() == pytest.approx((2 - 0.5) / 2)
    assert hinge.discriminator(fake, real).item() == pytest.approx((2 + 0) / 2 + (0 + 1.5) / 2)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_adversarial_gradients(kind: Any) -> None:
    fake, real = torch.randn(4, 1).bfloat16().requires_grad_(), torch.randn(4, 1).bfloat16().requires_grad_()
    gan = losses.GANLoss(kind)
    for value in (gan(fake, real), gan.discriminator(fake, real)):
        fake.grad = None
        assert value.dtype == torch.float32
        value.backward()
        assert fake.grad is not None and fake.grad.isfinite().all() and fake.grad.abs().sum() > 0


# --- relations --------------------------------------------------------------------------------------------------------


def test_relation_loss() -> None:
    (sr, hr), (predicted, label) = pictures(32, 16), pictures(32, 16)[::-1]
    expected = (sr * label - hr * label).abs().mean() + (sr * predicted - hr * label).abs().mean()
    torch.testing.assert_close(losses.RLoss()(sr, hr, predicted, label), expected)
    assert losses.RLoss()(hr, hr, label, label) == 0


def test_nonlocal_relation_loss() -> None:
    (sr, hr), (predicted, label) = pictures(32, 48), pictures(32, 48)[::-1]
    total = 0.0
    corners = [(y, x) for y in (0, 16) for x in (0, 16, 32)]
    for n in range(2):
        for y, x in corners:
            for v, u in corners:
                here, there = (..., slice(y, y + 16), slice(x, x + 16)), (..., slice(v, v + 16), slice(u, u + 16))
                ours = (sr[n][here].double() * predicted[n][there]).sum()
                total += abs(float(ours - (hr[n][here].double() * label[n][there]).sum()))
    criterion = losses.RNLLoss()
    assert criterion(sr, hr, predicted, label).item() == pytest.approx(total / (2 * 6 * 6), rel=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        assert criterion(sr, hr, predicted, label).item() == pytest.approx(total / 72, rel=1e-4)
    with pytest.raises(ValueError, match="24x20 pixels"):
        criterion(*pictures(), *pictures())


# --- sums -------------------------------------------------------------------------------------------------------------


def test_mix() -> None:
    sr, hr = pictures()
    mix = losses.Mix({"l1": nn.L1Loss(), "fft": losses.FFTLoss()}, {"fft": 0.5})
    terms = mix.terms(sr, hr)
    assert list(terms) == ["l1", "fft"]
    torch.testing.assert_close(terms["l1"], F.l1_loss(sr, hr))
    torch.testing.assert_close(terms["fft"], 0.5 * losses.fft_loss(sr, hr))
    torch.testing.assert_close(mix(sr, hr), terms["l1"] + terms["fft"])


def test_mix_by_config() -> None:
    sr, hr = pictures()
    changed = loss(
        "mix", "+loss@loss.losses.ssim=ssim", "+loss.weights.ssim=0.1", "~loss.losses.fft", "~loss.weights.fft"
    )
    terms = changed.terms(sr, hr)
    assert list(terms) == ["l1", "ssim"]
    torch.testing.assert_close(terms["ssim"], 0.1 * losses.ssim_loss(sr, hr))


def test_mix_says_what_does_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"loss\.weights\.ssim: there is no such loss; there are l1, fft"):
        loss("mix", "+loss.weights.ssim=1")
    for weight in ("-1", "nan", "x", "null"):
        with pytest.raises(ConfigError, match=r"^loss\.weights\.fft=\S+: must be a number, 0 or more$"):
            loss("mix", f"loss.weights.fft={weight}")
    with pytest.raises(ConfigError, match="needs losses"):
        losses.Mix({})
    with pytest.raises(ConfigError, match="another name"):
        losses.Mix({"loss": nn.L1Loss()})


def test_dct_is_scipys() -> None:
    sr, hr = pictures(16, 24)
    expected = np.abs(dctn((sr - hr).double().numpy(), axes=(-2, -1), norm="ortho")).mean()
    assert losses.dct_loss(sr, hr).item() == pytest.approx(expected, rel=1e-5)
    assert losses.dct_loss(sr[..., :8, :8], hr[..., :8, :8], block=8).item() == pytest.approx(
        losses.dct_loss(sr[..., :8, :8], hr[..., :8, :8]).item()
    )


def test_dct_of_blocks_is_that_of_each() -> None:
    sr, hr = pictures(16, 24)
    blocks = [(y, x) for y in (0, 8) for x in (0, 8, 16)]
    each = [losses.dct_loss(*(p[..., y : y + 8, x : x + 8] for p in (sr, hr))).item() for y, x in blocks]
    assert losses.dct_loss(sr, hr, block=8).item() == pytest.approx(sum(each) / 6)
    with pytest.raises(DataError, match=r"loss.block=7: 16x24 pixels do not divide"):
        losses.dct_loss(sr, hr, block=7)


def test_haar_keeps_the_energy_and_costs_what_its_details_do() -> None:
    sr, hr = pictures(16, 24)
    difference = (sr - hr).double()
    parts = haar(difference)
    assert sum(float(part.square().sum()) for part in parts) == pytest.approx(float(difference.square().sum()))
    # By convolutions with the four kernels of Haar's wavelets.
    kernels = [[[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]
    weight = torch.tensor(kernels, dtype=torch.float64)[:, None] / 2
    details = F.conv2d(difference.flatten(0, 1)[:, None], weight, stride=2)
    assert losses.haar_loss(sr, hr, levels=1).item() == pytest.approx(details.abs().mean().item(), rel=1e-5)
    means = F.avg_pool2d(difference, 2) * 2
    second = F.conv2d(means.flatten(0, 1)[:, None], weight, stride=2).abs().mean()
    assert losses.haar_loss(sr, hr).item() == pytest.approx((details.abs().mean() + second).item(), rel=1e-5)
    with pytest.raises(DataError, match=r"loss.levels=4: 16x24 pixels cannot be halved 4 times"):
        losses.haar_loss(sr, hr, levels=4)
