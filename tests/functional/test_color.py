"""BT.601 studio range, against scikit-image's independent implementation."""

import pytest
import torch
from skimage.color import rgb2ycbcr

from sr_lightning.functional import rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb


def test_equals_skimage() -> None:
    image = torch.rand(2, 3, 7, 9, dtype=torch.float64)
    expected = torch.from_numpy(rgb2ycbcr(image.permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)
    torch.testing.assert_close(rgb_to_ycbcr(image) * 255, expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(rgb_to_y(image) * 255, expected[:, :1], atol=1e-10, rtol=0)
    torch.testing.assert_close(ycbcr_to_rgb(rgb_to_ycbcr(image)), image)


def test_black_and_white() -> None:
    black_white = torch.stack([torch.zeros(3, 1, 1), torch.ones(3, 1, 1)])
    torch.testing.assert_close(rgb_to_y(black_white).flatten() * 255, torch.tensor([16.0, 235.0]))


def test_one_channel_is_refused() -> None:
    with pytest.raises(ValueError, match="RGB"):
        rgb_to_y(torch.zeros(1, 1, 4, 4))
