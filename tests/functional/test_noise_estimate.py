"""The noise estimate on noise of known strength, and beside a published implementation."""

from collections.abc import Callable

import pytest
import skimage.data
import torch
import torch.nn.functional as F
from scipy.stats import gamma

from sr_lightning.functional import blockiness, noise_estimate
from sr_lightning.functional.naturalness import niqe_features
from sr_lightning.functional.noise_estimate import _WEAK, _noise_of
from sr_lightning.metrics.protocol import Protocol


def photograph(name: str) -> torch.Tensor:
    pixels = torch.from_numpy(getattr(skimage.data, name)()[:256, :256])
    return (pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1)[None] / 255


def noisy(image: torch.Tensor, sigma: float, channels: int | None = None) -> torch.Tensor:
    shape = (1, channels or image.shape[1], *image.shape[-2:])
    return image + sigma / 255 * torch.randn(shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("measure", [noise_estimate, blockiness, lambda x: niqe_features(x)[0]])
def test_what_cannot_be_measured_is_told(measure: Callable[[torch.Tensor], torch.Tensor]) -> None:
    for bad in (torch.nan, torch.inf):
        picture = torch.rand(1, 3, 96, 96)
        picture[0, 1, 5, 5] = bad
        with pytest.raises(ValueError, match=r"^\w+ needs values in \[0, 1\], got NaN"):
            measure(picture)
    for shape in ((0, 3, 96, 96), (1, 0, 96, 96), (3, 96, 96), (1, 3, 96, 15)):
        with pytest.raises(ValueError, match=r"needs \(N, C, H, W\) of at least \d+x\d+ pixels, got"):
            measure(torch.zeros(shape))


def test_niqe_features_are_of_one_picture() -> None:
    with pytest.raises(ValueError, match=r"needs one picture, got 2; give them one by one"):
        niqe_features(torch.rand(2, 3, 96, 96))


def test_scores_of_nan_are_nan() -> None:
    pictures = torch.rand(2, 3, 96, 192)
    pictures[0, 0, 0, 0] = torch.nan
    scores = Protocol("x", metrics=("niqe", "blockiness", "noise")).measure(pictures)
    assert all(score.isnan().tolist() == [True, False] for score in scores.values())


@pytest.mark.parametrize("sigma", [2, 5, 10, 25, 50])
@pytest.mark.parametrize("name", ["astronaut", "coffee", "camera"])
def test_known_noise_on_photographs(name: str, sigma: float) -> None:
    """To a tenth; weak noise is overestimated by the texture, by two levels at most."""
    estimate = noise_estimate(noisy(photograph(name), sigma)).item()
    assert -0.1 * sigma < estimate - sigma < 0.1 * sigma + 2


@pytest.mark.parametrize("sigma", [2, 50])
def test_flat_picture(sigma: float) -> None:
    assert noise_estimate(noisy(torch.full((1, 1, 96, 96), 0.5), sigma)).item() == pytest.approx(sigma, rel=0.05)


def test_clean_pictures() -> None:
    assert noise_estimate(torch.full((2, 3, 40, 40), 0.3)).tolist() == [0, 0]
    assert noise_estimate(torch.arange(40.0).expand(1, 1, 40, 40) / 40).item() == pytest.approx(0, abs=1e-4)  # a ramp
    assert noise_estimate(photograph("astronaut")).item() < 3


def test_cut_off_noise() -> None:
    """Where half of the picture is black, noise is half as strong there, and the other half counts."""
    image = photograph("coffee")
    image[..., :128] = 0
    estimate = noise_estimate((noisy(image, 25).clamp(0, 1) * 255).round().byte()).item()
    assert estimate == pytest.approx(25, rel=0.15)


def test_grey_noise_and_noise_in_colour_count_alike() -> None:
    image = photograph("coffee")
    grey, colour = (noise_estimate(noisy(image, 20, channels)).item() for channels in (1, 3))
    assert grey == pytest.approx(colour, rel=0.05)


def test_components_beside_a_published_implementation() -> None:
    """Of Chen's algorithm, by Zongsheng Yue (zsyOAOA/noise_est_ICCV2015), with patches of 7x7."""
    camera = torch.from_numpy(skimage.data.camera()).double()[None, None]
    variance = _noise_of(F.unfold(camera, 7, stride=3)[0])
    assert variance.sqrt().item() == pytest.approx(6.56827902951604, rel=1e-9)


def test_threshold_of_weak_texture() -> None:
    assert gamma.ppf(0.999, 45 / 2, scale=2 * 35 / 45) == pytest.approx(_WEAK, abs=1e-8)


def test_too_small() -> None:
    with pytest.raises(ValueError, match="at least 32x32"):
        noise_estimate(torch.zeros(1, 1, 31, 64))
