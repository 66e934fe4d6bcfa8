"""Networks on packed mosaics."""

import pytest
import torch
from torch import Tensor, nn

from sr_lightning.blocks import PackedRaw
from sr_lightning.errors import ConfigError
from sr_lightning.functional.bayer import mosaic
from sr_lightning.models import EDSR, SRResNet


class Colours(nn.Module):
    """Each block's red, mean green and blue, enlarged by repetition."""

    def forward(self, packed: Tensor) -> Tensor:
        red, green_r, blue, green_b = packed.unbind(1)
        rgb = torch.stack([red, (green_r + green_b) / 2, blue], dim=1)
        return rgb.repeat_interleave(4, -1).repeat_interleave(4, -2)


@pytest.mark.parametrize("size", [(8, 10), (7, 10), (8, 9), (7, 9)])
def test_colours_are_in_their_channels_and_balanced(size: tuple[int, int]) -> None:
    colour = torch.tensor([[0.2, 0.4, 0.1], [0.3, 0.5, 0.7]])
    gains = torch.tensor([[2.0, 1.0, 1.5], [1.7, 1.0, 2.5]])
    raw = mosaic(colour[..., None, None].expand(-1, -1, *size))
    sr = PackedRaw(Colours(), scale=2)(raw, gains)
    assert sr.shape == (2, 3, 2 * size[0], 2 * size[1])
    expected = (colour * gains ** (1 / 2.2))[..., None, None].expand_as(sr)
    torch.testing.assert_close(sr, expected)


@pytest.mark.parametrize("network", [EDSR, SRResNet])
def test_raw_input(network: type[EDSR] | type[SRResNet]) -> None:
    model = network(scale=4, num_features=8, num_blocks=1, input="raw")
    assert model.inputs == ("raw", "white_balance") and network(scale=4, num_features=8, num_blocks=1).inputs == ("lr",)
    assert not [name for name, _ in model.named_buffers() if "mean" in name]
    assert model(torch.rand(1, 1, 6, 8), torch.ones(1, 3)).shape == (1, 3, 24, 32)
    with pytest.raises(ConfigError, match="input=bayer: there are rgb and raw"):
        network(scale=4, input="bayer")  # type: ignore[arg-type]
