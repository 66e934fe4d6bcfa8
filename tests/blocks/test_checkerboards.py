"""Which enlargements begin with a checkerboard, as docs/training.md says."""

import pytest
import torch
from torch import Tensor, nn

from sr_lightning.blocks import RepeatedPixels, upsampler


def checkerboard(picture: Tensor, scale: int) -> float:
    """How far the means of the places within a step are from each other, beside the values themselves."""
    phases = nn.functional.pixel_unshuffle(picture, scale).mean((0, 2, 3)).unflatten(0, (picture.shape[1], -1))
    return float(phases.std(1).mean() / picture.std((2, 3), correction=0).add(picture.abs().mean()).mean())


@pytest.mark.parametrize(
    ("kind", "clean"), [("nearest", True), ("pixel_shuffle", False), ("direct", False), ("deconv", False)]
)
@pytest.mark.parametrize("scale", [2, 4])
def test_repeated_pixels_alone_begin_without(kind: str, clean: bool, scale: int) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        flat = upsampler(8, scale, kind)(torch.rand(1, 8, 1, 1).expand(1, 8, 20, 20))
    inside = flat[..., 8 * scale : -8 * scale, 8 * scale : -8 * scale]  # beyond the influence of the borders
    assert (checkerboard(inside, scale) < 1e-5) == clean


def test_a_shuffle_may_begin_as_repeated_pixels() -> None:
    with torch.no_grad():
        enlarged = nn.functional.pixel_shuffle(RepeatedPixels(2)(torch.full((1, 3, 12, 12), 0.5)), 2)
    assert checkerboard(enlarged, 2) == 0
