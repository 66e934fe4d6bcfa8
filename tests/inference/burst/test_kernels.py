"""Kernels lie along edges, are wide where there is only noise, and narrower the more frames there are."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sr_lightning.inference.burst.kernels import ACROSS, ALONG, EVEN, kernel_fields
from sr_lightning.inference.burst.noise import NoiseModel

NOISE = NoiseModel(0.001, 1e-5)


def fields_of(picture: NDArray[np.float64], frames: int = 1) -> NDArray[np.float32]:
    return kernel_fields(np.stack([picture] * 4).astype(np.float32), NOISE, frames)


def test_edges_and_even_parts() -> None:
    y, x = np.mgrid[:48, :48]
    yy, xy, xx = fields_of(np.where(x < 24, 0.1, 0.8))
    assert (yy[24, 24], xx[24, 24]) == pytest.approx((ALONG**-2, ACROSS**-2), rel=0.02)
    assert abs(xy[24, 24]) < 0.01
    assert (yy[24, 4], xy[24, 4], xx[24, 4]) == pytest.approx((EVEN**-2, 0, EVEN**-2), abs=0.01)
    yy, xy, xx = fields_of(np.where(y < 24, 0.1, 0.8))
    assert (yy[24, 24], xx[24, 24]) == pytest.approx((ACROSS**-2, ALONG**-2), rel=0.02)
    yy, xy, xx = fields_of(np.where(x + y < 48, 0.1, 0.8))
    middle = np.array([[yy[24, 24], xy[24, 24]], [xy[24, 24], xx[24, 24]]])
    assert np.array([1, 1]) @ middle @ [1, 1] / 2 == pytest.approx(ACROSS**-2, rel=0.05)  # across
    assert np.array([1, -1]) @ middle @ [1, -1] / 2 == pytest.approx(ALONG**-2, rel=0.05)


def test_noise_is_hardly_taken_for_edges() -> None:
    rng = np.random.default_rng(0)
    yy, _, xx = fields_of(0.4 + rng.standard_normal((64, 64)) * np.sqrt(0.001 * 0.4 + 1e-5))
    assert np.median(yy) ** -0.5 > 0.9 and np.median(xx) ** -0.5 > 0.9


def test_more_frames_need_less_smoothing_of_edges() -> None:
    edge = np.where(np.mgrid[:48, :48][1] < 24, 0.1, 0.8)
    widths = [float(fields_of(edge, frames)[2, 24, 24]) ** -0.5 for frames in (1, 4, 32)]
    assert widths == pytest.approx([ACROSS, ACROSS, ACROSS / 2**0.5], rel=0.02)
    assert fields_of(edge, 32)[2, 24, 4] == pytest.approx(EVEN**-2, rel=0.02)
