"""ATD: pixels are sorted by category and put back, and the last group is filled up as by the authors."""

import pytest
import torch

from sr_lightning.errors import ExportError
from sr_lightning.models import ATD
from sr_lightning.models.atd import CategoryAttention, picked
from sr_lightning.weights.spandrel import spandrel_state


def test_pixels_of_one_group_alone_attend_to_one_another() -> None:
    """Twelve pixels of three categories in turn, in groups of four: those of each category are one group."""
    torch.manual_seed(0)
    layer, qkv = CategoryAttention(8, 2, group=4), torch.rand(1, 12, 24)
    weights = torch.eye(3).repeat(4, 1)[None]
    changed = qkv.clone()
    changed[:, 3] += 1  # of the first category, as 0, 6 and 9
    with torch.no_grad():
        apart = (layer(qkv, weights) - layer(changed, weights)).abs().amax((0, 2)) > 1e-6
    assert apart.nonzero().flatten().tolist() == [0, 3, 6, 9]


@pytest.mark.parametrize(("pixels", "group"), [(12, 4), (13, 4), (3, 8), (1, 4)])
def test_each_pixel_gets_its_own_back(pixels: int, group: int) -> None:
    """Where pixels attend to themselves alone, all that remains is the order."""
    torch.manual_seed(0)
    layer = CategoryAttention(4, 1, group)
    torch.nn.init.eye_(layer.proj.weight)
    torch.nn.init.zeros_(layer.proj.bias)
    directions = torch.nn.functional.normalize(torch.randn(2, pixels, 4), dim=-1) * 30
    values = torch.rand(2, pixels, 4)
    with torch.no_grad():
        out = layer(torch.cat([directions, directions, values], -1), torch.rand(2, pixels, 3))
    torch.testing.assert_close(out, values, atol=1e-4, rtol=0)


def test_pixels_are_picked_from_their_own_picture() -> None:
    x = torch.arange(6.0).view(2, 3, 1)
    assert picked(x, torch.tensor([[2, 0], [1, 1]])).flatten().tolist() == [2, 0, 4, 4]


def test_spandrel_expects_the_size_of_groups() -> None:
    small = {"num_groups": 1, "num_blocks": 2, "num_heads": 4, "window": 4, "num_features": 48}
    with pytest.raises(ExportError, match="has group=128 alone, and this has 256"):
        spandrel_state(ATD(scale=2, upsampler="direct", **small))  # type: ignore[arg-type]
