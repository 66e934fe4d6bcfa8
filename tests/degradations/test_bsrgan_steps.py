"""BSRGAN's steps beside SciPy, OpenCV and closed forms."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from sr_lightning.degradations import (
    BlindReduce,
    CVResize,
    Degradation,
    Grid,
    HalvedAtFour,
    MixedNoise,
    Noise,
    PoissonByLevels,
    Shuffled,
)
from sr_lightning.degradations.bsrgan import sampling_kernel
from sr_lightning.errors import ConfigError


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


@dataclass
class Seen(Degradation):
    """Keeps what it was given."""

    def apply(self, image: Tensor, parameters: Any, grid: Grid) -> Tensor:
        self.scale, self.size = grid.scale, tuple(image.shape[-2:])
        return image


@pytest.mark.parametrize(("scale", "expected"), [(4, (2, (8, 12))), (2, (2, (16, 24))), (3, (3, (16, 24)))])
@pytest.mark.parametrize("matlab", [0, 1])
def test_pictures_are_halved_at_scale_four_alone(scale: int, expected: Any, matlab: int) -> None:
    step = Seen()
    halved = HalvedAtFour(step, probability=1.0, matlab=matlab)
    halved.apply(picture(16, 24), halved.draw(np.random.default_rng(0)), Grid(4, 6, scale))
    assert (step.scale, step.size) == expected


def test_two_steps_keep_their_order() -> None:
    shuffled = Shuffled({"a": Seen(), "b": Seen(), "c": Seen()}, ["c", "a"])
    draws = [shuffled.draw(np.random.default_rng(seed))["steps"] for seed in range(300)]
    orders = ["".join(name for name, _ in steps) for steps in draws]
    assert {*orders} == {"bca", "cba", "cab"}
    assert min(orders.count(order) for order in {*orders}) > 70


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_sampling_takes_the_middle_of_the_block(scale: int) -> None:
    hr = picture(24, 36)
    step = BlindReduce(resized=0)
    drawn = step.draw(np.random.default_rng(3))
    made = step.apply(hr, drawn, Grid(24 // scale, 36 // scale, scale))
    kernel = sampling_kernel(25, 0.1 + drawn["place"] * (0.6 * scale - 0.1), scale)[::-1, ::-1]
    expected = [
        scipy.ndimage.convolve(plane, kernel, mode="mirror")[::scale, ::scale] for plane in hr[0].double().numpy()
    ]
    np.testing.assert_allclose(made[0], expected, atol=1e-5)
    ramp = (torch.arange(48.0) / 48).expand(1, 1, 48, 48)
    lr = step.apply(ramp, drawn, Grid(48 // scale, 48 // scale, scale))
    middle = torch.nn.functional.avg_pool2d(ramp, scale)
    inside = slice(24 // scale - 2, 24 // scale + 2)
    torch.testing.assert_close(lr[..., inside, inside], middle[..., inside, inside], atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "area"])
def test_sizes_and_methods_are_opencvs(method: Any) -> None:
    how = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}[method]
    hr = picture(24, 36)
    step = BlindReduce(resized=1, methods=[method])
    made = step.apply(hr, {"resized": True, "place": 0.3, "method": method}, Grid(12, 18, 2))
    size = (int(1 / 1.9 * 36), int(1 / 1.9 * 24))
    expected = cv2.resize(hr[0].permute(1, 2, 0).numpy(), size, interpolation=how).clip(0, 1)
    np.testing.assert_allclose(made[0].permute(1, 2, 0), expected, atol=1e-6)
    down = CVResize([method]).apply(made, {"method": method}, Grid(12, 18, 2))
    np.testing.assert_allclose(
        down[0].permute(1, 2, 0), cv2.resize(expected, (18, 12), interpolation=how).clip(0, 1), atol=1e-6
    )


def noise_of(step: Degradation, flat: Tensor, kind: str) -> tuple[Tensor, dict[str, Any]]:
    drawn = next(d for d in map(step.draw, map(np.random.default_rng, range(50))) if d["kind"] == kind)
    return (step.apply(flat, drawn, Grid(8, 8, 2)) - flat)[0].flatten(1) * 255, drawn


@pytest.mark.parametrize("kind", ["colour", "grey", "correlated"])
def test_covariance_of_mixed_noise(kind: str) -> None:
    noise, drawn = noise_of(MixedNoise((5, 20)), torch.full((1, 3, 300, 300), 0.5), kind)
    covariance = np.cov(noise) / drawn["sigma"] ** 2
    expected = {"colour": np.eye(3), "grey": np.ones((3, 3)), "correlated": np.array(drawn.get("covariance"))}[kind]
    np.testing.assert_allclose(covariance, expected, atol=0.02)
    assert kind != "correlated" or drawn["sigma"] == 20


def test_mixed_noise_of_grey_pictures() -> None:
    noise, drawn = noise_of(MixedNoise(), torch.full((1, 1, 300, 300), 0.5), "correlated")
    assert float(noise.var()) / drawn["sigma"] ** 2 == pytest.approx(drawn["covariance"][0][0], rel=0.03)


@pytest.mark.parametrize(("levels", "photons"), [(2, 2), (3, 4), (5, 8), (16, 16), (17, 32)])
@pytest.mark.parametrize("grey", [False, True])
def test_photons_are_counted_by_the_levels_of_each_picture(levels: int, photons: int, grey: bool) -> None:
    """Their variance is the light; the noise is 0.05 of it, too weak to be clipped."""
    plane = (torch.arange(levels) * 5 + 100).float().div(255).repeat_interleave(20_000).view(1, 1, -1, 100)
    two = torch.cat([plane.expand(1, 3, -1, -1), torch.full_like(plane, 0.4).expand(1, 3, -1, -1)])
    made = PoissonByLevels(0.05).apply(two, {"strength": 0.05, "grey": grey, "seed": 1}, Grid(1, 1, 1)) - two
    for noise, light, white in [(made[0], two[0], photons), (made[1], two[1], 1)]:
        counts = (noise / 0.05 + light) * white
        torch.testing.assert_close(counts, counts.round(), atol=2e-3 * white, rtol=0)
        expected = float((light * white).mean())
        assert float((counts - light * white).pow(2).mean()) == pytest.approx(expected, rel=0.03)
    assert bool((made[:, 0] == made[:, 1]).all()) == grey


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: Shuffled([Noise()]), "need names"),
        (lambda: Shuffled({"a": Noise()}, ["a", "b"]), r"in_order=\['a', 'b'\]: must be the names of two of a"),
        (lambda: MixedNoise(probabilities=[0.5, 0.6, 0]), "sum to 1"),
        (lambda: BlindReduce(size=24), "size=24"),
        (lambda: CVResize(["matlab"]), "matlab"),
    ],
)
def test_mistakes_are_explained(mistake: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        mistake()
