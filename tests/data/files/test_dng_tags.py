"""What a DNG says of its samples is applied, for networks of both kinds, or named."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rawpy
import torch
from numpy.typing import NDArray

from dng_files import BAYER, BLACK, WHITE, gain_map, opcode, vignette, warp, write_dng
from sr_lightning.data.files.raw import Development, camera_rendering, exposed, raw_size, read_raw
from sr_lightning.data.files.raw.dng_tags import DngTags, Opcode, read_dng_tags
from sr_lightning.data.files.raw.opcodes import warped
from sr_lightning.errors import PictureError

SHAPE = HEIGHT, WIDTH = 36, 48
AREA = (0, 0, HEIGHT, WIDTH)
SPAN = WHITE - BLACK
#: Gains that grow from 1 to 1.5 downwards and to 2 rightwards, so that a map's four corners say all.
CORNERS = np.array([[1.0, 2.0], [1.5, 2.5]])[..., None]


def slope() -> NDArray[Any]:
    y, x = (np.arange(HEIGHT)[:, None] + 0.5) / HEIGHT, (np.arange(WIDTH) + 0.5) / WIDTH
    return 1 + 0.5 * y + x


def noise(low: int = BLACK, high: int = 6000) -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(low, high, SHAPE).astype(np.uint16)


def mosaic_of(path: Path) -> NDArray[Any]:
    return read_raw(path).mosaic[0].numpy() * SPAN


def same_rendering(path: Path, tmp_path: Path) -> None:
    """LibRaw makes the same of a file as of one that holds the right samples, those of the mosaic, at once."""
    right = write_dng(tmp_path / "right.dng", np.rint(mosaic_of(path) + BLACK).astype(np.uint16))
    assert np.array_equal(camera_rendering(path, bits=16), camera_rendering(right, bits=16))


def test_gains_of_the_second_list(tmp_path: Path) -> None:
    """Of each Bayer place its own, as cameras write them; what is then beyond white is white."""
    samples = noise(high=WHITE)
    maps = [gain_map(CORNERS, (y, x, HEIGHT, WIDTH), pitch=2) for y in (0, 1) for x in (0, 1)]
    path = write_dng(tmp_path / "a.dng", samples, opcodes={2: maps})
    right = np.minimum((samples.astype(float) - BLACK) * slope(), SPAN)
    np.testing.assert_allclose(mosaic_of(path), right, atol=0.51)
    same_rendering(path, tmp_path)
    path = write_dng(tmp_path / "b.dng", samples, opcodes={2: maps[:1]})
    others = np.ones(SHAPE, bool)
    others[::2, ::2] = False
    np.testing.assert_allclose(mosaic_of(path)[others], (samples.astype(float) - BLACK)[others], atol=0.01)


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_gains_of_the_first_list_are_of_stored_samples(byteorder: Any, tmp_path: Path) -> None:
    """Black included, and with the rows and columns around the active area."""
    samples = noise()
    area = (50829, "I", 4, (2, 4, HEIGHT, WIDTH))
    path = write_dng(tmp_path / "a.dng", samples, tags=[area], opcodes={1: [gain_map(CORNERS, AREA)]},
                     byteorder=byteorder)  # fmt: skip
    right = samples * slope() - BLACK
    np.testing.assert_allclose(mosaic_of(path), right[2:, 4:], atol=0.51)
    same_rendering(path, tmp_path)


def test_gains_of_the_third_list_are_of_colours(tmp_path: Path) -> None:
    """Green's is 1 here, and red's and blue's differ; those of linear colours are applied as they are."""
    planes = np.concatenate([CORNERS, np.ones_like(CORNERS), 2 * CORNERS], axis=2)
    samples = noise(high=3000)
    path = write_dng(tmp_path / "a.dng", samples, opcodes={3: [gain_map(planes, AREA, first=(0, 3))]})
    factors = np.stack([slope(), np.ones(SHAPE), 2 * slope()])
    of_each = np.take_along_axis(factors, np.tile(BAYER, (HEIGHT // 2, WIDTH // 2))[None], axis=0)[0]
    right = (samples.astype(float) - BLACK) * of_each
    np.testing.assert_allclose(mosaic_of(path), right, atol=0.51)
    same_rendering(path, tmp_path)
    colours = np.random.default_rng(1).integers(BLACK, 3000, (*SHAPE, 3)).astype(np.uint16)
    path = write_dng(tmp_path / "b.dng", colours, None, opcodes={3: [gain_map(planes, AREA, first=(0, 3))]})
    full = np.rint(BLACK + (colours.astype(float) - BLACK) * factors.transpose(1, 2, 0)).astype(np.uint16)
    right_one = write_dng(tmp_path / "c.dng", full, None)
    both = (camera_rendering(x, bits=16).astype(int) for x in (path, right_one))
    assert np.ptp(np.stack([*both]), axis=0).max() < 40  # where a half was rounded the other way


@pytest.mark.parametrize(("stage", "centre"), [(2, (0.5, 0.5)), (3, (0.5, 0.5)), (3, (0.0, 0.0)), (3, (1.0, 0.25))])
def test_vignette(stage: int, centre: tuple[float, float], tmp_path: Path) -> None:
    """The polynomial of the radius, which is 1 in the corner that is farthest from the centre."""
    terms = (0.3, 0.1, 0.05, -0.02, 0.07)
    samples = noise()
    path = write_dng(tmp_path / "a.dng", samples, opcodes={stage: [vignette(terms, centre)]})
    x, y = centre[0] * (WIDTH - 1), centre[1] * (HEIGHT - 1)
    distance = np.hypot(np.arange(HEIGHT)[:, None] - y, np.arange(WIDTH) - x)
    radius = distance / max(np.hypot(y - b, x - a) for b in (0, HEIGHT - 1) for a in (0, WIDTH - 1))
    factors = 1 + sum(term * radius ** (2 * power) for power, term in enumerate(terms, 1))
    assert factors.max() == pytest.approx(1.5)
    right = (samples.astype(float) - BLACK) * factors
    np.testing.assert_allclose(mosaic_of(path), right, atol=0.51)
    same_rendering(path, tmp_path)


@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.25, 0.75)])
def test_warp(centre: tuple[float, float]) -> None:
    """On ramps, whose values are coordinates, each channel shows where its polynomials took it from."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    picture = np.stack([x, y, x], axis=2)
    planes = [(0.9, 0.05, -0.02, 0.01, 0.0, 0.0), (0.95, 0.0, 0.0, 0.0, 0.02, 0.01), (0.8, 0.0, 0.0, 0.0, 0.01, -0.02)]
    step = Opcode(3, 1, warp(planes, centre)[16:])
    found = warped(step, picture)
    middle = np.array([centre[0] * (WIDTH - 1), centre[1] * (HEIGHT - 1)])
    far = max(np.hypot(middle[0] - a, middle[1] - b) for a in (0, WIDTH - 1) for b in (0, HEIGHT - 1))
    for column, row in ((24, 18), (20, 10), (30, 22)):
        u, v = (column - middle[0]) / far, (row - middle[1]) / far
        r = np.hypot(u, v)
        for channel, (k0, k1, k2, k3, t0, t1) in enumerate(planes):
            f = k0 + k1 * r**2 + k2 * r**4 + k3 * r**6
            place = (
                middle[0] + far * (f * u + t0 * 2 * u * v + t1 * (r**2 + 2 * u**2)),
                middle[1] + far * (f * v + t1 * 2 * u * v + t0 * (r**2 + 2 * v**2)),
            )
            assert found[row, column, channel] == pytest.approx(place[channel % 2], abs=0.05)
    one = Opcode(3, 1, warp(planes[:1], centre)[16:])
    np.testing.assert_allclose(warped(one, picture)[..., 0], found[..., 0], atol=1e-4)
    identity = Opcode(3, 1, warp([(1, 0, 0, 0, 0, 0)], centre)[16:])
    np.testing.assert_allclose(warped(identity, picture), picture, atol=1e-3)


def test_a_warp_is_for_renderings_alone(tmp_path: Path) -> None:
    steps = {3: [warp([(0.8, 0, 0, 0, 0, 0)])]}
    path, plain = write_dng(tmp_path / "a.dng", noise(), opcodes=steps), write_dng(tmp_path / "b.dng", noise())
    rendering = camera_rendering(plain, bits=16)
    step = read_dng_tags(path).opcodes[0]  # type: ignore[union-attr]
    assert np.array_equal(camera_rendering(path, bits=16), warped(step, rendering))
    assert np.array_equal(camera_rendering(path, bits=16, warp=False), rendering)
    with pytest.warns(UserWarning, match=r"a\.dng: WarpRectilinear .* not applied to the mosaic"):
        assert torch.equal(read_raw(path).mosaic, read_raw(plain).mosaic)


def test_other_steps_are_named(tmp_path: Path) -> None:
    cut = gain_map(CORNERS, AREA)[:-4]
    cut = cut[:12] + struct.pack(">I", len(cut) - 16) + cut[16:]
    steps = {1: [opcode(4), opcode(99)], 2: [opcode(7), cut], 3: [opcode(2)]}
    path = write_dng(tmp_path / "a.dng", noise(), opcodes=steps)
    sentence = (
        r"a\.dng: the DNG asks for FixBadPixelsConstant of OpcodeList1, opcode 99 of OpcodeList1, MapTable of "
        r"OpcodeList2, WarpFisheye of OpcodeList3, GainMap of OpcodeList2 \(damaged\): not applied$"
    )
    for read in (read_raw, camera_rendering):
        with pytest.warns(UserWarning, match=sentence) as caught:
            read(path)  # type: ignore[operator]
        assert len(caught) == 1
    with pytest.warns(UserWarning, match="not applied"):
        np.testing.assert_allclose(mosaic_of(path), noise().astype(float) - BLACK, atol=0.01)


@pytest.mark.parametrize("data", [b"", bytes(68), warp([(np.nan, 0, 0, 0, 0, 0)])[16:], warp([(1,) * 6])[16:-1]])
def test_damaged_warps_are_named(data: bytes, tmp_path: Path) -> None:
    path, plain = write_dng(tmp_path / "a.dng", noise(), opcodes={3: [opcode(1, data)]}), tmp_path / "b.dng"
    with pytest.warns(UserWarning, match=r"asks for WarpRectilinear of OpcodeList3: not applied"):
        rendering = camera_rendering(path)
    assert np.array_equal(rendering, camera_rendering(write_dng(plain, noise())))


def test_a_list_that_ends_too_early_is_named(tmp_path: Path) -> None:
    step = opcode(9, bytes(20))
    path = write_dng(tmp_path / "a.dng", noise(), opcodes={2: [step[:12] + struct.pack(">I", 999) + step[16:]]})
    with pytest.warns(UserWarning, match=r"asks for OpcodeList2 \(damaged\): not applied"):
        read_raw(path)


@pytest.mark.parametrize("sign", [1, -1])
def test_black_levels_of_rows_and_columns(sign: int, tmp_path: Path) -> None:
    """LibRaw has their mean alone."""
    rows, columns = sign * np.arange(HEIGHT), sign * (np.arange(WIDTH) % 7)
    tags = [
        (50716, "2i", HEIGHT, tuple(n for row in rows.tolist() for n in (10 * row, 10))),
        (50715, "2i", WIDTH, tuple(n for column in columns.tolist() for n in (10 * column, 10))),
    ]
    samples = noise(low=BLACK + 100)
    path = write_dng(tmp_path / "a.dng", samples, tags=tags)
    right = samples.astype(float) - BLACK - rows[:, None] - columns
    with rawpy.imread(str(path)) as raw:
        black = raw.black_level_per_channel[0]  # LibRaw's, with the mean: white is so far from it
    np.testing.assert_allclose(read_raw(path).mosaic[0] * (WHITE - black), right, atol=0.51)
    rounded = write_dng(tmp_path / "b.dng", np.rint(right + black).astype(np.uint16), black=black)
    assert np.array_equal(camera_rendering(path, bits=16), camera_rendering(rounded, bits=16))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 2), (4, 2), (3, 5)])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_black_levels_that_repeat(shape: tuple[int, int], byteorder: Any, tmp_path: Path) -> None:
    levels = 300 + 10 * np.arange(shape[0] * shape[1]).reshape(shape)
    samples = noise()
    tags = [(50713, "H", 2, shape), (50714, "I", levels.size, tuple(levels.ravel().tolist()))]
    path = write_dng(tmp_path / "a.dng", samples, tags=tags, black=None, byteorder=byteorder)
    black = np.tile(levels, (HEIGHT, WIDTH))[:HEIGHT, :WIDTH]
    np.testing.assert_allclose(read_raw(path).mosaic[0], (samples - black.astype(float)) / (WHITE - black), atol=1e-5)


def test_fractions_of_black_and_of_monochrome_sensors(tmp_path: Path) -> None:
    tags = [(50713, "H", 2, (2, 2)), (50714, "2I", 4, (600, 1, 610, 1, 620, 1, 630, 1))]
    path = write_dng(tmp_path / "a.dng", noise(), None, tags=tags, black=None)
    black = np.tile([[600, 610], [620, 630]], (HEIGHT // 2, WIDTH // 2))
    right = (noise() - black.astype(float)) / (WHITE - black)
    np.testing.assert_allclose(read_raw(path).mosaic[0], right, atol=1e-5)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize(("top", "left"), [(3, 5), (2, 5), (3, 4), (4, 2)])
def test_default_crop(top: int, left: int, orientation: int, tmp_path: Path) -> None:
    crop = [(50719, "2I", 2, (left, 1, top, 1)), (50720, "2I", 2, (32, 1, 28, 1)), (274, "H", 1, orientation)]
    path = write_dng(tmp_path / "a.dng", noise(), tags=crop)
    picture, whole = read_raw(path), read_raw(write_dng(tmp_path / "b.dng", noise()))
    assert torch.equal(picture.mosaic, whole.mosaic[:, top : top + 28, left : left + 32])
    assert picture.pattern == {(0, 0): "RGGB", (0, 1): "GRBG", (1, 0): "GBRG", (1, 1): "BGGR"}[top % 2, left % 2]
    all_of_it = camera_rendering(tmp_path / "b.dng", bits=16)
    expected = np.rot90(all_of_it[top : top + 28, left : left + 32], {1: 0, 3: 2, 6: 3, 8: 1}[orientation])
    assert np.array_equal(camera_rendering(path, bits=16), expected)
    assert raw_size(path) == expected.shape[:2]
    assert camera_rendering(path, half_size=True).shape[:2] == tuple(side // 2 for side in expected.shape[:2])


def test_a_crop_of_pixels_that_are_not_square(tmp_path: Path) -> None:
    """It counts pixels as they are stored."""
    crop = [(50718, "2I", 2, (2, 1, 1, 1)), (50719, "2I", 2, (4, 1, 2, 1)), (50720, "2I", 2, (30, 1, 28, 1))]
    path = write_dng(tmp_path / "a.dng", noise(), tags=crop)
    whole = camera_rendering(write_dng(tmp_path / "b.dng", noise(), tags=crop[:1]), bits=16)
    assert np.array_equal(camera_rendering(path, bits=16), whole[2:30, 8:68])
    assert raw_size(path) == (28, 60)
    with pytest.warns(UserWarning, match="pixels that are not square"):
        assert read_raw(path).mosaic.shape == (1, 28, 60)


@pytest.mark.parametrize(("origin", "size"), [((20, 0), (30, 36)), ((0, 0), (48, 37)), ((0, 0), (0, 36))])
def test_a_crop_outside_is_not_applied(origin: Any, size: Any, tmp_path: Path) -> None:
    crop = [(50719, "I", 2, origin), (50720, "I", 2, size)]
    path = write_dng(tmp_path / "a.dng", noise(), tags=crop)
    for read in (read_raw, camera_rendering):
        with pytest.warns(UserWarning, match=r"a\.dng: its DefaultCrop lies outside its samples"):
            read(path)  # type: ignore[operator]
    assert raw_size(path) == SHAPE


def test_baseline_exposure(tmp_path: Path) -> None:
    """A stop makes the mosaic and the picture twice as bright, unless brightness is chosen by what is in it."""
    samples = noise(high=4000)
    path = write_dng(tmp_path / "a.dng", samples, tags=[(50730, "2i", 1, (1, 1))])
    plain = write_dng(tmp_path / "b.dng", samples)
    light, plain_light = (camera_rendering(x, bits=16, gamma=(1, 1)).astype(float) for x in (path, plain))
    dark = plain_light < 32000
    np.testing.assert_allclose(light[dark], 2 * plain_light[dark], atol=2)
    raw = read_raw(path)
    assert raw.baseline_exposure == 1 and torch.equal(raw.mosaic, read_raw(plain).mosaic)
    for stops, factor in (("as_shot", 2), (-1.0, 1), (1.0, 4)):
        torch.testing.assert_close(exposed(raw, Development(exposure=stops)).mosaic, factor * raw.mosaic)
    auto = Development(exposure="auto")
    assert np.array_equal(camera_rendering(path, development=auto), camera_rendering(plain, development=auto))
    torch.testing.assert_close(exposed(raw, auto).mosaic, exposed(read_raw(plain), auto).mosaic)


def test_gain_map_of_a_camera(cases: Path) -> None:
    """The map has 13x17 points, and the vignetting between them is convex: half a percent is left."""
    found, truth = (read_raw(cases / "dng" / f"{name}.dng").mosaic for name in ("gainmap", "gainmap_truth"))
    assert (found - truth).abs().max() < 0.006 and (found - truth).abs().mean() < 6e-4


def test_other_files_have_no_tags(tmp_path: Path, real_data: Path) -> None:
    assert read_dng_tags(real_data / "raw" / "kodak_dc50_buildings.kdc") is None
    (tmp_path / "a.dng").write_bytes(b"II*\0" + bytes(range(200)))
    assert read_dng_tags(tmp_path / "a.dng") is None
    tags = read_dng_tags(write_dng(tmp_path / "b.dng", noise()))
    assert tags is not None and tags.opcodes == DngTags().opcodes and tags.crop is None


def test_the_samples_of_a_file_with_a_preview(real_data: Path) -> None:
    """The first page is a preview; the tags are those of the page with the samples."""
    tags = read_dng_tags(real_data / "raw" / "negative" / "canon_eos_6d_linear_lossy.dng")
    assert tags is not None and tags.crop == (0, 0, 816, 1224) and tags.compression == 34892
    assert tags.opcodes == () and tags.baseline_exposure == 0.25


@pytest.mark.parametrize(
    "step",
    [gain_map(np.where(np.arange(4).reshape(2, 2, 1) == 1, value, 1.0), AREA) for value in (np.nan, np.inf, -1.0)]
    + [vignette([np.nan, 0, 0, 0, 0]), vignette([-3.0, 0, 0, 0, 0])],
)
def test_gains_that_cannot_be_are_named(step: bytes, tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", noise(), opcodes={2: [step]})
    with pytest.warns(UserWarning, match=r"(GainMap|FixVignetteRadial) of OpcodeList2 \(damaged\): not applied"):
        np.testing.assert_allclose(mosaic_of(path), noise().astype(float) - BLACK, atol=0.01)


@pytest.mark.parametrize("terms", [[0.0] * 6, [1e30, 0, 0, 0, 0, 0], [1.0, 0.9, 0, 0, 0, 0]])
def test_a_warp_that_no_lens_has_is_named(terms: list[float], tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", noise(), opcodes={3: [warp([terms])]})
    plain = write_dng(tmp_path / "b.dng", noise())
    with pytest.warns(UserWarning, match="WarpRectilinear of OpcodeList3: not applied"):
        assert np.array_equal(camera_rendering(path), camera_rendering(plain))


def test_levels_that_leave_nothing_are_refused_for_all(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", noise(), tags=[(50717, "I", 1, BLACK)])
    for read in (read_raw, camera_rendering):
        with pytest.raises(PictureError, match=r"a\.dng: its white level .* is not above its black level"):
            read(path)


def test_a_crop_that_leaves_next_to_nothing_is_not_applied(tmp_path: Path) -> None:
    tags = [(50719, "H", 2, (4, 4)), (50720, "H", 2, (2, 30))]
    path = write_dng(tmp_path / "a.dng", noise(), tags=tags)
    with pytest.warns(UserWarning, match=r"a\.dng: its DefaultCrop leaves 2x30 pixels, and is not applied"):
        assert read_raw(path).mosaic.shape == (1, *SHAPE)


@pytest.mark.parametrize("matrix", [[0.5] * 9, [20.0] * 9, [1, 0, 0, 0, 1, 0, 1, 1, 0.0001]])
def test_a_colour_matrix_that_cannot_be_undone_is_replaced(matrix: list[float], tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", noise(), matrix=matrix)
    found = np.array(read_raw(path).matrix)
    assert np.isfinite(found).all() and np.linalg.cond(found) < 1e3
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)
