"""Noise is estimated of a frame itself: the figures that it was made with come back."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bursts import READ, SHOT, photograph
from sr_lightning.functional.bayer import pack
from sr_lightning.inference.burst.noise import NoiseModel, noise_of


def ramp(shot: float, read: float) -> NDArray[np.float32]:
    """Packed planes of a slope from black to 0.8."""
    clean = np.broadcast_to(np.linspace(0, 0.8, 256), (4, 256, 256))
    return np.asarray(
        clean + np.random.default_rng(0).standard_normal(clean.shape) * np.sqrt(shot * clean + read), np.float32
    )


@pytest.mark.parametrize(("shot", "read"), [(0.01, 1e-4), (0.002, 4e-5), (0.03, 1e-3)])
def test_shot_and_read_noise_of_a_slope(shot: float, read: float) -> None:
    found = noise_of(ramp(shot, read))
    assert found.shot == pytest.approx(shot, rel=0.2)
    assert found.read == pytest.approx(read, rel=0.2)


def test_detail_is_hardly_taken_for_noise() -> None:
    found = noise_of(pack(photograph(size=(256, 256))).numpy())
    signal = np.float32(0.2)
    ratio = float(found.variance(signal) / NoiseModel(SHOT, READ).variance(signal))  # type: ignore[arg-type]
    assert 0.8 < ratio < 1.5


def test_a_frame_without_noise_and_one_too_small_to_tell() -> None:
    assert noise_of(torch.full((4, 64, 64), 0.3).numpy()).variance(np.float32(0.3)) < 1e-6  # type: ignore[arg-type]
    few = noise_of(np.random.default_rng(0).normal(0.5, 0.1, (4, 8, 8)).astype(np.float32))
    assert few.shot == 0 and few.read == pytest.approx(0.01, rel=0.5)
