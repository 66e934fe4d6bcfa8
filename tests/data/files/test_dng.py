"""DNG files that are written here open in LibRaw with the same samples and colours."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
import tifffile
import torch
from PIL import Image

from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.metadata import CameraColours, Metadata
from sr_lightning.data.files.raw import (
    RawPicture,
    camera_photo,
    camera_rendering,
    exif_of_raw,
    read_raw,
    write_linear_dng,
    write_mosaic_dng,
)
from sr_lightning.data.files.writing import write_photo
from sr_lightning.errors import PictureError
from sr_lightning.functional.bayer import PATTERNS

COLOURS = CameraColours((2.0, 1.0, 1.5), ((1.6, -0.4, -0.2), (-0.2, 1.5, -0.3), (0.0, -0.5, 1.5)))


@pytest.fixture
def nikon(real_data: Path) -> Path:
    return real_data / "raw/derived_dng/nikon_dsc1339_rggb.dng"


def test_a_developed_picture_opens_in_libraw_with_the_same_colours(nikon: Path, tmp_path: Path) -> None:
    photo = camera_photo(nikon)
    write_photo(tmp_path / "a.dng", photo)
    again = camera_rendering(tmp_path / "a.dng", bits=16).astype(int)
    difference = np.abs(again - photo.pixels)
    # Of linear light in 16 bit, dark values have fewer steps.
    assert difference.max() <= 2 * 257 and difference.mean() < 20
    assert camera_photo(tmp_path / "a.dng").metadata.camera is not None
    theirs, ours = camera_photo(tmp_path / "a.dng").metadata.camera, photo.metadata.camera
    assert theirs and ours
    np.testing.assert_allclose(theirs.gains, ours.gains, rtol=1e-4)
    np.testing.assert_allclose(theirs.matrix, ours.matrix, atol=2e-3)


def test_samples_are_linear_light_in_the_cameras_colours(tmp_path: Path) -> None:
    pixels = np.array([[[65535] * 3, [0] * 3, [32896] * 3]], np.uint16).repeat(40, 0).repeat(16, 1)
    write_linear_dng(tmp_path / "a.dng", pixels, gains=COLOURS.gains, matrix=COLOURS.matrix)
    samples = tifffile.imread(tmp_path / "a.dng")
    grey = ((32896 / 65535 + 0.055) / 1.055) ** 2.4
    expected = [[level / gain * 65535 for gain in COLOURS.gains] for level in (1, 0, grey)]
    np.testing.assert_allclose(samples[0, ::16], expected, atol=1)
    with rawpy.imread(str(tmp_path / "a.dng")) as file:
        assert file.raw_image.shape[:2] == (40, 48) and file.white_level == 65535
        assert file.camera_whitebalance[:3] == pytest.approx([2.0, 1.0, 1.5], rel=1e-4)


def test_a_grey_picture_and_one_of_no_camera_are_srgb(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 2304).astype(np.uint16).reshape(48, 48, 1)
    write_photo(tmp_path / "grey.dng", Photo(ramp))
    assert np.abs(camera_rendering(tmp_path / "grey.dng", bits=16).astype(int) - ramp).max() <= 257
    profiled = Photo(ramp, metadata=Metadata(icc=b"of a printer"))
    with pytest.raises(PictureError, match="a DNG holds a camera's colours"):
        write_photo(tmp_path / "a.dng", profiled)
    assert not (tmp_path / "a.dng").exists()


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("flip", [0, 3, 5, 6])
def test_a_mosaic_comes_back_sample_by_sample(pattern: str, flip: int, tmp_path: Path) -> None:
    mosaic = torch.rand(1, 36, 50, generator=torch.Generator().manual_seed(3)) * 1.01 - 0.01
    like = RawPicture(mosaic, pattern, *COLOURS, flip, baseline_exposure=-0.35)
    write_mosaic_dng(tmp_path / "a.dng", mosaic, pattern=pattern, like=like)
    again = read_raw(tmp_path / "a.dng")
    torch.testing.assert_close(again.mosaic, mosaic, atol=1.0e-5, rtol=0)
    assert (again.pattern, again.flip, again.baseline_exposure) == (pattern, flip, pytest.approx(-0.35))
    np.testing.assert_allclose(again.gains, like.gains, rtol=1e-4)
    np.testing.assert_allclose(again.matrix, like.matrix, atol=2e-3)


def test_exif_stays_but_for_the_size(real_data: Path, nikon: Path, tmp_path: Path) -> None:
    exif = exif_of_raw(real_data / "raw/negative/canon_eos_6d_linear_lossy.dng")
    write_photo(tmp_path / "a.dng", replace(camera_photo(nikon), metadata=Metadata(exif=exif)))
    kept = Image.Exif()
    kept.load(exif_of_raw(tmp_path / "a.dng") or b"")
    assert kept[0x0110] == "Canon EOS 6D"
    assert kept.get_ifd(0x8769)[0xA434] == "EF24-105mm f/4L IS USM" and kept.get_ifd(0x8769)[0x8827] == 1000


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "a.dng").write_bytes(b"mine")
    arguments: Any = {"overwrite": False}
    with pytest.raises(PictureError, match=r"a\.dng: cannot be written \(File exists"):
        write_mosaic_dng(tmp_path / "a.dng", torch.zeros(1, 4, 4), **arguments)
    with pytest.raises(ValueError, match="'RGBG' is not a Bayer pattern"):
        write_mosaic_dng(tmp_path / "b.dng", torch.zeros(1, 4, 4), pattern="RGBG")
    assert (tmp_path / "a.dng").read_bytes() == b"mine" and not (tmp_path / "b.dng").exists()
