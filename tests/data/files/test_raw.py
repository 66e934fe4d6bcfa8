"""RAW files are read sample for sample, or refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
import torch

from sr_lightning.data.files.raw import camera_rendering, is_raw, read_headerless, read_raw
from sr_lightning.errors import PictureError
from sr_lightning.functional.demosaic import demosaic_malvar
from sr_lightning.functional.isp import develop

NIKON: dict[str, Any] = {"pattern": "RGGB", "black": 600, "white": 15520, "gains": (1.949, 1.0, 1.344)}


@pytest.fixture
def raws(real_data: Path) -> Path:
    return real_data / "raw"


@pytest.fixture
def nikon(raws: Path) -> Any:
    return read_headerless(raws / "nikon_dsc1339_768x512_rggb_u16le.raw", 512, 768, **NIKON)


@pytest.mark.parametrize(("pattern", "y", "x"), [("rggb", 0, 0), ("grbg", 0, 1), ("gbrg", 1, 0), ("bggr", 1, 1)])
def test_every_phase_is_read_sample_for_sample(raws: Path, nikon: Any, pattern: str, y: int, x: int) -> None:
    picture = read_raw(raws / "derived_dng" / f"nikon_dsc1339_{pattern}.dng")
    height, width = picture.mosaic.shape[-2:]
    assert picture.pattern == pattern.upper()
    assert torch.allclose(picture.mosaic, nikon.mosaic[:, y : y + height, x : x + width], atol=1e-7)
    assert picture.gains == pytest.approx((1.949, 1.0, 1.344), abs=1e-3)
    assert torch.tensor(picture.matrix).sum(1) == pytest.approx(torch.ones(3))


@pytest.mark.parametrize(
    "name", ["kodak_dc50_buildings.kdc", "kodak_dc50_colorchart.kdc", "apple_quicktake100_pattern.qtk"]
)
def test_camera_files(raws: Path, name: str) -> None:
    meta = json.loads((raws / "raw_meta.json").read_text())["files"][name]
    picture = read_raw(raws / name)
    assert list(picture.mosaic.shape[-2:]) == meta["shape"]
    assert picture.pattern == "GRBG"
    white = meta["white"]
    assert round(picture.mosaic.min().item() * white) == meta["min"]
    assert round(picture.mosaic.max().item() * white) == meta["max"]
    assert all(np.isfinite(picture.gains)) and picture.gains[1] == 1
    assert np.isfinite(picture.matrix).all()


def test_development_is_near_librawss(raws: Path) -> None:
    """The same steps as LibRaw's, with another demosaicing: the same colours on the whole."""
    path = raws / "derived_dng" / "nikon_dsc1339_rggb.dng"
    picture = read_raw(path)
    ours = develop(demosaic_malvar(picture.mosaic[None], picture.pattern), picture.gains, picture.matrix)[0]
    theirs = camera_rendering(path, bits=16, no_auto_bright=True, gamma=(2.4, 12.92), user_flip=0)
    reference = torch.from_numpy(theirs.astype(np.float32) / 65535).permute(2, 0, 1)
    small = [torch.nn.functional.avg_pool2d(x, 16) for x in (ours, reference)]
    assert (small[0] - small[1]).abs().mean() < 0.01


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("negative/truncated_powershot_s40.crw", "no RAW file that LibRaw can read"),
        ("nikon_dsc1339_768x512_rggb_u16le.raw", "bare samples without a header"),
        ("openisp_testchart_1920x1080_rggb10_u16le.raw", "bare samples without a header"),
        ("raw_meta.json", "no RAW file that LibRaw can read"),
        ("nowhere.nef", "No such file"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(raws: Path, name: str, reason: str) -> None:
    with pytest.raises(PictureError, match=reason) as caught:
        read_raw(raws / name)
    assert str(caught.value).startswith(str(raws / name))


def test_cut_files_are_refused_or_whole(raws: Path, tmp_path: Path) -> None:
    content = (raws / "derived_dng" / "nikon_dsc1339_rggb.dng").read_bytes()
    for length in (0, 3, 100, len(content) // 2, len(content) - 2):
        path = tmp_path / f"{length}.dng"
        path.write_bytes(content[:length])
        with pytest.raises(PictureError):
            read_raw(path)


class Other:
    """LibRaw's file, seen as one of another camera."""

    def __init__(self, file: Any, seen: dict[str, Any]) -> None:
        self.file, self.seen = file, seen

    def __getattr__(self, name: str) -> Any:
        return self.seen[name] if name in self.seen else getattr(self.file, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        self.file.close()


@pytest.fixture
def see(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    """Lets all files have the attributes given."""
    opened = rawpy.imread
    return lambda seen: monkeypatch.setattr(rawpy, "imread", lambda path: Other(opened(path), seen))


def test_headerless_files_need_their_size(raws: Path) -> None:
    with pytest.raises(PictureError, match="has 393216 samples, not 512x512"):
        read_headerless(raws / "nikon_dsc1339_768x512_rggb_u16le.raw", 512, 512)


def test_endings() -> None:
    assert is_raw(Path("a.ARW")) and not is_raw(Path("a.png"))


@pytest.mark.parametrize("pattern", ["rggb", "grbg", "gbrg", "bggr"])
def test_each_filter_has_a_black_level_of_its_own(
    raws: Path, see: Callable[[dict[str, Any]], None], pattern: str
) -> None:
    path = raws / "derived_dng" / f"nikon_dsc1339_{pattern}.dng"
    with rawpy.imread(str(path)) as file:
        samples, colours, white = file.raw_image_visible.copy(), file.raw_colors_visible.copy(), file.white_level
    black = [100, 200, 300, 400]  # of R, G, B and the second G
    see({"black_level_per_channel": black})
    mosaic = read_raw(path).mosaic[0].numpy()
    assert set(np.unique(colours)) == {0, 1, 2, 3}
    for colour, level in enumerate(black):
        of_it = colours == colour
        np.testing.assert_allclose(mosaic[of_it], (samples[of_it] - float(level)) / (white - level), atol=1e-6)


@pytest.mark.parametrize(
    ("camera", "daylight", "gains"),
    [
        ([2.0, 1.0, 1.5, 3.0], [9.0, 1.0, 9.0, 1.0], (1.0, 1.0, 0.75)),  # the mean of two greens is 2
        ([2.0, 1.0, 1.5, 0.0], [9.0, 1.0, 9.0, 1.0], (2.0, 1.0, 1.5)),  # a second green that nobody noted
        ([0.0, 0.0, 0.0, 0.0], [3.0, 1.0, 1.0, 3.0], None),
        ([2.0, float("nan"), 1.5, 1.0], [3.0, 1.0, 2.0, 0.0], None),
    ],
)
def test_white_balance_is_the_cameras_or_as_libraw_finds_it(
    raws: Path, see: Callable[[dict[str, Any]], None], camera: list[float], daylight: list[float], gains: Any
) -> None:
    path = raws / "derived_dng" / "nikon_dsc1339_rggb.dng"
    with rawpy.imread(str(path)) as file:
        file.postprocess(use_auto_wb=True)
        red, green, blue, green_2 = file.auto_whitebalance
    found = red / ((green + green_2) / 2), 1.0, blue / ((green + green_2) / 2)
    see({"camera_whitebalance": camera, "daylight_whitebalance": daylight})
    assert read_raw(path).gains == pytest.approx(gains or found)
    assert read_raw(path, white_balance="auto").gains == pytest.approx(found)
    assert read_raw(path, white_balance=[3, 2, 1]).gains == (1.5, 1.0, 0.5)


def test_a_file_without_white_balance_looks_as_libraw_shows_it(raws: Path) -> None:
    path = raws / "apple_quicktake100_pattern.qtk"
    with rawpy.imread(str(path)) as file:
        theirs = file.postprocess(use_camera_wb=True, no_auto_bright=True, adjust_maximum_thr=0, gamma=(2.4, 12.92))
    ours = camera_rendering(path)
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_the_matrix_is_the_files_or_follows_from_xyz(raws: Path, see: Callable[[dict[str, Any]], None]) -> None:
    path = raws / "derived_dng" / "nikon_dsc1339_rggb.dng"
    # A camera that sees CIE XYZ: white is (0.9505, 1, 1.089) to it, and balanced to (1, 1, 1). The matrix is IEC
    # 61966-2-1's from XYZ to linear sRGB, its columns times that white.
    noted = read_raw(path).matrix
    srgb = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    nothing = np.zeros((3, 4))
    see({"color_matrix": nothing, "rgb_xyz_matrix": np.vstack([np.eye(3), np.zeros(3)])})
    np.testing.assert_allclose(read_raw(path).matrix, srgb * [0.9505, 1, 1.089], atol=2e-3)
    see({"color_matrix": nothing, "rgb_xyz_matrix": np.zeros((4, 3))})
    # Neither is noted: what LibRaw does is looked at.
    np.testing.assert_allclose(read_raw(path).matrix, noted, atol=2e-3)
    see({"color_matrix": np.array([[4, -1, -1, 7], [-1, 4, -1, 7], [0, -2, 6, 7]]), "rgb_xyz_matrix": np.eye(4)[:, :3]})
    np.testing.assert_allclose(read_raw(path).matrix, [[2, -0.5, -0.5], [-0.5, 2, -0.5], [0, -0.5, 1.5]])
