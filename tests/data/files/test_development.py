"""RAW files are exposed, balanced and coloured as was chosen; LibRaw and closed forms say what is right."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms

from sr_lightning.data.files.icc import icc_profile
from sr_lightning.data.files.io import Photo
from sr_lightning.data.files.raw import (
    AS_SHOT,
    Development,
    RawPicture,
    as_linear_light,
    camera_photo,
    camera_picture,
    camera_rendering,
    exif_of_raw,
    exposed,
    read_raw,
    refuse_for_mosaics,
)
from sr_lightning.data.raw_synthesis.camera import ISP, Camera
from sr_lightning.errors import ConfigError
from sr_lightning.functional import to_levels
from sr_lightning.functional.bayer import PATTERNS, mosaic
from sr_lightning.functional.demosaic import demosaic_malvar
from sr_lightning.functional.isp import develop

MATRIX = ((1.6, -0.4, -0.2), (-0.2, 1.5, -0.3), (0.0, -0.5, 1.5))


@pytest.fixture
def raws(real_data: Path) -> Path:
    return real_data / "raw"


@pytest.fixture
def nikon(raws: Path) -> Path:
    return raws / "derived_dng" / "nikon_dsc1339_rggb.dng"


def linear(path: Path, **choices: Any) -> NDArray[np.float64]:
    return camera_rendering(path, bits=16, development=Development(colour="linear", **choices)) / 65535


def test_as_shot_is_neither_brightened_nor_stretched(nikon: Path) -> None:
    with rawpy.imread(str(nikon)) as file:
        theirs = file.postprocess(
            use_camera_wb=True, no_auto_bright=True, adjust_maximum_thr=0, gamma=(2.4, 12.92), output_bps=16
        )
    assert np.abs(camera_rendering(nikon, bits=16).astype(int) - theirs).max() <= 1


def test_a_stop_is_a_factor_of_two(nikon: Path) -> None:
    shot, darker = linear(nikon), linear(nikon, exposure=-1)
    np.testing.assert_allclose(darker, shot / 2, atol=2e-5)
    brighter = linear(nikon, exposure=0.5)
    np.testing.assert_allclose(brighter, np.minimum(shot * 2**0.5, 1), atol=1e-4)


def test_auto_makes_a_hundredth_white(raws: Path, cases: Path) -> None:
    under = cases / "dng" / "under.dng"
    assert (linear(under).max(-1) >= 0.999).mean() < 1e-3
    auto = linear(under, exposure="auto")
    assert 0.005 < (auto >= 0.999).mean((0, 1)).max() < 0.02
    assert auto.mean() > 4 * linear(under).mean()


@pytest.mark.parametrize("highlights", ["blend", "reconstruct"])
def test_highlights_keep_the_exposure_and_what_other_channels_know(nikon: Path, highlights: str) -> None:
    clipped, kept = (linear(nikon, highlights=how, exposure=-2) for how in ("clip", highlights))
    dark = clipped.max(-1) < 0.1
    # Where demosaicing decides otherwise, single pixels differ.
    assert np.quantile(np.abs(clipped[dark] - kept[dark]), 0.999) < 2e-3 and dark.mean() > 0.3
    assert kept.max() > clipped.max() + 0.02


def test_white_balance_of_the_user_is_applied_to_the_samples(nikon: Path) -> None:
    with rawpy.imread(str(nikon)) as file:
        theirs = file.postprocess(
            user_wb=[2.5, 1, 1.25, 1], no_auto_bright=True, adjust_maximum_thr=0, gamma=(2.4, 12.92), output_bps=16
        )
        daylight = file.daylight_whitebalance
    ours = camera_rendering(nikon, bits=16, development=Development(white_balance=[5, 2, 2.5]))
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    photo = camera_photo(nikon, Development(white_balance="daylight"))
    assert photo.metadata.camera is not None
    red, _, blue = photo.metadata.camera.gains
    assert [red, blue] == pytest.approx([daylight[0] / daylight[1], daylight[2] / daylight[1]], rel=1e-4)


@pytest.mark.parametrize("colour", ["display_p3", "prophoto"])
def test_profiles_say_what_the_numbers_mean(nikon: Path, colour: Any) -> None:
    """LibRaw's other colours, taken to sRGB by our profile, are its sRGB, where that can show them."""
    srgb = camera_rendering(nikon, development=AS_SHOT).astype(int)
    photo = camera_photo(nikon, Development(colour=colour), bits=8)
    assert photo.metadata.icc is not None
    theirs: Any = ImageCms.profileToProfile(
        Image.fromarray(photo.pixels),
        ImageCms.ImageCmsProfile(BytesIO(photo.metadata.icc)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    inside = (srgb.min(-1) > 20) & (srgb.max(-1) < 235)
    assert np.abs(photo.pixels[inside] - srgb[inside]).mean() > 2
    assert np.abs(np.asarray(theirs)[inside] - srgb[inside]).mean() < 1
    assert inside.mean() > 0.3


def test_the_profile_of_srgb_is_that_of_the_standard() -> None:
    ours = ImageCms.ImageCmsProfile(BytesIO(icc_profile("srgb"))).profile
    theirs = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).profile
    for name in ("red_colorant", "green_colorant", "blue_colorant"):
        np.testing.assert_allclose(getattr(ours, name)[0], getattr(theirs, name)[0], atol=3e-4)


def test_linear_light_is_a_picture_without_its_curve() -> None:
    pixels = np.array([0, 2570, 65535, 32896], np.uint16).reshape(1, 4, 1).repeat(3, -1)
    photo = as_linear_light(Photo(pixels))
    expected = [0, round(65535 * 2570 / 65535 / 12.92), 65535, round(65535 * ((32896 / 65535 + 0.055) / 1.055) ** 2.4)]
    assert photo.pixels[0, :, 0].tolist() == expected and photo.metadata.icc == icc_profile("linear")


# --- mosaics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_reference_is_that_of_the_training(pattern: str) -> None:
    scene = torch.rand(3, 601, 34, generator=torch.Generator().manual_seed(1))
    raw = mosaic(scene, pattern)
    ours = camera_picture(RawPicture(raw, pattern, (2.0, 1.0, 1.5), MATRIX))
    expected = develop(demosaic_malvar(raw[None], pattern)[0], (2.0, 1.0, 1.5), MATRIX)
    assert np.array_equal(ours, to_levels(expected).permute(1, 2, 0).numpy())
    if pattern == "RGGB":
        theirs = Camera(demosaic="malvar").render(raw, ISP((2.0, 1.0, 1.5), MATRIX))
        assert np.array_equal(ours, theirs.permute(1, 2, 0).numpy())


def test_mosaics_are_exposed_before_they_are_clipped(cases: Path) -> None:
    raw = read_raw(cases / "dng" / "under.dng")
    assert exposed(raw, AS_SHOT) is raw
    torch.testing.assert_close(exposed(raw, Development(exposure=2.0)).mosaic, raw.mosaic * 4)
    bright = camera_picture(exposed(raw, Development(exposure="auto")))
    assert 0.003 < (bright == 255).mean((0, 1)).max() < 0.03
    white = RawPicture(torch.ones(1, 8, 8), "GBRG")
    torch.testing.assert_close(exposed(white, Development(exposure="auto")).mosaic, white.mosaic)


def test_a_network_for_mosaics_refuses_what_it_was_not_trained_for() -> None:
    refuse_for_mosaics(Development(exposure=1, white_balance="auto"))
    with pytest.raises(ConfigError, match="highlights=blend: is for networks that enlarge LibRaw's picture"):
        refuse_for_mosaics(Development(highlights="blend"))
    with pytest.raises(ConfigError, match="use colour=srgb, or another model="):
        refuse_for_mosaics(Development(colour="prophoto"))


@pytest.mark.parametrize(
    ("choice", "value", "reason"),
    [
        ("exposure", "bright", "must be as_shot, auto, or EV from -8 to 8"),
        ("exposure", float("nan"), "must be as_shot, auto"),
        ("exposure", True, "must be as_shot, auto"),
        ("highlights", "keep", "clip"),
        ("white_balance", "sunny", "must be camera, auto, daylight, or gains"),
        ("white_balance", [1, 2], "must be camera"),
        ("white_balance", [1, 0, 2], "must be camera"),
        ("colour", "adobe", "srgb"),
    ],
)
def test_choices_that_there_are_not(choice: str, value: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"^{choice}=.*{reason}"):
        Development(**{choice: value})


# --- EXIF -------------------------------------------------------------------------------------------------------------


def test_exif_has_what_libraw_knows_and_no_nul(raws: Path) -> None:
    exif = Image.Exif()
    exif.load(exif_of_raw(raws / "kodak_dc50_buildings.kdc") or b"")
    assert exif[0x0110] == "Kodak Digital Science DC50 Zoom Camera" and exif[0x0132] == "1997:04:23 08:00:47"
    details = exif.get_ifd(0x8769)
    assert details[0x8827] == 84 and float(details[0x829A]) == pytest.approx(0.00435)
    assert not any("\0" in value for value in [*exif.values(), *details.values()] if isinstance(value, str))


def test_a_lens_stays(raws: Path) -> None:
    exif = Image.Exif()
    exif.load(exif_of_raw(raws / "negative" / "canon_eos_6d_linear_lossy.dng") or b"")
    assert exif.get_ifd(0x8769)[0xA434] == "EF24-105mm f/4L IS USM"
    assert exif_of_raw(raws / "raw_meta.json") is None


def test_a_camera_whose_matrix_only_libraw_knows(raws: Path) -> None:
    """Colours of a developed mosaic are those of LibRaw's picture."""
    path = raws / "kodak_dc50_colorchart.kdc"
    theirs, ours = camera_rendering(path), camera_picture(read_raw(path))
    assert np.abs(theirs.astype(int) - ours).mean() < 3 and np.abs(theirs.mean((0, 1)) - ours.mean((0, 1))).max() < 1
