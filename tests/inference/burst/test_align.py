"""Frames of known shift and turn are found to lie there, and others are refused with the figure."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from bursts import moved, photograph
from sr_lightning.errors import DataError
from sr_lightning.functional.bayer import pack
from sr_lightning.inference.burst import align as room
from sr_lightning.inference.burst.align import align, to_mosaic


def green(samples: Tensor) -> NDArray[np.float32]:
    planes = pack(samples).numpy()
    return np.asarray((planes[1] + planes[2]) / 2)


def off(found: Any, truth: Any, size: tuple[int, int]) -> float:
    """How far places of the mosaic are from where they belong, in its pixels: the mean of all of it."""
    y, x = np.mgrid[: size[0] : 8, : size[1] : 8]
    places = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return float(np.linalg.norm((to_mosaic(found) - truth) @ places, axis=0).mean())


@pytest.mark.parametrize(
    ("shift", "degrees"), [((0, 0), 0), ((3.4, -1.7), 0), ((-20.3, 11.6), 0.3), ((0.5, 0.5), -1), ((6, -9.2), 1.5)]
)
def test_shift_and_turn_are_found_in_noise(shift: tuple[float, float], degrees: float) -> None:
    size = (160, 208)
    truth = moved(shift, degrees, size)
    found = align(green(photograph(size=size)), green(photograph(truth, size=size, seed=1)))
    assert off(found, truth, size) < 0.1


def test_a_far_frame_is_found_from_coarse_to_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    size, truth = (260, 268), moved((40, -24), 0.8, (260, 268))
    monkeypatch.setattr(room.cv2, "phaseCorrelate", lambda *planes: ((15.0, -15.0), 1.0))
    begun: list[Any] = []
    search = room.cv2.findTransformECC
    monkeypatch.setattr(room.cv2, "findTransformECC", lambda *given: begun.append(given[2].copy()) or search(*given))
    found = align(green(photograph(size=size, seed=None)), green(photograph(truth, size=size, seed=None)))
    assert off(found, truth, size) < 0.1
    assert len(begun) == 2 and off(begun[1], truth, size) < 5 < off(begun[0], truth, size)  # the fine one begins near


@pytest.mark.parametrize("pixels", [3600, 1600])  # made smaller by two and by three
def test_large_frames_are_made_smaller_first(pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (240, 240)
    monkeypatch.setattr(room, "_PIXELS", pixels)
    seen: list[Any] = []
    search = room.cv2.phaseCorrelate
    monkeypatch.setattr(room.cv2, "phaseCorrelate", lambda *planes: seen.append(planes[0].size) or search(*planes))
    truth = moved((7.3, -4.4), 0.5, size)
    found = align(green(photograph(size=size, seed=None)), green(photograph(truth, size=size, seed=None)))
    assert seen[0] < 1.5 * pixels
    assert off(found, truth, size) < 0.2  # a twentieth of the pixels that are compared


def test_another_scene_is_refused_with_the_figure() -> None:
    other = photograph(what=lambda y, x: np.stack([0.2 + 0.1 * np.sin(x * y / 300)] * 3), seed=1)
    with pytest.raises(
        DataError, match=r"resembles the reference by a correlation of -?0\.\d\d alone|does not resemble"
    ):
        align(green(photograph()), green(other))


def test_a_frame_too_far_away_is_refused_with_the_figure() -> None:
    size = (160, 208)
    reference = green(photograph(size=size))
    for shift in (28, -28):
        assert (
            off(align(reference, green(photograph(moved((shift, 0)), size=size, seed=1))), moved((shift, 0)), size)
            < 0.1
        )
    with pytest.raises(DataError, match=r"is moved by (39|40|41) pixels"):
        align(reference, green(photograph(moved((40, 0)), size=size, seed=1)))


def test_a_frame_that_is_turned_is_refused_with_the_figure() -> None:
    size = (160, 208)
    reference = green(photograph(size=size))
    assert (
        off(
            align(reference, green(photograph(moved(degrees=4, size=size), size=size))),
            moved(degrees=4, size=size),
            size,
        )
        < 0.1
    )
    with pytest.raises(DataError, match="is turned by 6 degrees"):
        align(reference, green(photograph(moved(degrees=6, size=size), size=size, seed=1)))


def test_a_tiny_frame_is_aligned_too() -> None:
    size = (56, 60)
    planes = [green(photograph(moved((shift, 0)), size=size, seed=None)) for shift in (0, 2.5)]
    assert off(align(*planes), moved((2.5, 0)), size) < 0.1
