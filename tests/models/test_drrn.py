"""DRRN: shared weights, the identity branch, and normalisation of every position."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from sr_lightning.errors import ConfigError
from sr_lightning.evaluation.scoring import count_parameters
from sr_lightning.functional import imresize
from sr_lightning.models import DRRN


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"bias": True}, 297_601),
        ({"bias": True, "num_units": 25}, 297_601),
        # A block of its own weights: three convolutions, of which the first now reads features.
        ({"num_blocks": 2}, 297_216 + 3 * 9 * 128**2),
        # Scale and shift for the input's one channel, and 2 U + 1 times for the features.
        ({"batch_norm": True}, 297_216 + 2 + 19 * 2 * 128),
    ],
)
def test_parameters(options: dict[str, Any], count: int) -> None:
    with torch.device("meta"):
        assert count_parameters(DRRN(**options)) == count


def test_the_identity_branch_is_not_activated() -> None:
    torch.manual_seed(0)
    model, lr = DRRN(num_features=8, num_units=3), torch.rand(1, 1, 6, 7)
    first, conv_a, conv_b, last = (p for p in model.parameters())
    x = imresize(lr, 2)
    first = h = F.conv2d(F.relu(x), first, padding=1)
    assert (first < 0).any()
    for _ in range(3):
        h = first + F.conv2d(F.relu(F.conv2d(F.relu(h), conv_a, padding=1)), conv_b, padding=1)
    torch.testing.assert_close(model(lr), x + F.conv2d(F.relu(h), last, padding=1))


def test_more_units_are_the_same_weights() -> None:
    short, long = DRRN(num_features=8, num_units=2), DRRN(num_features=8, num_units=5)
    long.load_state_dict(short.state_dict())


def test_positions_have_statistics_of_their_own() -> None:
    model = DRRN(num_features=8, num_units=2, batch_norm=True)
    model(torch.rand(2, 1, 6, 6))
    means = [m.running_mean.tolist() for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(means) == 6
    assert len({tuple(mean) for mean in means}) == 6


def test_biases_learn_slowly_and_shifts_do_not() -> None:
    model = DRRN(num_features=8, num_units=2, batch_norm=True, bias=True)
    fast, slow = model.parameter_groups()
    assert slow["lr_scale"] == 0.1
    assert sum(p.numel() for p in slow["params"]) == 3 * 8 + 1
    assert len(fast["params"]) + len(slow["params"]) == len(list(model.parameters()))


def test_overwriting_a_normalised_copy_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"in_place=true: .* set batch_norm=false"):
        DRRN(in_place=True, batch_norm=True)
