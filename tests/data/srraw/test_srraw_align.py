"""Warps are known: they must be found again."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sr_lightning.data.srraw import align, seen
from sr_lightning.data.srraw.align import align_frames
from sr_lightning.data.srraw.fov import crop_map
from sr_lightning.data.srraw.seen import render
from srraw_mini import FOCAL_LENGTHS, SIZE, Truth, expose, view

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
RATIOS = {i: FOCAL_LENGTHS[0] / focal for i, focal in enumerate(FOCAL_LENGTHS, 1)}


def shots(scene: NDArray[np.uint8], seed: int) -> tuple[dict[int, NDArray[np.float32]], Truth]:
    generator = np.random.default_rng(seed)
    truth = Truth(scene, [view(scene, focal, generator) for focal in FOCAL_LENGTHS])
    pictures = [expose(scene, to_world).round() @ LUMA / np.float32(255) for to_world in truth.views]
    return dict(enumerate(pictures, 1)), truth


def error_at_corners(warp: NDArray[np.float64], truth: Truth, frame: int) -> float:
    """Largest distance, in pixels of the reference, between where a corner goes and where it should go."""
    h, w = SIZE
    to_crop = np.linalg.inv(crop_map(h, w, RATIOS[frame]))
    true = to_crop @ np.linalg.inv(truth.views[frame - 1]) @ truth.views[0]
    corners = np.array([[0, 0, 1], [w - 1, 0, 1], [0, h - 1, 1], [w - 1, h - 1, 1]]).T
    return float(np.linalg.norm(((warp - true) @ corners)[:2], axis=0).max())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_affine_warps_are_found_to_a_fraction_of_a_pixel(photographs: NDArray[np.uint8], seed: int) -> None:
    pictures, truth = shots(photographs, seed)
    warps, failures, _ = align_frames(pictures.items(), RATIOS)
    assert not failures
    errors = {frame: error_at_corners(warp, truth, frame) for frame, warp in warps.items()}
    assert max(errors.values()) < 0.04, errors
    before = [error_at_corners(np.eye(3), truth, frame) for frame in RATIOS]
    assert max(before) > 3


def test_rigid_warps_are_near(photographs: NDArray[np.uint8]) -> None:
    pictures, truth = shots(photographs, 1)
    warps, failures, _ = align_frames(pictures.items(), RATIOS, "rigid")
    assert not failures
    # Four numbers cannot say how the picture was sheared, by up to half a pixel.
    assert max(error_at_corners(warp, truth, frame) for frame, warp in warps.items()) < 2
    for warp in warps.values():
        assert warp[0, 0] == pytest.approx(warp[1, 1]) and warp[0, 1] == pytest.approx(-warp[1, 0])


@pytest.mark.parametrize("motion", ["affine", "rigid"])
def test_frames_of_nothing_or_of_something_else_are_left_out(photographs: NDArray[np.uint8], motion: str) -> None:
    pictures, truth = shots(photographs, 1)
    flat = np.full_like(pictures[2], 0.5)
    noise = np.random.default_rng(1).random(flat.shape, dtype=np.float32)
    mixed = {1: pictures[1], 2: flat, 3: noise, 4: pictures[4]}
    warps, failures, _ = align_frames(mixed.items(), RATIOS, motion)  # type: ignore[arg-type]
    assert sorted(warps) == [1, 4] and sorted(failures) == [2, 3]
    assert error_at_corners(warps[4], truth, 4) < (0.04 if motion == "affine" else 2)


def test_a_warp_that_does_too_much_is_refused() -> None:
    far = np.array([[1, 0, 40.0], [0, 1, 23.0], [0, 0, 1]])
    with pytest.raises(align.NotAlignedError, match="deviates by 63 from the identity, where 62 is the limit"):
        align.check(far, 208, "affine")
    align.check(far - [[0, 0, 1], [0, 0, 0], [0, 0, 0]], 208, "affine")
    with pytest.raises(align.NotAlignedError, match="where 42 is the limit"):
        align.check(far, 208, "rigid")


def test_pictures_of_any_size_are_rendered_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = np.random.default_rng(1).random((60, 80), dtype=np.float32)
    warp = np.array([[3.1, 0.1, 2.0], [-0.05, 3.0, 1.0], [0, 0, 1]])
    whole = render(reference, warp, 17, 22, 4)
    monkeypatch.setattr(seen, "_BAND", 22 * 16 * 5)
    # OpenCV rounds coordinates to 1/32 pixel, in another place for another band.
    np.testing.assert_allclose(render(reference, warp, 17, 22, 4), whole, atol=2e-2)


def test_real_sizes_are_reduced_before_they_are_compared(
    photographs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, truth = shots(photographs, 1)
    monkeypatch.setattr(seen, "_PIXELS", 5000)  # the second frame has 28,600
    warps, *_ = align_frames(pictures.items(), RATIOS)
    assert max(error_at_corners(warp, truth, frame) for frame, warp in warps.items()) < 0.04
