"""WDSR: the authors' counts, the initial lengths, the two paths."""

import pytest
import torch
from torch import nn

from sr_lightning.models import WDSR


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("scale", "expected"), [(2, 37_808_180), (3, 37_826_645), (4, 37_852_496)])
def test_large_a(scale: int, expected: int) -> None:
    with torch.device("meta"):
        assert count(WDSR(scale=scale, num_features=128, num_blocks=32)) == expected


@pytest.mark.parametrize(("num_blocks", "expected"), [(1, 84_250), (3, 233_318), (5, 382_386), (8, 605_988)])
def test_wide_b(num_blocks: int, expected: int) -> None:
    with torch.device("meta"):
        assert count(WDSR(scale=2, num_features=64, num_blocks=num_blocks, block="B", expansion=6)) == expected


@pytest.mark.parametrize(("block", "middle"), [("A", 0), ("B", 1)])
def test_initial_lengths(block: str, middle: int) -> None:
    net = WDSR(scale=2, num_features=8, num_blocks=4, block=block, expansion=6).net
    lengths = {
        name: set(layer.weight.detach().flatten(1).norm(dim=1).mul(1e4).round().div(1e4).tolist())
        for name, layer in net.named_modules()
        if isinstance(layer, nn.Conv2d)
    }
    assert lengths.pop("head") == lengths.pop("tail.0") == lengths.pop("skip.0") == {1.0}
    assert list(lengths.values()) == [{2.0}, *[{1.0}] * middle, {0.5}] * 4
    assert all((layer.bias == 0).all() for layer in net.modules() if isinstance(layer, nn.Conv2d))


def test_output_is_body_plus_skip() -> None:
    net, lr = WDSR(scale=3, num_features=8, num_blocks=2).net, torch.rand(1, 3, 6, 7)
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
    x = (lr * 255 - mean * 255) / 127.5
    sr = (net.tail(net.body(net.head(x))) + net.skip(x)) * 127.5 / 255 + mean
    torch.testing.assert_close(net(lr), sr)


@pytest.mark.parametrize("norm", ["none", "batch", "instance", "batch+weight"])
@pytest.mark.parametrize("upsampler", ["direct", "pixel_shuffle", "nearest", "deconv"])
def test_other_parts(norm: str, upsampler: str) -> None:
    model = WDSR(scale=4, num_features=16, num_blocks=1, norm=norm, upsampler=upsampler, attention="mix")
    assert model(torch.rand(1, 3, 5, 6)).shape == (1, 3, 20, 24)
