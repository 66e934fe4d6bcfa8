"""The eight flips and quarter turns, and what they become."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from sr_lightning.functional import imresize
from sr_lightning.inference.ensemble import back_project, self_ensemble


@pytest.mark.parametrize("size", [(4, 4), (4, 6)])
def test_each_of_eight_flips_is_seen_once(size: tuple[int, int]) -> None:
    """A network that marks one place beside a corner marks all eight of them."""

    def network(lr: Tensor) -> Tensor:
        out = torch.zeros_like(lr)
        out[..., 0, 1] = 8
        return out

    out = self_ensemble(network)(torch.rand(2, 3, *size))
    height, width = size
    expected = torch.zeros(size)
    for row, column in ((0, 1), (1, 0)):
        for y in (row, height - 1 - row):
            for x in (column, width - 1 - column):
                expected[y, x] = 1
    assert torch.equal(out, expected.expand(2, 3, -1, -1))


@pytest.mark.parametrize(("how", "value"), [("mean", 255 / 8), ("median", 12.0)])
def test_eight_pictures_become_one(how: Literal["mean", "median"], value: float) -> None:
    """The median of eight is between the two in the middle, 8 and 16."""
    seen = iter([4.0, 128.0, 1.0, 16.0, 64.0, 8.0, 32.0, 2.0])
    out = self_ensemble(lambda lr: torch.full_like(lr, next(seen)), how)(torch.zeros(1, 1, 2, 3))
    assert torch.equal(out, torch.full((1, 1, 2, 3), value))


def test_each_step_of_back_projection_adds_the_enlarged_error() -> None:
    sr, lr = torch.rand(1, 3, 8, 12, dtype=torch.float64), torch.rand(1, 3, 4, 6, dtype=torch.float64)
    once = sr + imresize(lr - imresize(sr, 0.5), 2)
    torch.testing.assert_close(back_project(sr, lr), once)
    torch.testing.assert_close(back_project(sr, lr, 2), once + imresize(lr - imresize(once, 0.5), 2))


def test_other_ensembles_are_refused() -> None:
    with pytest.raises(ValueError, match="ensemble=max: must be mean or median"):
        self_ensemble(lambda lr: lr, "max")  # type: ignore[arg-type]
