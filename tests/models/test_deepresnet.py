"""DeepResNet: the counts of its settings, its layers, its initialisation."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from sr_lightning.models import DeepResNet


@pytest.mark.parametrize(
    ("norm", "scale", "expected"),
    [("batch", 2, 37_567), ("batch", 3, 42_037), ("weight", 2, 37_640), ("weight", 3, 42_125), ("weight", 4, 48_404)],
)
@pytest.mark.filterwarnings("ignore:33 features")
def test_counts(norm: str, scale: int, expected: int) -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in DeepResNet(scale=scale, norm=norm).parameters()) == expected


def test_channels() -> None:
    shapes = {name: tuple(p.shape) for name, p in DeepResNet(scale=3).net.named_parameters() if p.ndim == 4}
    assert list(shapes.values()) == [
        (33, 3, 3, 3), (40, 33, 1, 5), (48, 40, 5, 1), (33, 48, 3, 3),
        (33, 33, 1, 1), (33, 33, 1, 1), (27, 33, 3, 3), (3, 3, 3, 3),
    ]  # fmt: skip


def test_weight_normalisation_keeps_kaimings_initialisation() -> None:
    """The original initialises weights that weight normalisation then computes anew."""
    plain, normed = ((torch.manual_seed(3), DeepResNet(scale=2, norm=norm).net)[1] for norm in ("none", "weight"))
    layers = [(a, b) for a, b in zip(plain.modules(), normed.modules(), strict=False) if isinstance(a, nn.Conv2d)]
    assert layers
    convs = [layer for layer in normed.modules() if isinstance(layer, nn.Conv2d)]
    assert all(is_parametrized(conv, "weight") for conv in convs)
    for before, after in zip((m for m in plain.modules() if isinstance(m, nn.Conv2d)), convs, strict=True):
        torch.testing.assert_close(after.weight, before.weight)
        if before.weight.numel() > 1000:
            gain = before.weight.std() * before.weight[0].numel() ** 0.5
            assert gain.item() == pytest.approx(2**0.5, rel=0.1)
    lr = torch.rand(1, 3, 7, 9)
    torch.testing.assert_close(plain(lr), normed(lr), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("block", ["asymmetric", "residual", "wide_b"])
@pytest.mark.parametrize("attention", ["none", "mpr_sa"])
@pytest.mark.parametrize("norm", ["none", "instance", "batch+weight"])
def test_parts_can_be_exchanged(block: str, attention: str, norm: str) -> None:
    model = DeepResNet(scale=5, num_features=80, num_blocks=2, block=block, attention=attention, norm=norm)
    assert model(torch.rand(1, 3, 6, 7)).shape == (1, 3, 30, 35)


def test_too_few_features_are_said() -> None:
    with pytest.warns(UserWarning, match="33 features are few for the 48 values of a x4 pixel"):
        DeepResNet(scale=4)
