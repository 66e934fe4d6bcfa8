"""DAT: pictures need no whole windows, and zeros are attended to there as by the authors."""

import pytest
import torch
from torch import Tensor

from sr_lightning.models.dat import ChannelAttention, ComputedBias, PixelAttention, masks_of


def test_what_follows_the_map_are_zeros() -> None:
    """Not pixels that a linear layer makes of zeros: the biases of keys and values are not there."""
    torch.manual_seed(0)
    layer, x = PixelAttention(32, 4, (2, 4)).eval(), torch.rand(1, 4, 4, 32)
    torch.nn.init.normal_(layer.qkv.bias)
    # A map of which three rows are missing, in one window each way.
    with torch.no_grad():
        qkv = layer.qkv(x[:, :1]).view(1, 1, 4, 3, 2, 16)
        filled = torch.cat([qkv, torch.zeros(1, 3, 4, 3, 2, 16)], 1)
        expected = torch.cat([layer.attend(filled[..., i, :], i, None) for i in range(2)], -1)[:, :1]
        seen: list[Tensor] = []
        layer.interaction.register_forward_pre_hook(lambda _, given: seen.append(given[0].permute(0, 2, 3, 1)))
        layer(x[:, :1], [None, None])
    torch.testing.assert_close(seen[0], expected)


@pytest.mark.parametrize("half", [0, 1])
def test_strangers_in_shifted_windows_do_not_meet(half: int) -> None:
    torch.manual_seed(0)
    layer = PixelAttention(32, 4, (2, 4)).eval()
    masks: list[Tensor] = masks_of(8, 8, [(2, 4), (4, 2)], like=torch.zeros(1))
    qkv = torch.rand(1, 8, 8, 3, 16)
    changed = qkv.clone()
    changed[:, 0, 0] += 1  # which the shift brings into a window with the opposite corner
    with torch.no_grad():
        apart = (layer.attend(qkv, half, masks[half]) - layer.attend(changed, half, masks[half])).abs().amax((0, 3))
    assert apart[0, 0] > 1e-3 and apart[-1, -1] == apart[0, -1] == apart[-1, 0] == 0


def test_the_bias_is_of_distances() -> None:
    torch.manual_seed(0)
    bias = ComputedBias(8, 2, (2, 4))()
    assert torch.equal(bias[:, 0, 1], bias[:, 4, 5])  # one to the right, in both rows
    assert not torch.equal(bias[:, 0, 1], bias[:, 1, 0])


def test_channels_attend_by_direction_alone() -> None:
    """A picture twice as bright has the same weights, so that what they weigh is twice as much."""
    torch.manual_seed(0)
    layer, x = ChannelAttention(16, 2).eval(), torch.rand(1, 6, 5, 16)
    torch.nn.init.zeros_(layer.qkv.bias)
    seen: list[Tensor] = []
    layer.interaction.register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    with torch.no_grad():
        layer(x)
        layer(2 * x)
    torch.testing.assert_close(2 * seen[0], seen[1])
