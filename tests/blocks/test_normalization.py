"""Shifts of the value range, exact in half precision, too."""

import pytest
import torch

from sr_lightning.blocks import MeanShift, normalization


def test_values_are_shifted_and_scaled() -> None:
    shift, x = MeanShift(255, (0.1, 0.2, 0.3)), torch.full((2, 3, 2, 2), 0.5)
    torch.testing.assert_close(shift(x)[0, :, 0, 0], torch.tensor([102.0, 76.5, 51.0]))
    torch.testing.assert_close(shift.undo(shift(x)), x)
    torch.testing.assert_close(MeanShift()(x)[1, :, 1, 1], 255 * (0.5 - torch.tensor([0.4488, 0.4371, 0.4040])))


def test_the_mean_is_no_weight() -> None:
    assert not MeanShift().state_dict() and not list(MeanShift().parameters())
    assert MeanShift().mean.shape == (1, 3, 1, 1)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_ends_in_float32(kind: torch.dtype) -> None:
    assert MeanShift().to(kind).undo(torch.zeros(1, 3, 1, 1, dtype=kind)).dtype == torch.float32


def test_float64_stays() -> None:
    x = torch.full((1, 3, 1, 1), 1 / 3, dtype=torch.float64)
    assert torch.equal(MeanShift(1, (0.0, 0.0, 0.0)).double().undo(x), x)


def test_layers_of_each_name() -> None:
    assert normalization("none", 8) == normalization("weight", 8) == []
    (batch,), (instance,) = normalization("batch", 8), normalization("instance", 6)
    assert isinstance(batch, torch.nn.BatchNorm2d) and batch.num_features == 8
    assert isinstance(instance, torch.nn.InstanceNorm2d) and instance.num_features == 6 and instance.affine
