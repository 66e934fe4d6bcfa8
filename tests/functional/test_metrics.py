"""PSNR and SSIM against scikit-image and closed forms."""

import math
from typing import Any

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from sr_lightning.functional import ms_ssim, psnr, ssim


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    hr = torch.rand(2, 3, 290, 33, dtype=torch.float64)  # more rows than two strips
    return (hr + 0.1 * torch.randn_like(hr)).clamp(0, 1), hr


def test_psnr(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    sr, hr = pair
    expected = [peak_signal_noise_ratio(h.numpy(), s.numpy(), data_range=1) for s, h in zip(sr, hr, strict=True)]
    assert psnr(sr, hr).tolist() == pytest.approx(expected, abs=1e-10)


def test_psnr_is_per_picture() -> None:
    sr = torch.zeros(2, 1, 4, 4)
    hr = torch.stack([torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.5)])
    assert psnr(sr, hr).tolist() == pytest.approx([20, -20 * math.log10(0.5)], abs=1e-6)
    assert psnr(hr, hr).isinf().all()


def test_ssim_is_wangs(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    for sr, hr, value in zip(*pair, ssim(*pair).tolist(), strict=True):
        _, full = structural_similarity(
            sr.numpy(), hr.numpy(), channel_axis=0, data_range=1, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )  # fmt: skip
        assert value == pytest.approx(full[:, 5:-5, 5:-5].mean(), abs=1e-12)


def test_ssim_zero_padded(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    sr, hr = pair
    by_hand = ssim(*(torch.nn.functional.pad(x, [5] * 4) for x in (sr, hr)))
    torch.testing.assert_close(ssim(sr, hr, "zero_padded"), by_hand)
    assert (ssim(sr, hr, "zero_padded") - ssim(sr, hr)).abs().max() > 1e-4


def test_bad_pairs() -> None:
    with pytest.raises(ValueError, match=r"\(1, 1, 8, 9\)"):
        psnr(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 9))
    with pytest.raises(ValueError, match="at least 11x11"):
        ssim(torch.zeros(1, 1, 10, 20), torch.zeros(1, 1, 10, 20))


def test_how_far_outside_pictures_may_be() -> None:
    """Half of the range, in the truth each value, in a network's output the mean, and in training nothing."""
    half = torch.full((1, 1, 2, 2), 0.5)
    for edge in (-0.5, 1.5):
        assert psnr(half, half + 0).isinf() and psnr(half, torch.full_like(half, edge)).isfinite()
        assert psnr(torch.full_like(half, edge), half).isfinite()
        beyond = half.clone()
        beyond[..., 0, 0] = edge * 1.01 if edge > 0 else -0.51
        assert psnr(beyond, half).isfinite()
        with pytest.raises(ValueError, match="a picture has values from"):
            psnr(half, beyond)
        far = torch.full_like(half, float(beyond[..., 0, 0]))
        with pytest.raises(ValueError, match="the mean of a picture is"):
            psnr(far, half)
        assert psnr(far.requires_grad_(), half).isfinite()
    empty = torch.zeros(1, 1, 0, 4)
    assert psnr(empty, empty).isnan()
    assert psnr(torch.full_like(half, torch.inf), half) == -torch.inf


def test_planes_alone_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two \(N, C, H, W\) pictures of one shape are compared, got \(3, 8, 8\) and"):
        psnr(torch.zeros(3, 8, 8), torch.zeros(3, 8, 8))


@pytest.mark.parametrize("shape", [(11, 11), (12, 30), (74, 19), (75, 19), (201, 64)])
@pytest.mark.parametrize("function", [ssim, ms_ssim])
def test_ssim_is_the_same_on_every_way(function: Any, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV filters strips on each thread; for gradients, torch does."""
    shape = shape if function is ssim else (shape[0] + 150, shape[1] + 150)
    hr = torch.rand(2, 3, *shape, dtype=torch.float64)
    sr = hr + 0.1 * torch.rand_like(hr)
    usual = function(sr.clone().requires_grad_(), hr).detach()
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert torch.allclose(function(sr, hr), usual, rtol=0, atol=1e-12)
