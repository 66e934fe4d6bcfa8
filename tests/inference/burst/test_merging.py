"""Merged frames have less noise, no ghosts, and lie where the reference does."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bursts import GAINS, MATRIX, Places, moved, photograph, scene, some_warps, write_burst
from sr_lightning.data.files.raw import read_raw
from sr_lightning.functional import psnr, shave
from sr_lightning.functional.bayer import PATTERNS, crop_to_pattern, pack
from sr_lightning.functional.demosaic import demosaic_malvar
from sr_lightning.functional.isp import develop
from sr_lightning.inference.burst import Burst, enlarged_burst, merge, merged_burst, read_burst
from sr_lightning.inference.burst.align import to_mosaic
from sr_lightning.inference.burst.frames import BLACK, Frame
from sr_lightning.inference.burst.noise import NoiseModel
from sr_lightning.inference.burst.robustness import robustness


def srgb(samples: Tensor) -> Tensor:
    return shave(develop(demosaic_malvar(samples[None].clamp(0, 1)), GAINS, MATRIX).double(), 8)


def burst_of(paths: list[Path]) -> tuple[Burst, int]:
    """The burst, and which frame is its reference."""
    burst = read_burst(paths)
    return burst, paths.index(burst.source)


def rms(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean().sqrt())


def test_eight_frames_gain_more_than_one_and_a_half_decibel(tmp_path: Path) -> None:
    warps = some_warps(8, (128, 160))
    paths = write_burst(tmp_path, [photograph(warp, size=(128, 160), seed=n) for n, warp in enumerate(warps)])
    burst, reference = burst_of(paths)
    assert not burst.left_out and len(burst.frames) == 8
    truth = srgb(photograph(warps[reference], size=(128, 160), seed=None))
    merged, single = (psnr(srgb(x), truth).item() for x in (merged_burst(burst).mosaic, read_raw(burst.source).mosaic))
    assert merged > single + 1.5
    two = read_burst(paths[:2])
    assert merged > psnr(srgb(merged_burst(two).mosaic), srgb(photograph(warps[paths.index(two.source)],
                         size=(128, 160), seed=None))).item() + 1  # fmt: skip


def with_square(x: int) -> Callable[[Places, Places], Places]:
    """The scene with a bright square that begins at this column of the reference."""

    def what(rows: Places, columns: Places) -> Places:
        inside = (rows >= 40) & (rows < 56) & (columns >= x) & (columns < x + 16)
        return np.where(inside, 0.6, scene(rows, columns))

    return what


def test_what_moved_leaves_no_ghost_and_even_parts_gain(tmp_path: Path) -> None:
    places = [32, 80, 84, 88, 92, 76]
    warps = some_warps(6)
    shots = [
        photograph(warp, what=with_square(x), seed=n) for n, (warp, x) in enumerate(zip(warps, places, strict=True))
    ]
    burst, number = burst_of(write_burst(tmp_path, shots))
    assert not burst.left_out
    clean = photograph(warps[number], what=with_square(places[number]), seed=None)
    single, merged = read_raw(burst.source).mosaic, merged_burst(burst).mosaic
    bare = photograph(warps[number], what=scene, seed=None)
    moving = torch.zeros_like(clean, dtype=torch.bool)
    for x in places:
        moving |= (photograph(warps[number], what=with_square(x), seed=None) - bare).abs() > 0.05
    moving[..., :8, :], moving[..., -8:, :], moving[..., :8], moving[..., -8:] = False, False, False, False
    assert rms(merged[moving], clean[moving]) < 1.1 * rms(single[moving], clean[moving])
    still = torch.zeros_like(moving)
    still[..., 66:-8, 8:-8] = True
    assert rms(merged[still], clean[still]) < 0.7 * rms(single[still], clean[still])


def test_what_a_frame_does_not_see_counts_nothing() -> None:
    reference, frame = (pack(photograph(warp, seed=None)).numpy() for warp in (moved(), moved((20, 0))))
    weight = robustness(reference, frame, np.array([[1, 0, 10.0], [0, 1, 0]]), NoiseModel(0.01, 1e-4))
    assert (weight[:, -10:] == 0).all() and weight[:, :-12].mean() > 0.9


def test_strips_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    burst, _ = burst_of(write_burst(tmp_path, [photograph(warp, seed=n) for n, warp in enumerate(some_warps(3))]))
    merged, large = merged_burst(burst).mosaic, enlarged_burst(burst, 2)
    done: list[float] = []
    monkeypatch.setattr(merge, "_ROWS", 14)
    assert torch.equal(merged_burst(burst, done.append).mosaic, merged)
    assert np.array_equal(enlarged_burst(burst, 2), large)
    assert done == sorted(done) and done[-1] == 1 and len(done) == 7


@pytest.mark.parametrize("pattern", PATTERNS)
def test_phase_balance_matrix_turn_and_view_are_kept(pattern: str, tmp_path: Path) -> None:
    size = (97, 128)  # an odd side, too
    warps = some_warps(3)
    shots = [photograph(warp, size=size, pattern=pattern, seed=None) for warp in warps]
    burst, number = burst_of(write_burst(tmp_path, shots, pattern, flip=6))
    result = merged_burst(burst)
    assert (result.pattern, result.flip) == ("RGGB", 6)
    assert result.gains == pytest.approx(GAINS, rel=1e-3)
    np.testing.assert_allclose(result.matrix, MATRIX, atol=0.01)
    own = crop_to_pattern(shots[number], pattern, "RGGB")
    assert result.mosaic.shape == own.shape
    inner = rms(shave(result.mosaic, 8), shave(own, 8))
    assert inner < 0.03
    for dim in (-1, -2):  # any other place is worse
        assert inner < 0.5 * rms(shave(result.mosaic, 8), shave(own.roll(2, dim), 8))


def slope_burst(burst: Burst, warps: list[Places]) -> Burst:
    """The frames of a burst with samples of a slope in grey, 0.1 + 0.003 x + 0.002 y, without noise."""
    height, width = burst.frames[0].packed.shape[1:]
    y, x = np.mgrid[: 2 * height, : 2 * width].astype(float)
    frames = []
    for warp in warps:
        whole = np.vstack([warp, [0, 0, 1]])
        at_x, at_y = (np.linalg.inv(whole) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)]))[:2].reshape(2, *x.shape)
        samples = 0.1 + 0.003 * at_x + 0.002 * at_y
        packed = np.stack([samples[dy::2, dx::2] for dy in (0, 1) for dx in (0, 1)])
        half = warp.copy()
        half[:, 2] = (warp[:, 2] - 0.5 + warp[:, :2] @ [0.5, 0.5]) / 2
        np.testing.assert_allclose(to_mosaic(half), warp, atol=1e-9)
        frames.append(Frame((packed * (65535 - BLACK) + BLACK).round().astype(np.uint16), half))
    return replace(burst, frames=frames)


def test_a_slope_is_where_it_should_be(tmp_path: Path) -> None:
    """Kernel means of a slope are exact where samples lie evenly about each place: with frames at all half steps."""
    warps = [moved((dx, dy)) for dy in (0, 1) for dx in (0, 1)]
    burst, _ = burst_of(write_burst(tmp_path, [photograph(warp, seed=None) for warp in some_warps(2)]))
    burst = slope_burst(burst, warps)
    burst = replace(burst, like=replace(burst.like, gains=(1.0, 1.0, 1.0), matrix=tuple(map(tuple, np.eye(3)))))  # type: ignore[arg-type]
    y, x = np.mgrid[:96, :128]
    merged = merged_burst(burst).mosaic[0].numpy()
    np.testing.assert_allclose(merged[8:-8, 8:-8], (0.1 + 0.003 * x + 0.002 * y)[8:-8, 8:-8], atol=5e-4)
    y, x = (np.mgrid[:192, :256] + 0.5) / 2 - 0.5  # middles of the finer pixels, in those of the frames
    linear = torch.from_numpy(0.1 + 0.003 * x + 0.002 * y).expand(3, -1, -1)
    expected = develop(linear, (1, 1, 1), np.eye(3).tolist()).permute(1, 2, 0).numpy()
    for bits, top in ((16, 65535), (8, 255)):
        large = enlarged_burst(burst, 2, bits=bits)
        assert large.shape == (192, 256, 3) and large.dtype == f"uint{bits}"
        assert abs(large[16:-16, 16:-16] / top - expected[16:-16, 16:-16]).max() < 0.003


def test_scene_is_known_between_pixels() -> None:
    """The simulation itself: a frame that is moved by whole pixels shows the same samples."""
    first, second = photograph(seed=None), photograph(moved((4, -2)), seed=None)
    assert torch.allclose(first[..., 2:, :-4], second[..., :-2, 4:], atol=1e-6)
    y, x = np.mgrid[:4, :4].astype(float)
    assert scene(y, x).shape == (3, 4, 4)
