"""Attentions: the formulas, maps of any shape, half precision, published counts."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sr_lightning.blocks import (
    MPRSA,
    ChannelAttention,
    DCABlock,
    MixAttention,
    ResidualBlock,
    SpatialAttention,
    attention,
)
from sr_lightning.blocks.attention import reflect_to_square
from sr_lightning.blocks.dense import DenseFusion
from sr_lightning.errors import ConfigError
from sr_lightning.models import EDSR

NAMES = ["none", "channel", "channel_full", "spatial", "sa", "multi_pool", "msa", "mpr_sa", "mix", "channel+sa"]


def trained(module: torch.nn.Module) -> torch.nn.Module:
    """Statistics and weights as they are after some training."""
    torch.manual_seed(0)
    for name, value in module.state_dict().items():
        if "num_batches" not in name:
            value.copy_(torch.rand_like(value) + 0.5 if "running_var" in name else 0.3 * torch.randn_like(value))
    return module.eval()


def test_names_stand_for_what_they_say() -> None:
    full, pooled = attention("channel_full", 16), attention("sa", 16)
    assert isinstance(full, ChannelAttention) and full.gate[0].out_channels == 16  # not fewer
    assert isinstance(pooled, MPRSA) and pooled.pools == (1,)


def test_mpr_sa_keeps_a_hundredth_of_each_batch() -> None:
    """The authors' momentum of the statistics is 0.01, where torch's own is 0.1."""
    torch.manual_seed(0)
    module, x = MPRSA(pools=(1,)), torch.randn(2, 8, 6, 6)
    conv, norm = module.branches[0]
    module.train()(x)
    turns = torch.cat([x.mean(1, keepdim=True).rot90(turn, (2, 3)) for turn in range(4)], dim=1)
    maps = F.conv2d(turns, conv.weight, padding=3).transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.running_mean, 0.01 * maps.mean(1))
    torch.testing.assert_close(norm.running_var, 0.99 + 0.01 * maps.var(1))
    assert norm.eps == 1e-5


def literal(module: MPRSA, x: Tensor) -> Tensor:
    """MPR-SA of square maps, every value by its definition."""
    n, channels, side, _ = x.shape
    total = torch.zeros(n, 8, side, side, dtype=x.dtype)
    for p, branch in zip((1, 2, 4), module.branches, strict=True):
        size = channels // p
        pooled = [sum(x[:, g * size + c] for c in range(size)) / size for g in range(p)]
        maps = list(pooled)
        for quarter_turns in (1, 2, 3):
            for plane in pooled:
                for _ in range(quarter_turns):  # counter-clockwise: the right column becomes the first row
                    plane = torch.stack([plane[:, :, side - 1 - row] for row in range(side)], dim=1)
                maps.append(plane)
        conv, norm = branch
        y = F.conv2d(torch.stack(maps, 1), conv.weight, padding=3)
        mean, var, gain, bias = (
            v.view(1, 8, 1, 1) for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        total += (y - mean) / (var + 1e-5).sqrt() * gain + bias
    gate = 1 / (1 + torch.exp(-total))
    return torch.stack([x[:, c] * gate[:, c % 8] for c in range(channels)], dim=1)


def test_mpr_sa_is_its_definition() -> None:
    module = trained(MPRSA().double())
    x = torch.randn(2, 64, 11, 11, dtype=torch.float64)
    torch.testing.assert_close(module(x), literal(module, x), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("training", [False, True])
def test_square_maps_have_the_bits_of_the_formula(training: bool) -> None:
    module = trained(MPRSA()).train(training)
    x, total = torch.randn(2, 64, 12, 12), torch.zeros(())
    for p, branch in zip((1, 2, 4), module.branches, strict=True):
        pooled = x.view(2, p, 64 // p, 12, 12).mean(2)
        total = total + branch(torch.cat([pooled.rot90(k, (2, 3)) for k in range(4)], 1))
    assert torch.equal(trained(module).train(training)(x), x * total.sigmoid().repeat(1, 8, 1, 1))


@pytest.mark.parametrize(("height", "width"), [(12, 7), (7, 12), (3, 40), (1, 9), (1, 1), (12, 11)])
def test_other_maps_are_mirrored_to_squares_and_cropped(height: int, width: int) -> None:
    module = trained(MPRSA())
    x = torch.randn(2, 16, height, width)
    square = reflect_to_square(x)
    side = max(height, width)
    assert square.shape[-2:] == (side, side)
    top, left = (side - height) // 2, (side - width) // 2
    middle = (..., slice(top, top + height), slice(left, left + width))
    assert torch.equal(square[middle], x)
    torch.testing.assert_close(module(x), module(square)[middle])


def test_mirroring_is_torchs_where_torch_can() -> None:
    x = torch.randn(1, 2, 10, 15)
    assert torch.equal(reflect_to_square(x), F.pad(x, (0, 0, 2, 3), mode="reflect"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [33, 64])
def test_any_map_and_any_number_of_channels(name: str, channels: int) -> None:
    module = attention(name, channels)
    x = torch.randn(2, channels, 5, 9, requires_grad=True)
    y = module(x)
    assert y.shape == x.shape
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert (y.abs() <= x.abs()).all()  # gates are between 0 and 1


@pytest.mark.parametrize("name", NAMES)
def test_bf16(name: str) -> None:
    module, x = trained(attention(name, 32)), torch.randn(1, 32, 10, 14)
    with torch.inference_mode():
        full = module(x)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = module(x)
        half = module.bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16
    for result in (mixed.float(), half.float()):
        assert (result - full).abs().mean() < 0.02 * full.abs().mean()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_mean_of_a_large_map_survives_half_precision(dtype: torch.dtype) -> None:
    seen = []
    module = ChannelAttention(16)
    module.gate = torch.nn.Sequential(torch.nn.Identity())
    module.gate.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    module(torch.full((1, 16, 300, 300), 128.0, dtype=dtype))  # the sum, 11 million, is beyond float16
    assert seen[0].dtype == dtype
    assert torch.equal(seen[0], torch.full((1, 16, 1, 1), 128.0, dtype=dtype))


def test_counts() -> None:
    def count(module: torch.nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    assert count(ChannelAttention(64)) == 580
    assert count(MPRSA()) == 11_024
    assert count(MixAttention(64)) == 11_604 == count(attention("channel+mpr_sa", 64))
    assert count(SpatialAttention()) == 49
    assert count(ChannelAttention(33, reduction=1)) == 2 * (33 * 33 + 33)
    assert count(DCABlock()) == 278_016


def test_msa_is_the_papers() -> None:
    """SRNet, whose ablations name it CA+SAT+MSA, is built of channel attention and MPR-SA, rotations included."""
    assert str(attention("msa", 64)) == str(attention("mpr_sa", 64)) == str(MPRSA())
    assert str(attention("multi_pool", 64)) == str(MPRSA(rotate=False)) != str(MPRSA())
    assert count_of("channel+msa") == count_of("mix") == 11_604


def count_of(name: str) -> int:
    return sum(p.numel() for p in attention(name, 64).parameters())


def test_spatial_attention_is_its_definition() -> None:
    module, x = SpatialAttention(), torch.randn(1, 8, 6, 9)
    gate = F.conv2d(x.mean(1, keepdim=True), module.conv.weight, padding=3).sigmoid()
    torch.testing.assert_close(module(x), x * gate)


def test_dca_block_is_its_definition() -> None:
    module, x = DCABlock(16, 4, 3), torch.randn(2, 16, 6, 9)
    features = [x]
    for layer in module.layers:
        features.append(F.leaky_relu(F.conv2d(torch.cat(features, 1), layer[0].weight, layer[0].bias, padding=1), 0.2))
    fused = F.conv2d(torch.cat(features, 1), module.fusion.weight, module.fusion.bias)
    first, _, second, _ = module.attention.gate
    hidden = F.linear(fused.mean((2, 3)), first.weight.flatten(1), first.bias).relu()
    gate = F.linear(hidden, second.weight.flatten(1), second.bias).sigmoid()
    torch.testing.assert_close(module(x), x + fused * gate[..., None, None])


def test_a_trunk_with_dca_blocks_has_the_layers_of_rawsr() -> None:
    module, expected, x = ResidualBlock(16, block="dca"), DCABlock(16, 2, 8), torch.randn(1, 16, 6, 5)
    expected.load_state_dict({name.removeprefix("body.0."): value for name, value in module.state_dict().items()})
    torch.testing.assert_close(module(x), expected(x), rtol=0, atol=0)
    trunk = EDSR(num_features=16, num_blocks=1, block="dca", attention="mpr_sa")
    assert isinstance(trunk.net.body[0].body[0], DenseFusion)
    assert trunk(torch.rand(1, 3, 6, 5)).shape == (1, 3, 12, 10)


@pytest.mark.parametrize("name", ["chanel", "channel+", "mix+spacial"])
def test_an_unknown_name_is_explained(name: str) -> None:
    with pytest.raises(ConfigError, match="there is no attention"):
        attention(name, 64)
