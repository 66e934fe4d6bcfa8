from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from sr_lightning.data.files.photographs import photograph
from sr_lightning.errors import DataError
from sr_lightning.metrics.flicker import flicker

CAMERA = np.asarray(Image.open(photograph("camera.png")))


def test_motion_is_no_flicker() -> None:
    pan = [CAMERA[100:228, 100 + 3 * step : 228 + 3 * step] for step in range(4)]
    without = np.mean([np.abs(a.astype(float) - b).mean() for a, b in pairwise(pan)])
    assert flicker(pan) < 0.1 * without


def test_noise_of_a_still_picture_is_told_in_levels() -> None:
    """The difference of two normal numbers of deviation s is |N(0, s sqrt 2)|, whose mean is 2 s / sqrt pi."""
    grey = np.full((96, 96), 128.0)
    rng = np.random.default_rng(0)
    frames = [(grey + rng.normal(0, 5, grey.shape)).round().astype(np.uint8) for _ in range(3)]
    assert flicker(frames, motion=[grey.astype(np.uint8)] * 3) == pytest.approx(2 * 5 / np.pi**0.5, rel=0.03)


def test_a_pulse_of_brightness_is_flicker() -> None:
    frames = [np.clip(CAMERA[:128, :128].astype(int) + add, 0, 255).astype(np.uint8) for add in (0, 6, 0)]
    assert 4 < flicker(frames) <= 6.1


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((11, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64), np.uint16),
        np.zeros((64, 64, 3)),
        np.zeros(64, np.uint8),
    ],
    ids=["small", "RGBA", "uint16", "float", "flat"],
)
def test_other_frames_are_refused(frame: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"uint8 frames, grey .* RGB .*, of at least 16x16 pixels; got \w+ \("):
        flicker([frame, frame])


def test_the_smallest_frames_are_measured() -> None:
    assert flicker([CAMERA[:16, :16]] * 2) == 0


def test_one_frame_has_none() -> None:
    with pytest.raises(DataError, match="two or more"):
        flicker([CAMERA])
