"""ESPCN: what its output can be."""

import pytest
import torch

from sr_lightning.errors import ConfigError
from sr_lightning.models import ESPCN


def test_a_sigmoid_at_the_end() -> None:
    linear, sigmoid = ESPCN(num_features=8), ESPCN(num_features=8, output="sigmoid")
    sigmoid.load_state_dict(linear.state_dict())
    lr = torch.rand(1, 1, 5, 6)
    torch.testing.assert_close(sigmoid(lr), linear(lr).sigmoid())
    with pytest.raises(ConfigError, match="output=tanh: there are linear and sigmoid"):
        ESPCN(output="tanh")  # type: ignore[arg-type]
