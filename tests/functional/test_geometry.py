"""Crops and the symmetries of the square, each by its definition."""

import numpy as np
import pytest
import torch

from sr_lightning.functional import dihedral, modcrop, shave, undo_dihedral

PICTURE = torch.arange(35).reshape(1, 1, 5, 7)


@pytest.mark.parametrize("op", range(8))
def test_symmetries_are_numpys(op: int) -> None:
    expected = PICTURE[0, 0].numpy()
    expected = np.fliplr(expected) if op & 1 else expected
    expected = np.flipud(expected) if op & 2 else expected
    expected = expected.T if op & 4 else expected
    assert np.array_equal(dihedral(PICTURE, op)[0, 0].numpy(), expected)
    assert torch.equal(undo_dihedral(dihedral(PICTURE, op), op), PICTURE)


def test_crops() -> None:
    assert torch.equal(modcrop(PICTURE, 3), PICTURE[..., :3, :6])
    assert torch.equal(modcrop(PICTURE, 1), PICTURE)
    assert torch.equal(shave(PICTURE, 2), PICTURE[..., 2:3, 2:5])
    assert torch.equal(shave(PICTURE, 0), PICTURE)
    assert torch.equal(shave(PICTURE[0, 0], 2), PICTURE[0, 0, 2:3, 2:5])


def test_nothing_left() -> None:
    with pytest.raises(ValueError, match="a 4x7 picture has nothing left inside a border of 2 pixels"):
        shave(PICTURE[..., :4, :], 2)
