"""Every sensor's file is read by every network, or refused by name."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
import torch
from numpy.typing import NDArray

from dng_files import BAYER, BLACK, WHITE, X_TRANS, deflated, in_place_of_strip, lossless_jpeg, warp, write_dng
from sr_lightning.data.files.raw import RawPicture, camera_rendering, has_bayer_mosaic, raw_size, read_raw
from sr_lightning.errors import PictureError
from sr_lightning.functional.bayer import mosaic
from sr_lightning.functional.isp import SRGB_TO_XYZ

SAMPLED_AGAIN = "sampled again as an RGGB mosaic"
COLOUR = (6000, 9000, 4000)  # samples of red, green and blue


def noise(*shape: int) -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(BLACK, WHITE, shape).astype(np.uint16)


def flat(filters: Any, height: int = 96, width: int = 120) -> NDArray[np.uint16]:
    """What a sensor sees of one colour."""
    array = np.asarray(filters)
    tiles = np.tile(array, (height // array.shape[0] + 1, width // array.shape[1] + 1))[:height, :width]
    return np.asarray(COLOUR, np.uint16)[tiles]


def linear(samples: Any) -> Any:
    return (np.asarray(samples, np.float32) - BLACK) / (WHITE - BLACK)


def colours_of(picture: RawPicture) -> list[NDArray[Any]]:
    assert picture.pattern == "RGGB"
    samples = picture.mosaic[0].numpy()
    return [samples[::2, ::2], (samples[::2, 1::2] + samples[1::2, ::2]) / 2, samples[1::2, 1::2]]


def read_twice(path: Path, sentence: str) -> tuple[RawPicture, NDArray[Any]]:
    """The mosaic and the rendering, whose sizes are equal; the mosaic comes with a warning."""
    with pytest.warns(UserWarning, match=sentence) as caught:
        picture = read_raw(path)
    assert all(str(warning.message).startswith(f"{path}: ") for warning in caught) and len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rendering = camera_rendering(path, bits=16)
    assert rendering.shape == (*picture.mosaic.shape[-2:], 3)
    assert raw_size(path) == rendering.shape[:2]
    return picture, rendering


@pytest.mark.parametrize("filters", [X_TRANS, np.roll(X_TRANS, (1, 2), (0, 1)).tolist()])
def test_x_trans(filters: Any, tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", flat(filters), filters)
    picture, rendering = read_twice(path, f"has a 6x6 colour filter array.*{SAMPLED_AGAIN}")
    for found, sample in zip(colours_of(picture), COLOUR, strict=True):  # LibRaw's way for small ones rounds, and
        np.testing.assert_allclose(found[1:, 1:], linear(sample), atol=2e-3)  # leaves the corner black
    bayer = write_dng(tmp_path / "b.dng", flat(BAYER))
    assert np.abs(rendering.astype(int) - camera_rendering(bayer, bits=16))[2:, 2:].max() < 300
    np.testing.assert_allclose(picture.gains, read_raw(bayer).gains)
    np.testing.assert_allclose(picture.matrix, read_raw(bayer).matrix)


def test_large_x_trans_is_interpolated_as_libraw_does(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", noise(516, 516), X_TRANS)
    with rawpy.imread(str(path)) as raw:
        theirs = raw.postprocess(gamma=(1, 1), no_auto_bright=True, output_bps=16, output_color=rawpy.ColorSpace.raw,
                                 user_wb=[1, 1, 1, 1], adjust_maximum_thr=0)  # fmt: skip
    picture, _ = read_twice(path, SAMPLED_AGAIN)
    expected = mosaic(torch.from_numpy(theirs.astype(np.float32)).permute(2, 0, 1) / 65535)
    torch.testing.assert_close(picture.mosaic, expected)


@pytest.mark.parametrize("side", [2, 3])
@pytest.mark.parametrize("bayer", ["RGGB", "GRBG", "GBRG", "BGGR"])
def test_samples_that_share_a_filter_are_binned(bayer: str, side: int, tmp_path: Path) -> None:
    """As a Bayer mosaic of the same means; one of all phases is moved by a sample, which costs a row and a column."""
    small = noise(32, 40)
    filters = np.reshape(["RGB".index(colour) for colour in bayer], (2, 2))
    large, array = (np.kron(x, np.ones((side, side), int)) for x in (small, filters))
    large[::side, ::side] += 1  # means, not one of them
    large[1::side, 1::side] -= 1
    if bayer == "GBRG":
        large, array = np.roll(large, (1, 1), (0, 1)), np.roll(array, (1, 1), (0, 1))
        small = small[:-1, :-1]
    path = write_dng(tmp_path / "a.dng", large.astype(np.uint16), array.tolist())
    shape = "x".join(map(str, small.shape))
    picture, rendering = read_twice(path, f"{side}x{side} samples share .* Bayer mosaic of {shape} pixels")
    as_bayer = write_dng(tmp_path / "b.dng", small, filters.tolist())
    expected = read_raw(as_bayer)
    assert (picture.pattern, picture.matrix) == (expected.pattern, expected.matrix)
    np.testing.assert_allclose(picture.gains, expected.gains)
    torch.testing.assert_close(picture.mosaic, expected.mosaic)
    assert np.array_equal(rendering, camera_rendering(as_bayer, bits=16))


def test_a_monochrome_sensor_gives_grey(tmp_path: Path) -> None:
    samples = noise(48, 64)
    path = write_dng(tmp_path / "a.dng", samples, None)
    picture = read_raw(path)
    np.testing.assert_allclose(picture.mosaic[0], linear(samples), atol=1e-6)
    assert (picture.pattern, picture.gains) == ("RGGB", (1.0, 1.0, 1.0))
    assert np.array_equal(picture.matrix, np.eye(3))
    rendering = camera_rendering(path, bits=16, gamma=(1, 1))
    assert (np.ptp(rendering, axis=2) == 0).all()
    np.testing.assert_allclose(rendering[..., 0] / 65535, linear(samples), atol=1e-4)


@pytest.mark.parametrize("whites", [(WHITE,) * 3, (10000, 12000, 14000)])
def test_linear_colours(whites: tuple[int, ...], tmp_path: Path) -> None:
    """Each channel has a white level of its own; where they differ, the balance makes up for it."""
    samples = np.minimum(noise(48, 64, 3), 10000)
    path = write_dng(tmp_path / "a.dng", samples, None, tags=[(50717, "I", 3, whites)])
    picture, rendering = read_twice(path, f"has red, green and blue at each pixel.*{SAMPLED_AGAIN}")
    expected = mosaic(torch.from_numpy((samples.astype(np.float32) - BLACK) / (max(whites) - BLACK)).permute(2, 0, 1))
    torch.testing.assert_close(picture.mosaic, expected, atol=2e-5, rtol=0)
    spans = np.array(whites) - BLACK
    balance = np.array(read_raw(write_dng(tmp_path / "b.dng", noise(48, 64))).gains)
    np.testing.assert_allclose(picture.gains, balance / spans * spans[1], rtol=1e-4)
    assert rendering.std() > 1000


def four_colours(path: Path, codes: Any, camera: Any, colour: Any) -> Path:
    """What a sensor of four colours sees of one, by its matrix from XYZ; codes in the matrix's order."""
    white = np.sum(camera @ SRGB_TO_XYZ, axis=1)
    seen = camera @ SRGB_TO_XYZ @ colour / white.max()
    samples = (BLACK + (WHITE - BLACK) * seen[np.tile([[0, 1], [3, 2]], (24, 30))]).round().astype(np.uint16)
    filters = [[codes[0], codes[1]], [codes[3], codes[2]]]
    return write_dng(path, samples, filters, matrix=np.ravel(camera), neutral=white / white.max(),
                     tags=[(50710, "B", 4, codes)])  # fmt: skip


def test_four_colours(tmp_path: Path) -> None:
    """Red, green, blue and cyan become the sRGB that the matrix says."""
    camera = np.array([[0.9, -0.3, -0.1], [-0.4, 1.2, 0.2], [-0.1, 0.2, 0.7], [-0.2, 0.7, 0.5]])
    colour = np.array([0.5, 0.3, 0.2])
    path = four_colours(tmp_path / "a.dng", (0, 1, 2, 3), camera, colour)
    picture, rendering = read_twice(path, f"has filters of other colours than red, green and blue.*{SAMPLED_AGAIN}")
    found = np.array([plane.mean() for plane in colours_of(picture)])
    np.testing.assert_allclose(found / found[1], colour / colour[1], rtol=0.01)
    assert picture.gains == (1.0, 1.0, 1.0) and np.array_equal(picture.matrix, np.eye(3))
    light = camera_rendering(path, bits=16, gamma=(1, 1)).mean((0, 1))
    np.testing.assert_allclose(light / light[1], colour / colour[1], rtol=0.01)
    assert rendering.shape == (48, 60, 3)


def test_colours_that_libraw_does_not_convert_are_refused(tmp_path: Path) -> None:
    """LibRaw shows cyan, yellow, green and magenta as red, green and blue."""
    camera = np.array([[0.2, 0.7, 0.6], [0.8, 0.6, 0.1], [0.1, 0.9, 0.2], [0.7, 0.2, 0.6]])
    path = four_colours(tmp_path / "a.dng", (3, 5, 1, 4), camera, np.array([0.5, 0.3, 0.2]))
    for read in (read_raw, camera_rendering, raw_size):
        with pytest.raises(PictureError, match=r"a\.dng: has four colours, of which the first is not red"):
            read(path)


@pytest.mark.parametrize("scale", [(2, 1), (1, 2)])
def test_pixels_that_are_not_square_become_square(scale: tuple[int, int], tmp_path: Path) -> None:
    tag = (50718, "2I", 2, (scale[0], 1, scale[1], 1))
    path = write_dng(tmp_path / "a.dng", noise(32, 48), tags=[tag])
    picture, rendering = read_twice(path, f"has pixels that are not square.*{SAMPLED_AGAIN}")
    assert picture.mosaic.shape[-2:] == (32 * scale[1], 48 * scale[0])
    with rawpy.imread(str(path)) as raw:
        assert raw.postprocess().shape == rendering.shape


@pytest.mark.parametrize(
    ("filters", "size"),
    [
        ([[0, 1, 0, 3], [1, 2, 1, 2], [0, 1, 0, 1], [1, 2, 1, 2]], "4x4"),
        ([[0, 1, 2]] * 3, "3x3"),
        (np.kron(BAYER, np.ones((4, 4), int)).tolist(), "8x8"),
    ],
)
def test_other_filter_arrays_are_refused_by_all(filters: Any, size: str, tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", noise(48, 60), filters)
    for read in (read_raw, camera_rendering, raw_size):
        with pytest.raises(PictureError, match=f"a.dng: has a {size} colour filter array that LibRaw does not know"):
            read(path)


def test_a_camera_that_writes_no_header(tmp_path: Path) -> None:
    """A Kodak C330's file is known by its size; samples that fill a file could be anybody's."""
    path = tmp_path / "a.raw"
    path.write_bytes(np.random.default_rng(0).integers(60, 140, 2247168).astype(np.uint8).tobytes())
    picture, rendering = read_twice(path, "has red, green and blue at each pixel")
    assert rendering.shape == (912, 1216, 3) and 0 < float(picture.mosaic.mean()) < 1
    for size in (1024 * 768, 2 * 1920 * 1080, 12345):
        path.write_bytes(bytes(size))
        for read in (read_raw, camera_rendering, raw_size):
            with pytest.raises(PictureError, match="bare samples without a header; leave it out, or in"):
                read(path)


def test_compressed_files(tmp_path: Path) -> None:
    samples = noise(48, 64)
    path = write_dng(tmp_path / "a.dng", samples, rowsperstrip=48)
    in_place_of_strip(path, 7, lossless_jpeg(samples))
    np.testing.assert_allclose(read_raw(path).mosaic[0], linear(samples), atol=1e-6)
    floats = linear(samples)
    path = write_dng(tmp_path / "b.dng", floats, black=None, rowsperstrip=48)
    in_place_of_strip(path, 8, deflated(floats))
    np.testing.assert_allclose(read_raw(path).mosaic[0], floats, atol=2e-3)


def test_what_libraw_says_is_the_reason(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_dng(tmp_path / "a.dng", noise(48, 64), rowsperstrip=48)
    in_place_of_strip(path, 7, lossless_jpeg(noise(48, 64))[:900])
    for read in (read_raw, camera_rendering):
        with pytest.raises(PictureError, match=r"a\.dng: no RAW file that LibRaw can read \(.*: (data corr|Unexp)"):
            read(path)
    assert capfd.readouterr().err == ""


def test_a_compression_that_libraw_lacks_is_named(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", noise(48, 64))
    in_place_of_strip(path, 52546, b"\xff\x0a")
    with pytest.raises(PictureError, match=r"a\.dng: no RAW file .*its samples are in JPEG XL"):
        read_raw(path)


def test_lossy_dng(real_data: Path) -> None:
    """LibRaw carries out this file's own opcodes as it decodes."""
    path = real_data / "raw" / "negative" / "canon_eos_6d_linear_lossy.dng"
    picture, _ = read_twice(path, f"has red, green and blue at each pixel.*{SAMPLED_AGAIN}")
    assert picture.baseline_exposure == 0.25


def test_which_files_go_to_networks_for_mosaics(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """Those of which nothing is lost; the question itself says nothing."""
    quad = np.kron(BAYER, np.ones((2, 2), int)).tolist()
    step = {3: [warp([(1, 0, 0, 0, 0, 0)])]}
    for expected, filters, samples, opcodes in (
        (True, BAYER, noise(48, 60), {}),
        (True, quad, noise(48, 60), {}),
        (False, BAYER, noise(48, 60), step),
        (False, X_TRANS, noise(48, 60), {}),
        (False, None, noise(48, 60), {}),
        (False, None, noise(48, 60, 3), {}),
    ):
        path = write_dng(tmp_path / "a.dng", samples, filters, opcodes=opcodes)
        assert has_bayer_mosaic(path) is expected
    assert not has_bayer_mosaic(tmp_path / "nowhere.dng")
    assert not recwarn
