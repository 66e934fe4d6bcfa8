"""Grain, fading, marks, halftone and video compression: closed forms, statistics, and FFmpeg's own answer."""

import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sr_lightning.degradations import Degradation, Fade, Grain, Grid, Halftone, Marks, VideoCodec
from sr_lightning.degradations.kernels import gaussian_kernel
from sr_lightning.errors import ConfigError

GRID = Grid(8, 8, 2)


def applied(step: Degradation, image: Tensor, seed: int = 0) -> Tensor:
    return step.apply(image, step.draw(np.random.default_rng(seed)), GRID)


@pytest.mark.parametrize("level", [0.15, 0.5])
def test_grain_is_strongest_in_middle_tones_and_has_a_size(level: float) -> None:
    noise = (applied(Grain(sigma=12.0, size=1.0), torch.full((1, 3, 400, 400), level)) - level)[0] * 255
    assert float(noise.std()) == pytest.approx(24 * (level * (1 - level)) ** 0.5, rel=0.03)
    assert torch.equal(noise[0], noise[2])
    # Neighbours are as alike as the Gaussian and itself one pixel apart.
    kernel = gaussian_kernel(7, 1.0)
    expected = (kernel[:, 1:] * kernel[:, :-1]).sum() / (kernel**2).sum()
    measured = np.corrcoef(noise[0, :, 1:].flatten(), noise[0, :, :-1].flatten())[0, 1]
    assert measured == pytest.approx(expected, abs=0.02)
    assert float((applied(Grain(), torch.zeros(1, 3, 9, 9))).abs().max()) == 0


def test_fading_is_its_closed_form() -> None:
    step = Fade(black=0.1, white=0.9, saturation=0.5, warmth=0.2)
    faded = applied(step, torch.tensor([[0.0, 1, 1], [0, 1, 0], [0, 1, 0]]).T.reshape(3, 3, 1, 1))
    grey = 0.299  # of red
    paper = np.array([0.9, 0.9 * 0.95, 0.9 * 0.8])
    expected = [[0.1] * 3, paper, 0.1 + (paper - 0.1) * (0.5 * grey + 0.5 * np.array([1, 0, 0]))]
    np.testing.assert_allclose(faded[[0, 1, 2], :, 0, 0], np.stack(expected), atol=1e-6)


def test_marks_cover_lines_and_spots() -> None:
    grey = torch.full((1, 3, 40, 50), 0.5)
    line = {"x": 0.5, "y": 0.5, "size": 2.0, "opacity": 0.5, "level": 1.0, "slant": 0.0}
    scratched = Marks().apply(grey, {"scratches": [line], "dust": []}, GRID)
    assert torch.allclose(scratched[..., 24:26], torch.tensor(0.75))
    assert torch.equal(scratched[..., :24], grey[..., :24]) and torch.equal(scratched[..., 26:], grey[..., 26:])
    spot = {**line, "size": 6.0, "opacity": 1.0, "level": 0.0}
    dusty = Marks().apply(grey, {"scratches": [], "dust": [spot]}, GRID)
    assert float((0.5 - dusty[0, 0]).sum() / 0.5) == pytest.approx(np.pi * 36, rel=0.02)
    counts = [Marks(scratches=3, dust=2).draw(np.random.default_rng(seed)) for seed in range(400)]
    for kind, most in (("scratches", 3), ("dust", 2)):
        drawn = [len(c[kind]) for c in counts]
        assert {*drawn} == {*range(most + 1)} and np.mean(drawn) == pytest.approx(most / 2, abs=0.2)


@pytest.mark.parametrize("tone", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_ink_covers_the_share_of_the_paper_that_is_the_tone(tone: float) -> None:
    printed = applied(Halftone(period=5.3, softness=0.1), torch.full((1, 3, 200, 200), 1 - tone))
    assert float(printed.mean()) == pytest.approx(1 - tone, abs=0.004)
    between = ((printed > 0.001) & (printed < 0.999)).float().mean()
    assert float(between) <= 0.11


def test_dots_lie_on_a_grid() -> None:
    """The strongest waves of a flat tone are those of its period, at the screens' angles."""
    printed = applied(Halftone(period=5.0, angle=0.0), torch.full((1, 3, 256, 256), 0.5))[0]
    for plane, degrees in zip(printed, (15, 75, 0), strict=True):
        spectrum = np.abs(np.fft.fft2(plane - plane.mean()))
        row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
        y, x = (f if f < 128 else f - 256 for f in (row, column))
        # A diamond at half tone repeats along the diagonals of the grid, and its waves are those of both axes.
        assert np.hypot(x, y) * 5.0 / 256 == pytest.approx(1, abs=0.03)
        assert (np.degrees(np.arctan2(y, x)) - degrees + 2) % 90 < 4


@pytest.mark.parametrize(("codec", "fine", "coarse"), [("h264", 10, 40), ("mpeg4", 2, 25)])
def test_video_compression(codec: Any, fine: int, coarse: int) -> None:
    av = pytest.importorskip("av")
    ramp = torch.nn.functional.interpolate(
        torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(0)), size=(45, 61), mode="bilinear"
    )
    made = {}
    for quality in (fine, coarse):
        step = VideoCodec(codec, quality)
        drawn = step.draw(np.random.default_rng(1))
        made[quality] = step.apply(ramp, drawn, GRID)
        assert made[quality].shape == ramp.shape
        assert torch.equal(made[quality], step.apply(ramp, drawn, GRID))
    error = {q: float((m - ramp).square().mean().sqrt()) * 255 for q, m in made.items()}
    # Colours at half the resolution lose something without any codec.
    levels = (ramp[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)[:44, :60]
    halved = av.VideoFrame.from_ndarray(np.ascontiguousarray(levels)).reformat(format="yuv420p")
    loss = float(np.sqrt(np.square(halved.to_ndarray(format="rgb24") - levels.astype(float)).mean()))
    assert error[fine] < loss + 1 < error[coarse] - 3 and error[coarse] < 40
    still = VideoCodec(codec, fine, frames=1, pan=0)
    assert not still.random
    grey = applied(still, ramp[:, :1])
    assert grey.shape == ramp[:, :1].shape and float((grey - ramp[:, :1]).abs().mean()) < 0.02


def test_the_same_clip_is_coded_alike_each_time() -> None:
    """After clips of other sizes, whose leftovers in memory x264 may read: a few of a thousand came out otherwise."""
    pytest.importorskip("av")
    step, generator = VideoCodec("h264", 22), np.random.default_rng(0)
    clip = torch.nn.functional.interpolate(torch.rand(1, 3, 7, 9), size=(41, 53), mode="bilinear")
    first = step.apply(clip, {"quality": 22, "pan": [1, -2]}, GRID)
    for _ in range(200):
        applied(step, torch.rand(1, 3, *generator.integers(10, 80, size=2).tolist()))
        assert torch.equal(step.apply(clip, {"quality": 22, "pan": [1, -2]}, GRID), first)


def test_the_last_frame_is_the_picture_itself() -> None:
    """Not one that the camera has panned away from."""
    pytest.importorskip("av")
    x = torch.zeros(1, 3, 48, 64)
    x[..., 20:28, 30:40] = 1
    step = VideoCodec("h264", 5, frames=4, pan=3)
    for pan in ([3, -3], [-2, 1], [0, 0]):
        made = step.apply(x, {"quality": 5, "pan": pan}, GRID)
        assert float((made - x).abs().mean()) < 0.01


def test_without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r'pip install "sr_lightning\[video\]"'):
        VideoCodec()


@pytest.mark.parametrize(("codec", "quality", "words"), [("mpeg4", 40, "from 1 to 31"), ("mpeg4", (0, 5), "1 to 31")])
def test_qualities_of_codecs(codec: Any, quality: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        VideoCodec(codec, quality)
