"""Packed mosaics are resized to where the sites of the other sensor lie: in closed form, on ramps."""

import pytest
import torch
from torch import Tensor

from sr_lightning.functional import imresize
from sr_lightning.functional.bayer import pack, unpack
from sr_lightning.functional.packed import enlarge_packed, packed_preview, reduce_packed, site_places

SCALES = [2, 3, 4]


def view(rows: Tensor, columns: Tensor) -> Tensor:
    """A view that is a straight ramp, at centres of pixels in units of its own."""
    return 0.3 + 0.011 * rows[:, None] + 0.007 * columns


def photographed(cells: int, pixel: float, before: float = 0.0) -> Tensor:
    """The packed mosaic that a sensor with pixels of this width has of the view."""
    centres = (torch.arange(2 * cells, dtype=torch.float64) + 0.5) * pixel + before
    return pack(view(centres, centres)[None])[None]


@pytest.mark.parametrize("sampling", ["mean", "point"])
@pytest.mark.parametrize("scale", SCALES)
def test_a_coarse_sensor_sees_what_a_sensor_of_larger_pixels_sees(scale: int, sampling: str) -> None:
    fine = photographed(scale * 5 + 2 * scale, 1.0, before=-2.0 * scale)
    coarse = reduce_packed(fine, scale, scale, grid="sensor", sampling=sampling)  # type: ignore[arg-type]
    torch.testing.assert_close(coarse, photographed(5, float(scale)), atol=1e-12, rtol=0)


@pytest.mark.parametrize("scale", SCALES)
def test_enlarged_sites_lie_where_the_finer_sensor_has_them(scale: int) -> None:
    sr = enlarge_packed(photographed(7, float(scale)), scale)
    inside = slice(2 * scale, -2 * scale)
    expected = photographed(7 * scale, 1.0)
    torch.testing.assert_close(sr[..., inside, inside], expected[..., inside, inside], atol=1e-12, rtol=0)


@pytest.mark.parametrize("scale", SCALES)
def test_the_grid_of_the_challenges_moves_colours_apart(scale: int) -> None:
    """Planes enlarged as pictures: red lies (scale - 1) / 2 pixels too far back, blue as far ahead."""
    sr = enlarge_packed(photographed(7, float(scale)), scale, grid="cells")
    error = (sr - photographed(7 * scale, 1.0))[0, :, 3 * scale : -3 * scale, 3 * scale : -3 * scale]
    shift = (scale - 1) / 2
    for plane, (rows, columns) in enumerate([(-1, -1), (-1, 1), (1, -1), (1, 1)]):
        expected = shift * (0.011 * rows + 0.007 * columns)
        torch.testing.assert_close(error[plane], torch.full_like(error[plane], expected), atol=1e-12, rtol=0)


@pytest.mark.parametrize("scale", SCALES)
def test_the_challenges_reduce_planes_as_average_pooling_does(scale: int) -> None:
    x = torch.rand(2, 4, 6 * scale, 4 * scale, dtype=torch.float64)
    inner = x[..., scale:-scale, scale:-scale]
    expected = torch.nn.functional.avg_pool2d(inner, scale)
    torch.testing.assert_close(reduce_packed(x, scale, scale, grid="cells", sampling="mean"), expected)
    # Sub-sampling keeps the first of the cells.
    first = reduce_packed(x, scale, scale, grid="first", sampling="point")
    assert torch.equal(first, inner[..., ::scale, ::scale])


@pytest.mark.parametrize("scale", SCALES)
def test_enlarging_planes_as_pictures_is_matlabs(scale: int) -> None:
    x = torch.rand(1, 4, 9, 7, dtype=torch.float64)
    inside = slice(2 * scale, -2 * scale)
    ours, matlabs = enlarge_packed(x, scale, "cells"), imresize(x, scale)
    torch.testing.assert_close(ours[..., inside, inside], matlabs[..., inside, inside], atol=1e-12, rtol=0)


@pytest.mark.parametrize("grid", ["sensor", "cells", "first"])
def test_a_plain_mosaic_stays_plain_in_half_precision(grid: str) -> None:
    x = torch.tensor([0.7, 0.3, 0.31, 0.1]).view(1, 4, 1, 1).expand(1, 4, 5, 6)
    with torch.autocast("cpu", torch.bfloat16):
        sr = enlarge_packed(x, 2, grid)  # type: ignore[arg-type]
    torch.testing.assert_close(sr, x[..., :1, :1].expand(1, 4, 10, 12), atol=1e-6, rtol=0)


def test_planes_have_one_place_but_on_a_sensor() -> None:
    for scale in SCALES:
        first, second = site_places(scale, "sensor")
        assert second - first == (scale - 1) / 2  # of cells, beside the pixel that they are apart anyway
        assert first + second == scale - 1 == sum(site_places(scale, "cells"))


def test_a_preview_of_grey_is_grey() -> None:
    x = unpack(torch.tensor([0.1, 0.2, 0.2, 0.15]).view(1, 4, 1, 1).expand(1, 4, 3, 3))
    rgb = packed_preview(pack(x))
    torch.testing.assert_close(rgb, torch.full_like(rgb, 0.2 ** (1 / 2.2)))
