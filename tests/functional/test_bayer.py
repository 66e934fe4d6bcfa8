"""Colours keep their meaning through every crop, turn and packing; demosaicing equals the reference."""

import itertools

import cv2
import kornia
import numpy as np
import pytest
import torch
from torch import Tensor

from sr_lightning.functional import bayer
from sr_lightning.functional.demosaic import DEMOSAIC, demosaic_bilinear, demosaic_malvar
from sr_lightning.functional.isp import develop, undevelop

with np.printoptions():  # which the package changes for the whole process
    import colour_demosaicing

PATTERNS = bayer.PATTERNS


def coded(height: int = 8, width: int = 10) -> Tensor:
    """Every pixel has its place and its colour in its value: channel * 1000 + 50 * row + column."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([1000 * c + 50 * y + x for c in range(3)]).float()


def colours(mosaic: Tensor) -> Tensor:
    return (mosaic / 1000).int()


def seen(pattern: str, height: int, width: int) -> Tensor:
    """Colour index of each pixel, by the definition of a pattern."""
    return torch.tensor([["RGB".index(pattern[2 * (y % 2) + x % 2]) for x in range(width)] for y in range(height)])[
        None
    ]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_mosaic_takes_the_colour_of_the_pattern(pattern: str) -> None:
    assert torch.equal(colours(bayer.mosaic(coded(), pattern)), seen(pattern, 8, 10))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_packed_channels_mean_the_same_in_every_phase(pattern: str) -> None:
    packed = bayer.pack(bayer.mosaic(coded(), pattern), pattern)
    assert (colours(packed).flatten(1) == torch.tensor([[0], [1], [1], [2]])).all()
    swapped = bayer.pack(bayer.mosaic(coded(), pattern), pattern, "rgbg")
    assert torch.equal(swapped, packed[[0, 1, 3, 2]])
    # The first green stands in red's row.
    assert ((packed[0] // 50) % 20 == ((packed[1] - 1000) // 50) % 20).all()


@pytest.mark.parametrize(
    ("pattern", "y", "x", "height", "width"), [(p, y, x, 5, 6) for p in PATTERNS for y in range(3) for x in range(3)]
)
def test_crops_have_the_pattern_that_is_told(pattern: str, y: int, x: int, height: int, width: int) -> None:
    crop = bayer.mosaic(coded(), pattern)[..., y : y + height, x : x + width]
    assert torch.equal(colours(crop), seen(bayer.pattern_at(pattern, y, x), height, width))


@pytest.mark.parametrize(("height", "width"), [(8, 10), (7, 9), (8, 9), (7, 10)])
@pytest.mark.parametrize(("pattern", "op"), itertools.product(PATTERNS, range(8)))
def test_turns_have_the_pattern_that_is_told(pattern: str, op: int, height: int, width: int) -> None:
    turned, told = bayer.dihedral_mosaic(bayer.mosaic(coded(height, width), pattern), pattern, op)
    assert torch.equal(colours(turned), seen(told, *turned.shape[-2:]))
    for wanted in PATTERNS:
        back = bayer.crop_to_pattern(turned, told, wanted)
        assert torch.equal(colours(back), seen(wanted, *back.shape[-2:]))
        assert min(back.shape[-2:]) >= min(turned.shape[-2:]) - 2


@pytest.mark.parametrize(("pattern", "order"), itertools.product(PATTERNS, ("rggb", "rgbg")))
def test_unpack_inverts_pack(pattern: str, order: bayer.PackOrder) -> None:
    image = torch.rand(2, 1, 6, 8)
    assert torch.equal(bayer.unpack(bayer.pack(image, pattern, order), pattern, order), image)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    ("ours", "theirs"), [("bilinear", "bilinear"), ("malvar", "Malvar2004"), ("menon", "Menon2007")]
)
def test_demosaicing_equals_the_reference(ours: str, theirs: str, pattern: str) -> None:
    image = torch.rand(1, 1, 24, 30, dtype=torch.float64)
    reference = getattr(colour_demosaicing, f"demosaicing_CFA_Bayer_{theirs}")(image[0, 0].numpy(), pattern)
    result = DEMOSAIC[ours](image, pattern)[0].permute(1, 2, 0).numpy()
    inner = slice(2, -2)  # the reference repeats the edge pixel, of another colour
    assert np.abs(result - reference)[inner, inner].max() < 1e-12


@pytest.mark.parametrize(("pattern", "cfa"), zip(PATTERNS, ("BG", "GB", "GR", "RG"), strict=True))
def test_kornias_names_of_the_phases(pattern: str, cfa: str) -> None:
    image = torch.rand(1, 1, 8, 8)
    theirs = kornia.color.raw_to_rgb(image, getattr(kornia.color.CFA, cfa))
    assert torch.allclose(bayer.mosaic(theirs, pattern)[..., 2:-2, 2:-2], image[..., 2:-2, 2:-2])


def test_opencv_agrees_on_bilinear() -> None:
    image = torch.randint(0, 256, (1, 1, 16, 16))
    theirs = cv2.cvtColor(image[0, 0].numpy().astype(np.uint8), cv2.COLOR_BAYER_RGGB2RGB).astype(float)
    ours = demosaic_bilinear(image.double())[0].permute(1, 2, 0).numpy()
    assert np.abs(theirs - ours)[1:-1, 1:-1].max() <= 0.5


@pytest.mark.parametrize("pattern", PATTERNS)
def test_linear_ramps_are_restored(pattern: str) -> None:
    ramp = coded(12, 12).double()[None] % 1000
    for demosaic in (demosaic_bilinear, demosaic_malvar):
        result = demosaic(bayer.mosaic(ramp, pattern), pattern)
        assert torch.allclose(result[..., 2:-2, 2:-2], ramp[..., 2:-2, 2:-2])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_virtual_sensels_lie_at_the_middle_of_their_block(pattern: str) -> None:
    ramp = coded(12, 16).double() % 1000
    sensels = bayer.virtual_sensels(bayer.mosaic(ramp, pattern), pattern)
    middle = torch.nn.functional.avg_pool2d(ramp, 2)
    assert torch.allclose(sensels[:, 1:-1, 1:-1], middle[:, 1:-1, 1:-1])


def test_srgb_curve_is_the_standards() -> None:
    linear, gains, matrix = torch.tensor([0.0, 0.0031308, 0.2140411, 1.0]).expand(1, 3, 1, -1), [1.0] * 3, torch.eye(3)
    srgb = torch.tensor([0.0, 0.04045, 0.5, 1.0]).expand(1, 3, 1, -1)
    assert torch.allclose(develop(linear, gains, matrix), srgb, atol=1e-6)
    assert torch.allclose(undevelop(srgb, gains, matrix), linear, atol=1e-6)


def test_development_is_undone() -> None:
    matrix = torch.tensor([[1.6, -0.4, -0.2], [-0.2, 1.6, -0.4], [0.0, -0.4, 1.4]], dtype=torch.float64)
    srgb = 0.3 + 0.2 * torch.rand(2, 3, 5, 5, dtype=torch.float64)
    gains = [1.9, 1.0, 1.4]
    assert torch.allclose(develop(undevelop(srgb, gains, matrix), gains, matrix), srgb, atol=1e-9)


def test_saturated_pixels_are_white() -> None:
    matrix = [[1.6, -0.4, -0.2], [-0.2, 1.6, -0.4], [0.0, -0.4, 1.4]]
    assert torch.allclose(develop(torch.full((1, 3, 1, 1), 1.2), [1.9, 1.0, 1.4], matrix), torch.ones(1), atol=1e-6)


def test_wrong_patterns_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="'RGBG' is not a Bayer pattern"):
        bayer.mosaic(torch.rand(3, 4, 4), "RGBG")
    with pytest.raises(ValueError, match="crop it to even sides"):
        bayer.pack(torch.rand(1, 5, 4))
    with pytest.raises(ValueError, match="order=bggr"):
        bayer.pack(torch.rand(1, 4, 4), order="bggr")  # type: ignore[arg-type]
