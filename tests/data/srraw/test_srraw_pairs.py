"""Pairs, labels and mosaics of the miniature against what it was made of."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sr_lightning.data.srraw.build import build_scene
from sr_lightning.data.srraw.fov import resize_map
from sr_lightning.data.srraw.labels import difference, edges
from sr_lightning.data.srraw.options import Options
from sr_lightning.data.srraw.pairs import NoPairError, make_pair
from sr_lightning.functional.bayer import PATTERNS, mosaic, unpack
from srraw_mini import SIZE, Truth, expose

UPSIDE_DOWN = np.array([[-1, 0, SIZE[1] - 1], [0, -1, SIZE[0] - 1], [0, 0, 1]], dtype=np.float64)


def psnr(a: NDArray[np.uint8], b: NDArray[np.float32]) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


def picture(path: Path) -> NDArray[np.uint8]:
    return np.array(Image.open(path))


@pytest.mark.parametrize(("scale", "frame", "least"), [(4, 5, 45), (4, 6, 37), (8, 6, 45)])
@pytest.mark.parametrize("scene", ["00001", "00002"])
def test_pairs_show_the_same_place(
    scale: int, frame: int, least: float, scene: str, mini: tuple[Path, dict[str, Truth]], tmp_path: Path
) -> None:
    root, truths = mini
    outcome = build_scene(root / "train" / scene, tmp_path, Options(scale, "none", margin=4))
    name = f"{scene}_{frame:05d}"
    assert name in outcome.pairs
    lr, hr = (picture(tmp_path / kind / f"{name}.png") for kind in ("LR", "HR"))
    raw = np.load(tmp_path / "ARW" / f"{name}.npy")
    assert raw.dtype == np.float32 and raw.shape == (lr.shape[0] // 2, lr.shape[1] // 2, 4)
    assert hr.shape[:2] == (scale * lr.shape[0], scale * lr.shape[1])

    # LR is the camera's picture as it is; where it lies says where HR must be.
    whole = picture(root / "train" / scene / f"{frame:05d}.JPG")
    whole = whole[::-1, ::-1] if scene == "00002" else whole
    height, width = lr.shape[:2]
    places = [
        (y, x)
        for y in range((SIZE[0] - height) // 2 - 1, (SIZE[0] - height) // 2 + 1)
        for x in range((SIZE[1] - width) // 2 - 1, (SIZE[1] - width) // 2 + 1)
        if np.array_equal(whole[y : y + height, x : x + width], lr)
    ]
    ((top, left),) = places
    turn = UPSIDE_DOWN if scene == "00002" else np.eye(3)
    lr_map = truths[scene].views[frame - 1] @ turn
    to_world = lr_map @ resize_map((hr.shape[1], hr.shape[0]), (left, top, left + width, top + height))
    assert psnr(hr, expose(truths[scene].world, to_world, hr.shape[:2])) > least

    # Every sample of the mosaic is the linear light of LR's pixel, in the colour of its place.
    linear = unpack(torch.from_numpy(raw).movedim(-1, 0), order="rgbg")
    colours = mosaic(torch.from_numpy(lr.astype(np.float32)).movedim(-1, 0))
    assert (linear.sqrt() * 255 - colours).abs().quantile(0.99) < 6  # JPEG
    for wrong in PATTERNS[1:]:
        assert (
            linear.sqrt() * 255 - mosaic(torch.from_numpy(lr.astype(np.float32)).movedim(-1, 0), wrong)
        ).abs().mean() > 5


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("border", [(0, 0), (2, 6), (3, 5)])
def test_mosaics_of_every_phase_and_size_lie_on_lr(pattern: str, border: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    whole = torch.rand(3, 40 + 2 * border[0], 60 + 2 * border[1], generator=generator)
    lr = (whole[:, border[0] : border[0] + 40, border[1] : border[1] + 60] * 255).byte().movedim(0, -1).numpy()
    hr = np.zeros((80, 120, 3), dtype=np.uint8)
    pair = make_pair(lr, hr, mosaic(whole, pattern), pattern, resize_map((60, 40), (0, 0, 120, 80)), 2.0, 4, 2)
    assert pair.lr.shape == (16, 26, 3) and pair.hr.shape == (64, 104, 3)
    linear = unpack(torch.from_numpy(pair.raw).movedim(-1, 0), order="rgbg")
    assert torch.equal((linear * 255).byte(), mosaic(torch.from_numpy(pair.lr).movedim(-1, 0)))


def test_pairs_that_cannot_be_are_refused() -> None:
    lr, raw = np.zeros((40, 60, 3), dtype=np.uint8), torch.zeros(1, 40, 60)
    with pytest.raises(NoPairError, match=r"data\.margin=10 leaves nothing of 40x60 pixels"):
        make_pair(lr, lr, raw, "RGGB", np.eye(3), 2.0, 4, 10)
    with pytest.raises(NoPairError, match="the HR picture does not cover the LR crop"):
        make_pair(lr, lr, raw, "RGGB", resize_map((60, 40), (12, 0, 72, 40)), 1.0, 4, 0)
    with pytest.raises(NoPairError, match="mosaic of 20x60 pixels is smaller"):
        make_pair(lr, lr, raw[:, :20], "RGGB", np.eye(3), 1.0, 4, 0)


def convolved(image: NDArray[np.uint8], centre: int, beside: int, corner: int, divisor: int) -> NDArray[np.uint8]:
    """A 3x3 filter as Pillow's documentation has it: clipped, and the border as it was."""
    kernel = np.array([[corner, beside, corner], [beside, centre, beside], [corner, beside, corner]]) / divisor
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(np.float64), (3, 3), (0, 1))
    out = image.copy()
    out[1:-1, 1:-1] = np.clip(np.floor(np.einsum("hwcij,ij->hwc", windows, kernel) + 0.5), 0, 255)
    return out


def test_labels_are_the_filters_of_the_authors() -> None:
    generator = np.random.default_rng(1)
    lr = generator.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    enlarged = np.array(Image.fromarray(lr).resize((36, 32), Image.Resampling.BICUBIC))
    hr = (enlarged + generator.integers(-20, 21, enlarged.shape)).clip(0, 255).astype(np.uint8)
    assert np.array_equal(edges(hr), convolved(convolved(hr, 8, -1, -1, 1), 9, -1, -1, 1))
    residual = np.abs(hr.astype(int) - enlarged).astype(np.uint8)
    sharpened = convolved(convolved(residual, 9, -1, -1, 1), 10, -1, 0, 6)
    off = np.abs(difference(hr, lr).astype(int) - sharpened)
    assert off.max() <= 1 and (off > 0).mean() < 0.1  # sixths are rounded in single precision there
