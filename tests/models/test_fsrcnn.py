"""FSRCNN: the published beginning and learning rates."""

import math

import pytest
import torch

from sr_lightning.models import FSRCNN


def test_begins_as_published() -> None:
    torch.manual_seed(0)
    net = FSRCNN().net.net
    convs = [layer for layer in net.body if isinstance(layer, torch.nn.Conv2d)]
    assert [conv.kernel_size[0] for conv in convs] == [5, 1, 3, 3, 3, 3, 1]
    for conv in convs:
        expected = math.sqrt(2 / (conv.kernel_size[0] ** 2 * conv.out_channels))
        assert conv.weight.std().item() == pytest.approx(expected, rel=0.1)
    assert net.deconv.weight.std().item() == pytest.approx(1e-3, rel=0.1)
    assert not any(layer.bias.any() for layer in [*convs, net.deconv])
    slopes = [layer.weight for layer in net.body if isinstance(layer, torch.nn.PReLU)]
    assert len(slopes) == 7 and all(torch.equal(w, torch.full_like(w, 0.25)) for w in slopes)


def test_the_deconvolution_learns_at_a_tenth() -> None:
    model = FSRCNN(optimizer=lambda groups: torch.optim.SGD(groups, lr=1e-3))
    fast, slow = model.configure_optimizers().param_groups
    assert (fast["lr"], slow["lr"]) == pytest.approx((1e-3, 1e-4))
    assert [id(p) for p in slow["params"]] == [id(p) for p in model.net.net.deconv.parameters()]
    assert len(fast["params"]) + 2 == len(list(model.parameters()))
