"""Blockiness in closed form, on JPEGs, and beside a published implementation."""

import io

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from sr_lightning.functional import blockiness


def test_closed_form() -> None:
    """A ramp of 2 levels a column, with 5 more at each edge of a block; the rows are equal."""
    columns = torch.arange(64.0)
    picture = (2 * columns + 5 * (columns // 8)) / 255
    assert blockiness(picture.expand(1, 3, 64, 64)).item() == pytest.approx(7 / 2)
    assert blockiness(picture.roll(4).expand(1, 3, 64, 64)).item() < 1  # blocks are looked for on the grid alone


def test_no_blocks() -> None:
    noise = torch.rand(1, 1, 400, 400, generator=torch.Generator().manual_seed(1))
    assert blockiness(noise).item() == pytest.approx(1, abs=0.02)
    assert blockiness(torch.full((2, 1, 16, 17), 0.4)).tolist() == [1, 1]


def test_jpegs() -> None:
    picture = Image.fromarray(skimage.data.coffee())
    measured = []
    for quality in (95, 75, 50, 30):
        picture.save(file := io.BytesIO(), "JPEG", quality=quality)
        measured.append(blockiness(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None]).item())
    assert measured == sorted(measured)
    assert measured[0] < 1.1 and measured[-1] > 1.3


def test_beside_a_published_implementation() -> None:
    """B over A of a port of the authors' ``jpeg_quality_score``, whose A is an approximation at the last block."""
    camera = torch.from_numpy(skimage.data.camera())[None, None]
    assert blockiness(camera).item() == pytest.approx(1.0368786122214257, rel=2e-3)


def test_too_small() -> None:
    with pytest.raises(ValueError, match="at least 16x16"):
        blockiness(torch.zeros(1, 1, 15, 64))
