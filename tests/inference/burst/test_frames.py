"""Which files of a burst are used, and why the others are not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from bursts import moved, photograph, scene, some_warps, write_burst
from sr_lightning.data.files.raw import read_raw
from sr_lightning.errors import DataError
from sr_lightning.inference.burst import merged_burst, read_burst
from sr_lightning.inference.burst.frames import _Look, _look, _packed, _references


def test_files_that_do_not_fit_are_named_with_the_reason(tmp_path: Path) -> None:
    dark_warp = moved((1, 1))
    good = write_burst(tmp_path / "good", [photograph(warp, seed=n) for n, warp in enumerate(some_warps(3))])
    (small,) = write_burst(tmp_path / "small", [photograph(size=(80, 128))])
    (dark,) = write_burst(tmp_path / "dark", [photograph(dark_warp, brightness=0.02, seed=None)])
    other = photograph(what=lambda y, x: np.stack([0.25 + 0.2 * np.sin(x * y / 900)] * 3), seed=9)
    (elsewhere,) = write_burst(tmp_path / "elsewhere", [other])
    damaged, picture = tmp_path / "damaged.dng", tmp_path / "picture.png"
    damaged.write_bytes(good[0].read_bytes()[:500])
    Image.new("RGB", (128, 96)).save(picture)
    burst = read_burst([*good, small, dark, elsewhere, damaged, picture])
    assert len(burst.frames) == 3 and burst.source in good
    reasons = burst.left_out
    assert reasons[small] == "has 128x80 pixels, and not 128x96"
    assert reasons[dark] == "is 0.02 times as bright as the reference"
    assert reasons[elsewhere].startswith("is turned by ")
    assert reasons[damaged].startswith("no RAW file that LibRaw can read")
    assert set(reasons) == {small, dark, elsewhere, damaged, picture}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_fewer_than_two_frames_are_an_error_that_says_why(count: int, tmp_path: Path) -> None:
    paths = write_burst(tmp_path, [photograph(), photograph(size=(64, 64))][:count])
    with pytest.raises(DataError, match="fewer than two frames can be merged; leave burst= out") as error:
        read_burst(paths)
    assert ("has 64x64 pixels, and not 128x96" in str(error.value)) == (count == 2)


def test_frames_of_other_exposure_are_brought_to_the_references(tmp_path: Path) -> None:
    warps = [moved(), moved((3.3, -1.4)), moved((-2.6, 2.2))]
    shots = [
        photograph(warp, brightness=b, seed=n) for n, (warp, b) in enumerate(zip(warps, (1, 0.5, 0.97), strict=True))
    ]
    burst = read_burst(write_burst(tmp_path, shots))
    number = int(burst.source.stem)
    ratio = (1, 0.5, 0.97)
    gains = {round(frame.gain, 1) for frame in burst.frames[1:]}
    assert gains == {round(ratio[number] / ratio[n], 1) for n in range(3) if n != number}
    assert 1.0 in {frame.gain for frame in burst.frames[1:]} or number == 1  # a few percent are clouds
    clean = photograph(warps[number], brightness=ratio[number], seed=None)
    merged = merged_burst(burst).mosaic
    error, before = (float((x - clean)[..., 8:-8, 8:-8].square().mean().sqrt()) for x in (merged, shots[number]))
    assert error < 0.85 * before
    assert abs(float((merged - clean)[..., 8:-8, 8:-8].mean())) < 0.005


def test_the_sharpest_is_the_reference(tmp_path: Path) -> None:
    def shaken(y: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
        return np.mean([scene(y + step, x + step) for step in range(-3, 4)], 0)

    shots = [
        photograph(what=shaken),
        photograph(moved((2, 1)), seed=1),
        photograph(moved((-1, 1)), what=shaken, seed=2),
    ]
    assert read_burst(write_burst(tmp_path, shots)).source.stem == "1"


def test_samples_below_black_and_at_white_are_kept(tmp_path: Path) -> None:
    dark = torch.full((1, 64, 64), -0.004)
    dark[..., 20:40, 20:40] = 1.0
    burst = read_burst(write_burst(tmp_path, [dark, dark]))
    merged = merged_burst(burst).mosaic
    assert merged[0, 30, 30] == pytest.approx(1, abs=1e-3) and merged[0, 4, 4] == pytest.approx(-0.004, abs=1e-4)


def test_the_reference_has_the_usual_size_and_brightness() -> None:
    names = [Path(name) for name in "abcdef"]
    usual, small = (4, 48, 64), (4, 24, 64)
    looks = [
        _Look(usual, 0.2, 1),
        _Look(usual, 0.21, 2),
        _Look(usual, 0.01, 9),
        _Look(small, 0.2, 8),
        _Look(usual, 0.2, 0),
    ]
    assert _references(dict(zip(names, looks, strict=False))) == [Path("b"), Path("a"), Path("e")]
    assert _references(dict(zip(names, looks[:1], strict=False))) == []


def test_a_stray_frame_is_no_reference(tmp_path: Path) -> None:
    def stray(y: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
        return np.stack([0.25 + 0.2 * np.sign(np.sin(0.45 * x) * np.sin(0.4 * y))] * 3)

    good = [photograph(warp, seed=n) for n, warp in enumerate(some_warps(3))]
    paths = write_burst(tmp_path, [*good, photograph(what=stray, seed=8)])
    looks = [_look(_packed(read_raw(path))).sharpness for path in paths]
    assert looks[3] > max(looks[:3])
    burst = read_burst(paths)
    assert burst.source in paths[:3] and len(burst.frames) == 3 and set(burst.left_out) == {paths[3]}
